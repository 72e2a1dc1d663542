"""What the server may say in its log: nothing that people sent, and nothing a thousand times."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import h11
from starlette.requests import ClientDisconnect

logger = logging.getLogger(__name__)

#: uvicorn's loggers of what happens on connections: "accepted" with the whole URL, frames, scopes.
CONNECTION_LOGGERS = ("uvicorn.error", "uvicorn.asgi")
ACCESS_LOGGER = "uvicorn.access"
QUIET_S = 60.0
_QUERY = re.compile(r"\?[^\s\"]*")
_WORD = re.compile("[0-9a-z]+")
#: What names a ticket, wherever it was sent to.
_TICKET = re.compile(r"[?&]visitorid=", re.IGNORECASE)
_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: What any client can bring about with a few bytes, as often as it likes; each costs a traceback.
_CLIENTS_FAULTS = (UnicodeDecodeError, h11.ProtocolError, ClientDisconnect)
#: Said when a client sends what is no HTTP, or asks for another protocol: often enough once a minute.
_CLIENTS_LINES = frozenset({"Invalid HTTP request received.", "Unsupported upgrade request."})


def install() -> None:
    """Make uvicorn's log of connections discreet; called again, it does nothing."""
    for name in CONNECTION_LOGGERS:
        server_log = logging.getLogger(name)
        if not any(isinstance(one, DiscretionFilter) for one in server_log.filters):
            server_log.addFilter(DiscretionFilter())


def install_for_mounted(path: str) -> None:
    """Make discreet what a uvicorn of the site's own logs: of connections, and of requests to the hub.

    Args:
        path: Where the hub is, below the application's root.
    """
    install()
    access_log = logging.getLogger(ACCESS_LOGGER)
    if not any(isinstance(one, AccessFilter) and one.path == path for one in access_log.filters):
        access_log.addFilter(AccessFilter(path))


def without_queries(text: str) -> str:
    """Return *text* with the queries of URLs left out: there tickets stand."""
    return _QUERY.sub("?...", text)


class Seldom:
    """Lets each line pass once a minute.

    Args:
        clock: Seconds that go on steadily.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def may_say(self, line: str) -> bool:
        """Whether *line*, one of a few, has not been said for a minute; it counts as said then."""
        now = self._clock()
        if now - self._said_at.get(line, -QUIET_S) < QUIET_S:
            return False
        self._said_at[line] = now
        return True

    def warn(self, line: str) -> None:
        """Write *line* to the log, unless it was written a short while ago."""
        if self.may_say(line):
            logger.warning(line)


class DiscretionFilter(logging.Filter):
    """Keep tickets, which stand in query strings, and what people write out of the server's log."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a line pass without its query strings; below the level INFO it would hold whole frames and scopes."""
        if record.levelno < logging.INFO or _is_a_clients_fault(record):
            return False
        if record.msg in _CLIENTS_LINES and not self._seldom.may_say(record.msg):
            return False
        record.msg, record.args = without_queries(record.getMessage()), None
        return True


class AccessFilter(logging.Filter):
    """Keep tickets out of the access log of a server that serves more than the hub.

    Attributes:
        path: Where the hub is.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a line pass, one about the hub without its query string. The formatter wants the arguments apart."""
        if isinstance(record.args, tuple):
            record.args = tuple(self._without_query(value) for value in record.args)
        return True

    def _without_query(self, value: object) -> object:
        is_of_hub = isinstance(value, str) and (self._is_near(value.partition("?")[0]) or _TICKET.search(value))
        return without_queries(str(value)) if is_of_hub else value

    def _is_near(self, path: str) -> bool:
        """Whether a path is the hub's, or was meant to be: it has the same words, whatever stands between them."""
        return f" {_words(self.path)} " in f" {_words(unquote(path))} "


def _words(path: str) -> str:
    return " ".join(_WORD.findall(path.casefold()))


def _is_a_clients_fault(record: logging.LogRecord) -> bool:
    return record.exc_info is not None and isinstance(record.exc_info[1], _CLIENTS_FAULTS)


def handle_loop_errors(seldom: Seldom) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return an event loop's exception handler.

    A loop that cannot accept says so with a traceback for each connection that waits, and again each second. It also
    gets what uvicorn fails at when it wants to refuse a request that it has answered.
    """

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        if isinstance(exc, OSError) and exc.errno in _NO_RESOURCES:
            seldom.warn(f"The hub cannot take another connection now: {exc.strerror}. Raise `ulimit -n`.")
        elif not isinstance(exc, _CLIENTS_FAULTS):
            loop.default_exception_handler(context)

    return handle
