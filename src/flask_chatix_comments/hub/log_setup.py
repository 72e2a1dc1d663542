"""The log of a hub that is a process of its own: a line for each event, as text or as JSON.

What the hub says itself holds no secret and nothing that people wrote. Others may: so of the lines of other loggers
the first is kept, of exceptions that are not ours the kind, and of URLs what is before the query.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from ..errors import ChatixCommentsError
from .watched import request_id
from .web_log import without_queries

LogFormat = Literal["text", "json"]
LogLevel = Literal["info", "warning", "error"]

PACKAGE = __name__.partition(".")[0]
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up_log(log_format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Write the whole process's log in one form, instead of what wrote it to the terminal before.

    Args:
        level: Of what the hub says; of others warnings and errors are enough.
        stream: Where to; stderr by default.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT))
    root.addHandler(handler)
    logging.getLogger(PACKAGE).setLevel(level.upper())
    # Python's own go to stderr otherwise.
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """One JSON object on one line for each record, in ASCII.

    Its keys are ``time`` (UTC), ``level``, ``logger`` and ``message``; ``request_id``, where something was done on
    behalf of one; ``exception``; and what the hub adds to a line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message_of(record),
        }
        if (request := request_id.get()) is not None:
            fields["request_id"] = request
        if record.exc_info is not None and record.exc_info[1] is not None:
            fields["exception"] = list(map(_describe, _chain_of(record.exc_info[1])))
        return json.dumps(fields | getattr(record, "chatix_fields", {}))


def _message_of(record: logging.LogRecord) -> str:
    message = record.getMessage()
    # asyncio names a task and what it failed at in the lines below, uvicorn a traceback.
    return without_queries(message if record.name.partition(".")[0] == PACKAGE else message.partition("\n")[0])


def _chain_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it came of."""
    seen: set[int] = set()
    found: BaseException | None = exc
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _describe(exc: BaseException) -> dict[str, Any]:
    """Return the kind of an exception, and where it comes from; its text only if it cannot be what somebody wrote."""
    described: dict[str, Any] = {"type": type(exc).__name__}
    if isinstance(exc, ChatixCommentsError):
        described["message"] = str(exc)
    elif isinstance(exc, OSError) and exc.strerror:
        described["message"] = exc.strerror
    frames = traceback.extract_tb(exc.__traceback__)
    return described | {"stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}
