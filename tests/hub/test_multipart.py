"""Bodies of uploads, literally (RFC 7578; HTML, "Multipart form data"), cut at every byte."""

from __future__ import annotations

import pytest

from flask_chatix_comments.errors import RequestRefusedError
from flask_chatix_comments.hub.multipart import FilePart

TYPE = "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"
BODY = (
    b"------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
    b'Content-Disposition: form-data; name="formFile"; filename="na\xc3\xafve \xe2\x82\xac.txt"\r\n'
    b"Content-Type: Text/Plain; charset=utf-8\r\n"
    b"\r\n"
    b"one\r\n--two\r\n------WebKit\r\nthree"
    b"\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n"
)
CONTENT = b"one\r\n--two\r\n------WebKit\r\nthree"


def parse(body: bytes, *pieces: bytes, content_type: str = TYPE) -> tuple[FilePart, bytes]:
    part = FilePart(content_type)
    content = b"".join(piece for data in (body, *pieces) for piece in part.receive(data))
    part.finish()
    return part, content


def refusal(body: bytes, content_type: str = TYPE) -> tuple[int, str]:
    with pytest.raises(RequestRefusedError) as caught:
        parse(body, content_type=content_type)
    return caught.value.status_code, str(caught.value)


def form(*headers: str, content: str = "x", boundary: str = "b") -> bytes:
    lines = [f"--{boundary}", *headers, "", content, f"--{boundary}--", ""]
    return "\r\n".join(lines).encode()


def test_a_browsers_form() -> None:
    part, content = parse(BODY)
    assert content == CONTENT
    assert (part.file_name, part.declared_type) == ("naïve €.txt", "text/plain")


def test_wherever_it_is_cut_it_is_the_same() -> None:
    for cut in range(len(BODY)):
        part, content = parse(BODY[:cut], BODY[cut:])
        assert (part.file_name, content) == ("naïve €.txt", CONTENT), cut
    part, content = parse(b"", *[BODY[index : index + 1] for index in range(len(BODY))])
    assert (part.file_name, content) == ("naïve €.txt", CONTENT)


def test_half_a_form_is_none() -> None:
    # The line's end after the last boundary is no part of it.
    for cut in range(len(BODY) - 2):
        assert refusal(BODY[:cut]) == (400, "The upload cannot be read. Please try again."), cut


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed; boundary=b"],
)
def test_other_bodies_are_refused(content_type: str) -> None:
    assert refusal(b"", content_type) == (400, "An upload is a form with one file.")


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="file"; filename="x"',
        'form-data; filename="x"',
        'form-data; name="formFile"',
        "form-data",
        "form-data; name=\"formFile\"; filename*=UTF-8''x",
    ],
)
def test_the_one_field_is_asked_for(disposition: str) -> None:
    body = form(f"Content-Disposition: {disposition}")
    says = "An upload is a form with one file, in the field formFile."
    assert refusal(body, "multipart/form-data; boundary=b") == (400, says)


def test_a_part_without_headers_is_refused() -> None:
    assert refusal(form(), "multipart/form-data; boundary=b")[0] == 400


def test_a_second_part_is_refused() -> None:
    header = 'Content-Disposition: form-data; name="formFile"; filename="x"'
    body = form(header).removesuffix(b"--\r\n") + b"\r\n" + form(header).split(b"\r\n", 1)[1]
    says = "An upload is one file: send the others one after the other."
    assert refusal(body, "multipart/form-data; boundary=b") == (400, says)


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"--other\r\n\r\n",
        form(*[f"X-{number}: y" for number in range(20)]),
        form("X: " + "y" * 5000),
        form("No colon"),
        b"\x00" * 100,
    ],
    ids=["nonsense", "other boundary", "many headers", "long header", "no header", "zeros"],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    assert refusal(body, "multipart/form-data; boundary=b")[0] == 400


def test_a_boundary_without_end_is_refused() -> None:
    assert refusal(b"", f"multipart/form-data; boundary={'b' * 1000}")[0] == 400


def test_old_names_and_missing_types() -> None:
    body = form('Content-Disposition: form-data; name="formFile"; filename="C:\\\\dir\\\\a.txt"')
    part, content = parse(body, content_type="Multipart/Form-Data; boundary=b")
    assert (part.declared_type, content) == ("", b"x")
    assert part.file_name.endswith("a.txt")
