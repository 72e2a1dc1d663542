"""Keep the built-in hub running beside the development server, as a thread of the serving process.

The first request starts it: the reloader's parent serves none, so that only its child runs a hub.
An OS lock beside the hub's database admits one hub; whoever does not get it uses the other one, and
asks for the lock again with later requests.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import ChatixCommentsError, HubPortError, HubStartError

if TYPE_CHECKING:
    from .hub.server import HubThread

RETRY_AFTER_S = 1.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # nosec B104  # compared with, not bound to

logger = logging.getLogger(__name__)


def hub_api_url(host: str, port: int) -> str:
    """Return the URL at which the site itself reaches a hub that listens on *host*."""
    address = _ANY_ADDRESS.get(host, host)
    return f"http://[{address}]:{port}/v1" if ":" in address else f"http://{address}:{port}/v1"


class DevHub:
    """Start the hub with the first request that a development server serves.

    Args:
        make_thread: Makes a hub that listens on a host; called again after a failure.
        host: Where to listen; ``None``: where the development server does.
        monotonic: Seconds, for the pause between two tries.
    """

    def __init__(
        self,
        make_thread: Callable[[str], HubThread],
        *,
        host: str | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_thread = make_thread
        self._host = host
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._thread: HubThread | None = None
        self._setup_error: HubStartError | None = None
        self._bound_host = host or "127.0.0.1"
        self._tried_at = float("-inf")
        self._logged = ""

    @property
    def error(self) -> HubStartError | None:
        """Why the last try failed; ``None`` while it has not failed, or nothing was tried."""
        return self._thread.error if self._thread is not None else self._setup_error

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the hub that this process runs; ``None`` while it runs none."""
        thread = self._thread
        return (self._bound_host, thread.port) if thread is not None and thread.error is None else None

    def on_request(self, environ: Mapping[str, Any]) -> bool:
        """See to it that a hub is starting or running; never wait for it.

        Returns:
            Whether the server that made *environ* is one beside which a hub can run.
        """
        if self._thread is not None and self._thread.error is None:
            return True
        is_dev_server = str(environ.get("SERVER_SOFTWARE", "")).startswith("Werkzeug/")
        # A server that forks for each request would take the thread down with the request.
        can_run = is_dev_server and not environ.get("wsgi.multiprocess")
        if can_run:
            self.start(self._host or str(environ.get("SERVER_NAME") or "127.0.0.1"))
        return can_run

    def start(self, host: str) -> None:
        """Start a hub on *host*; after a failure, at most once per second."""
        with self._lock:
            is_running = self._thread is not None and self._thread.error is None
            if is_running or self._monotonic() - self._tried_at < RETRY_AFTER_S:
                return
            self._log_failure()
            self._tried_at = self._monotonic()
            self._bound_host = host
            self._thread, self._setup_error = None, None
            try:
                thread = self._make_thread(host)
                thread.start()
            except ChatixCommentsError as exc:
                self._setup_error = exc if isinstance(exc, HubStartError) else HubStartError(str(exc))
                self._log_failure()
            else:
                self._thread = thread

    def wait(self, timeout_s: float) -> None:
        """Wait until the hub listens; return at once when this process runs none.

        Raises:
            HubStartError: It does not listen, and no other process has it either.
        """
        thread = self._thread
        if thread is not None and not thread.wait_ready(timeout_s) and thread.error is None:
            raise HubStartError(f"The built-in hub did not start within {timeout_s:g} s.")
        self._log_failure()
        error = self.error
        # Another process that has the lock serves the readers of this one as well.
        if error is not None and not error.is_locked:
            raise error

    def stop(self) -> None:
        """Stop the hub, when this process runs one."""
        with self._lock:
            if self._thread is not None:
                self._thread.stop()
                self._thread = None

    def _log_failure(self) -> None:
        """A page asks every few seconds; the log needs each cause once."""
        error = self.error
        if error is not None and str(error) != self._logged:
            self._logged = str(error)
            hint = " The setting is CHATIX_HUB_PORT." if isinstance(error, HubPortError) else ""
            logger.log(logging.INFO if error.is_locked else logging.ERROR, "%s%s", error, hint)
