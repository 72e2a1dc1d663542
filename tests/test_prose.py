"""Text as markup: what is a link here is the same link in the browser, and what is in doubt is none."""

from __future__ import annotations

import time

import pytest
from bs4 import BeautifulSoup

from flask_chatix_comments.prose import safe_url, to_markup


def links(text: str) -> list[tuple[str, str]]:
    soup = BeautifulSoup(to_markup(text), "html.parser")
    assert soup.get_text() == text
    assert {name for tag in soup.find_all() for name in tag.attrs} <= {"href", "dir", "rel"}
    return [(str(tag["href"]), tag.text) for tag in soup.find_all("a")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://example.org", [("https://example.org/", "https://example.org")]),
        ("(see https://example.org/a_(b)).", [("https://example.org/a_(b)", "https://example.org/a_(b)")]),
        ("HTTP://EXAMPLE.org:8080/A?b#c!", [("http://example.org:8080/A?b#c", "HTTP://EXAMPLE.org:8080/A?b#c")]),
        ("http://127.0.0.1:5000/x", [("http://127.0.0.1:5000/x", "http://127.0.0.1:5000/x")]),
        ("éhttps://example.org/é", [("https://example.org/%C3%A9", "https://example.org/é")]),
        ("https://a.example\u200bhttps://b.example/", [(f"https://{x}.example/", "") for x in "ab"]),
        ("https://example.org/a..b", [("https://example.org/a..b", "https://example.org/a..b")]),
        # Browsers would spell these in another way, or show another host: the script has a look at them.
        ("https://example.org/../x https://example.org/a/%2E%2e/b https://example.org/x/../#", []),
        ("https://bücher.example/ https://xn--bcher-kva.example/ https://b\u0430nk.example/", []),
        ("http://0x7f.1/ http://2130706433/ http://1.2.3.256/ http://01.2.3.4/ http://example.0x10/", []),
        ("https://example.org:443/ https://example.org:99999/ https://example.org:007/", []),
        ("https://user@example.org/ https://u:p@example.org/ https://example.org\\@evil.example/", []),
        ("https:// https://. https://-x-.example/ https://..example/ http:example.org", []),
        ("javascript:alert(1) data:text/html,x ftp://example.org/ //example.org/ xhttps://example.org/", []),
    ],
)
def test_links(text: str, found: list[tuple[str, str]]) -> None:
    assert [href for href, _ in links(text)] == [href for href, _ in found]
    assert all(label == shown for (_, label), (_, shown) in zip(links(text), found, strict=True) if shown)


def test_what_is_too_long_is_no_address() -> None:
    assert links("https://example.org/" + "x" * 1_980) != []
    assert links("https://example.org/" + "x" * 1_981) == []


@pytest.mark.parametrize("text", ["https://example.org/" + ")" * 50_000, "https://" * 10_000, "http" * 20_000])
def test_no_text_takes_long(text: str) -> None:
    start = time.thread_time()
    to_markup(text)
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("address", [None, "", "javascript:alert(1)", "/v1/file/x", "https://", "http://[::1]/"])
def test_what_cannot_be_followed(address: str | None) -> None:
    assert safe_url(address) is None
