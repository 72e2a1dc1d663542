"""Records: each is one JSON text that ends in 0x1E (HubProtocol.md, "JSON Encoding").

Only whole records are ever emitted: clients refuse parts.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import MessageTooLargeError

RECORD_SEPARATOR = "\x1e"
#: So many pieces of a record are kept apart: each small text costs many times its length.
MAX_PARTS = 256


class RecordReader:
    """Collect text until a record is whole.

    Args:
        limit_bytes: How large a record may be, in UTF-8, its separator not counted.
    """

    __slots__ = ("_limit_bytes", "_parts", "_size_bytes")

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._parts: list[str] = []
        self._size_bytes = 0

    @property
    def is_amid(self) -> bool:
        """Whether a record has begun and is not whole."""
        return bool(self._parts)

    def feed(self, text: str) -> Iterator[str]:
        """Yield the records that *text* completes, without their separators.

        Raises:
            MessageTooLargeError: A record, whole or begun, is larger than allowed; those before it have
                been yielded.
        """
        *ends, rest = text.split(RECORD_SEPARATOR)
        for end in ends:
            self._keep(end)
            record = "".join(self._parts)
            self._parts.clear()
            self._size_bytes = 0
            yield record
        if rest:
            self._keep(rest)

    def _keep(self, part: str) -> None:
        self._size_bytes += len(part.encode("utf-8", "surrogatepass"))
        if self._size_bytes > self._limit_bytes:
            raise MessageTooLargeError(size_bytes=self._size_bytes, limit_bytes=self._limit_bytes)
        self._parts.append(part)
        if len(self._parts) > MAX_PARTS:
            self._parts = ["".join(self._parts)]


def frame(text: str) -> str:
    """Return *text* as a record."""
    return text + RECORD_SEPARATOR
