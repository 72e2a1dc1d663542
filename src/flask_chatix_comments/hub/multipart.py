"""The one file of an upload (RFC 7578): pieces of a body go in, pieces of the file come out. No I/O."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import RequestRefusedError

PART_NAME = "formFile"
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
#: What surrounds the file: two boundaries and the headers, with room to spare.
MAX_OVERHEAD_BYTES = 16_384

_NOT_READABLE = "The upload cannot be read. Please try again."


class FilePart:
    """The part ``formFile`` of a body that holds nothing else.

    Args:
        content_type: The header of the request.

    Attributes:
        file_name: As the sender gives it; known once the first piece of the file has come.
        declared_type: Likewise; a media type without parameters, in small letters.

    Raises:
        RequestRefusedError: The body is of another kind.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise RequestRefusedError(400, "An upload is a form with one file.")
        self.file_name = ""
        self.declared_type = ""
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._parts = 0
        self._is_whole = False
        self._pieces: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_field,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_end": self._end,
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as exc:
            raise RequestRefusedError(400, _NOT_READABLE) from exc

    def receive(self, data: bytes) -> list[bytes]:
        """Take a piece of the body; return what it holds of the file.

        Raises:
            RequestRefusedError: It is no form, or not one with this one file.
        """
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise RequestRefusedError(400, _NOT_READABLE) from exc
        pieces, self._pieces = self._pieces, []
        return pieces

    @property
    def is_whole(self) -> bool:
        """Whether the last boundary has come: what follows it is no part of the form (RFC 2046, section 5.1.1)."""
        return self._is_whole

    def finish(self) -> None:
        """Note that the body has ended.

        Raises:
            RequestRefusedError: Something is missing.
        """
        if not self._is_whole or not self._parts:
            raise RequestRefusedError(400, _NOT_READABLE)

    # What the parser calls

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise RequestRefusedError(400, "An upload is one file: send the others one after the other.")
        self._headers.clear()

    def _take_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if options.get(b"name") != PART_NAME.encode() or b"filename" not in options:
            raise RequestRefusedError(400, f"An upload is a form with one file, in the field {PART_NAME}.")
        self.file_name = options[b"filename"].decode(errors="replace")
        kind, _ = parse_options_header(self._headers.get(b"content-type"))
        self.declared_type = kind.decode("latin-1")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._is_whole = True
