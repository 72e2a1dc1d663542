"""Run a hub: in the foreground, or in a thread beside a development server or a test."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from ..errors import HubStartError
from . import garbage, open_files
from .app import create_hub
from .config import HubConfig
from .startup import ready_to_serve
from .web_server import WebServer, make_server

logger = logging.getLogger(__name__)


class HubThread:
    """A hub in a daemon thread of this process. Made once, started once.

    Args:
        port: 0 lets the system choose.
        lock_path: The file of the lock; beside the database, whose only hub this will be.
        wrap: Puts something in front of the hub's application.
    """

    def __init__(
        self,
        config: HubConfig,
        *,
        host: str,
        port: int,
        lock_path: Path,
        wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        self._config = config
        self._wrap = wrap
        self._host = host
        self._port = port
        self._lock_path = lock_path
        self._settled = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._server: WebServer | None = None
        self._must_stop = False
        self._error: HubStartError | None = None

    @property
    def error(self) -> HubStartError | None:
        """Why the hub could not start, or that it failed later; ``None`` otherwise."""
        return self._error

    @property
    def port(self) -> int:
        """The port; where 0 was asked for, the real one once the hub is ready."""
        return self._port

    @property
    def url(self) -> str:
        """The base of the API and of the hub, on the address that the hub is bound to."""
        return _url(self._host, self._port)

    def start(self) -> None:
        """Begin to start; return at once. Called again, it does nothing."""
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chatix-hub", daemon=True)
                self._thread.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the hub listens; false when it does not in time, or has failed: see ``error``."""
        return self._settled.wait(timeout_s) and self._error is None and not self._must_stop

    def stop(self, timeout_s: float = 5) -> None:
        """Send the clients away, finish what was begun, and end the thread. Called again, it does nothing."""
        self._must_stop = True
        server, thread = self._server, self._thread
        if server is not None:
            server.should_exit = True
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with ready_to_serve(self._config, self._host, self._port, self._lock_path) as (listener, store):
                self._port = listener.getsockname()[1]
                app = self._wrap(create_hub(self._config, store=store))
                self._server = make_server(app, self._config, when_started=self._settled.set)
                self._server.should_exit = self._must_stop
                atexit.register(self.stop)
                asyncio.run(self._server.serve(sockets=[listener]))
        except HubStartError as exc:
            self._error = exc
        except (Exception, SystemExit) as exc:
            logger.exception("The built-in hub has failed.")
            self._error = HubStartError(f"The built-in hub has failed: {type(exc).__name__}. The log has the details.")
        finally:
            atexit.unregister(self.stop)
            self._settled.set()


def run_hub(
    config: HubConfig, *, host: str, port: int, lock_path: Path, when_listening: Callable[[str], None] | None = None
) -> None:
    """Run a hub until it is told to stop by SIGINT or SIGTERM.

    Args:
        port: 0 lets the system choose.
        when_listening: Is told the base of the API and of the hub, on the address that the hub is bound to.

    Raises:
        HubStartError: It cannot start.
    """
    open_files.raise_limit()
    with _told_to_end(), ready_to_serve(config, host, port, lock_path) as (listener, store):
        url = _url(host, listener.getsockname()[1])
        when_started = partial(_begin, partial(when_listening, url) if when_listening is not None else None)
        server = make_server(create_hub(config, store=store), config, when_started=when_started)
        try:
            asyncio.run(server.serve(sockets=[listener]))
        except SystemExit as exc:
            # uvicorn ends the program in its own way when the application cannot start; it has logged why.
            raise HubStartError("The built-in hub has failed. The log has the details.") from exc


def _begin(announce: Callable[[], None] | None) -> None:
    garbage.settle()
    if announce is not None:
        announce()


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """End quietly at SIGINT and SIGTERM, at whatever moment they come: who ends as told has not failed.

    uvicorn ends well at both, then raises them again for whoever had the handlers before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
