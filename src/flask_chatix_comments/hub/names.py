"""Which names look like which: keys of names, two of which are alike when they share one.

Names are compared after NFKC, by letters and digits only, without regard to case, and by what characters look like
(UTS 39, section 4). Case and look cannot be one key: a small L is no I, but the capital I in "MARIT" is one.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping
from importlib.resources import files

#: Some signs stand for whole words: the keys of such names are cut.
MAX_KEY_CHARS = 255


def name_keys(name: str) -> frozenset[str]:
    """Return what *name* is known by to those who read it: as it is written, and in whatever case."""
    text = unicodedata.normalize("NFKC", name)
    return frozenset({_essence(_skeleton(text.casefold())), _essence(_skeleton(text).casefold())})


def keys_to_protect(name: str) -> frozenset[str]:
    """Return the keys that nobody else's name may have: those of *name*, and what it looks like in capitals."""
    return name_keys(name) | name_keys(name.upper())


def _skeleton(text: str) -> str:
    """Return what *text* looks like (UTS 39, section 4)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFKD", text).translate(_prototypes()))


def _essence(text: str) -> str:
    """Leave out spaces, punctuation and symbols: "Ada ✓" and "A.d.a" read as "Ada". A name of nothing else stays."""
    letters = "".join(character for character in text if unicodedata.category(character)[0] in "LMN")
    return (letters or "".join(text.split()))[:MAX_KEY_CHARS]


@functools.cache
def _prototypes() -> Mapping[int, str]:
    table: dict[int, str] = {}
    for line in files(__package__).joinpath("confusables.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            seen, alike = (part.split() for part in line.split(";"))
            table |= dict.fromkeys((int(one, 16) for one in alike), "".join(chr(int(one, 16)) for one in seen))
    return table
