"""Notice that no hub will come: the site's server starts none, and the settings name none.

The log tells the site's owner what to do, once; readers get a quiet notice in place of the comments.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import HubMissingError
from .process_lock import ProcessLock

_WAYS = (
    "Run the hub as a process of its own (flask chatix hub) and set CHATIX_HUB_URL to the URL by which readers reach"
    " it; or serve site and hub together, by uvicorn and flask_chatix_comments.asgi.mount(app); or set"
    " CHATIX_WEBSITE_ID and CHATIX_API_KEY for the hosted service."
)
_NO_LIFESPAN = (
    "The comments have no hub: it is mounted in the ASGI application, but the server has not run the lifespan of that."
    " Serve what mount(app) returns by itself, and by a server whose lifespan is not turned off."
)

logger = logging.getLogger(__name__)


class MissingHub:
    """What is known of the absence of a hub.

    Args:
        notice_path: A file whose lock tells the processes of a site which of them has told the log.

    Attributes:
        remedy: What to do about it; ``None`` as long as a hub may be there.
    """

    def __init__(self, notice_path: Path) -> None:
        self.remedy: str | None = None
        self._notice = ProcessLock(notice_path)
        self._lock = threading.Lock()

    def notice(self, environ: Mapping[str, Any], *, is_mounted: bool) -> None:
        """Note that no hub runs for the server that made *environ*; the first time, tell the log.

        Args:
            is_mounted: Whether the site has an ASGI application that would run one.
        """
        with self._lock:
            if self.remedy is not None:
                return
            # a2wsgi leaves the scope there: the application of mount(app) is what is served.
            has_slept = is_mounted and "asgi.scope" in environ
            self.remedy = _NO_LIFESPAN if has_slept else _text(environ)
            if self._is_first():
                logger.critical("%s", self.remedy)

    def _is_first(self) -> bool:
        """Whether no other process that runs has told the log."""
        try:
            return self._notice.take()
        except OSError:
            # Twice is better than not at all.
            return True

    def check(self) -> None:
        """Do nothing, as long as there may be one.

        Raises:
            HubMissingError: There is none, and none will come.
        """
        if self.remedy is not None:
            raise HubMissingError(self.remedy)

    def close(self) -> None:
        """Let another process tell it."""
        self._notice.release()


def _text(environ: Mapping[str, Any]) -> str:
    server = environ.get("SERVER_SOFTWARE") or "this server"
    return f"The comments have no hub: {server} starts none, and CHATIX_HUB_URL is not set. {_WAYS}"
