"""What somebody wrote, as markup: links become links, everything else stays text. See ``browser/prose.ts``.

Here only those become links that a browser reads just as they stand: an address that it would spell in another way,
or whose host it would, stays text until the script has a look at it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from markupsafe import Markup, escape

MAX_LINK_CHARS = 2_000
REL = "nofollow ugc noopener noreferrer"
# The class leaves out what ends a link in prose.ts: controls, formats, and marks that quote.
_LINK = re.compile(
    r"(?<![A-Za-z0-9_])https?://[^\s\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f<>\"'`\u2018-\u201f\u00ab\u00bb]+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(https?)://([a-z0-9][a-z0-9.-]*)(:[0-9]{1,5})?([/?#].*)?", re.IGNORECASE | re.DOTALL)
_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_DOTS = re.compile(r"^[^?#]*/(\.|%2e){1,2}([/?#]|$)", re.IGNORECASE)
_TRAILING = frozenset(".,:;!?…*_~")
_OPENING_OF = {")": "(", "]": "[", "}": "{"}
# Written as they are; a browser writes all others with percent signs.
_KEPT_IN_PATHS = "!#$%&'()*+,-./:;=?@[]^_|~{}"


def to_markup(text: str) -> Markup:
    """Return *text* with its links. Line breaks stay characters: the stylesheet keeps them visible."""
    parts, position = [], 0
    for match in _LINK.finditer(text):
        if len(match[0]) > MAX_LINK_CHARS:
            continue
        address = _trimmed(match[0])
        href = safe_url(address)
        if href is None:
            continue
        parts += [escape(text[position : match.start()]), _link(href, address)]
        position = match.start() + len(address)
    return Markup("").join([*parts, escape(text[position:])])


def safe_url(address: str | None) -> str | None:
    """Return an address as a browser spells it, if it can be followed without harm and there is no doubt."""
    match = _ADDRESS.fullmatch(address or "")
    if match is None:
        return None
    scheme, host, port, rest = match[1].lower(), match[2].lower(), (match[3] or "")[1:], match[4] or "/"
    if not _is_plain_host(host) or (port and (port == _DEFAULT_PORTS[scheme] or str(int(port)) != port)):
        return None
    if int(port or 0) > 65_535 or "\\" in rest or _DOTS.search(rest):
        return None
    path = rest if rest.startswith("/") else f"/{rest}"
    return f"{scheme}://{host}{':' + port if port else ''}{quote(path, safe=_KEPT_IN_PATHS)}"


def _is_plain_host(host: str) -> bool:
    """Whether browsers read a host just so: "0x7f.1" is an address to them, and "xn--" may be wrong."""
    labels = host.removesuffix(".").split(".")
    if not all(labels) or any(label.startswith("xn--") or label.endswith("-") for label in labels):
        return False
    last = labels[-1]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return _IPV4.fullmatch(host) is not None and all(int(label) <= 255 for label in labels)
    return True


def _link(href: str, label: str) -> Markup:
    return Markup('<a href="{}" dir="ltr" rel="{}">{}</a>').format(href, REL, label)


def _trimmed(address: str) -> str:
    """Leave out what belongs to the sentence: "(see https://example.org/a_(b))."."""
    counts = {mark: address.count(mark) for pair in _OPENING_OF.items() for mark in pair}
    end = len(address)
    while end > 0:
        last = address[end - 1]
        opening = _OPENING_OF.get(last)
        is_unpaired = opening is not None and counts[last] > counts[opening]
        if not is_unpaired and last not in _TRAILING:
            break
        if last in counts:
            counts[last] -= 1
        end -= 1
    return address[:end]
