"""Which names look like which: keys of names, two of which are alike when they share one.

Names are compared after NFKC, by letters and digits only, without regard to case and accents, and by what characters
look like (UTS 39, section 4). Case and look cannot be one key: a small L is no I, but the capital I in "MARIT" is one.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from importlib.resources import files

#: Some signs stand for whole words: the keys of such names are cut.
MAX_KEY_CHARS = 255
#: Signs on letters of the European scripts: a dot on an i is hard to see, and a name without its accents is the same.
#: In other scripts marks are vowels, and make another name.
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
#: Of the modifier letters, many of which look like a comma or nothing, those that stand in names: 佐々木, ラーメン.
_REPEATING_LETTERS = "\u3005\u303b\u309d\u309e\u30fc\u30fd\u30fe"
_BLOCKS_OF_LETTERS = (range(0x250, 0x2B0), range(0x1D00, 0x1D80), range(0xA720, 0xA800), range(0x1F100, 0x1F200))


def name_keys(name: str) -> frozenset[str]:
    """Return what *name* is known by to those who read it: as it is written, and in whatever case."""
    # A symbol may be a letter of the name, or stand behind it: 🅜🅐🅡🅘🅣, or "Marit 🅰".
    spelled = name.translate(_symbol_letters())
    return _keys(name) if spelled == name else _keys(name) | _keys(spelled)


def keys_to_protect(name: str) -> frozenset[str]:
    """Return the keys that nobody else's name may have: those of *name*, and what it looks like in capitals."""
    return name_keys(name) | name_keys(name.upper())


def _keys(name: str) -> frozenset[str]:
    # Before NFKC, which makes a mark on a space of some of them.
    text = "".join(character for character in name if unicodedata.category(character) != "Sk") or name
    text = unicodedata.normalize("NFKC", text).translate(_small_capitals())
    return frozenset({_essence(_skeleton(text.casefold())), _essence(_skeleton(text).casefold())})


def _skeleton(text: str) -> str:
    """Return what *text* looks like (UTS 39, section 4)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFKD", text).translate(_prototypes()))


def _essence(text: str) -> str:
    """Leave out what makes no other name: spaces, punctuation, symbols, accents. A name of nothing else stays."""
    letters = "".join(character for character in text if _counts(character))
    return (letters or "".join(text.split()))[:MAX_KEY_CHARS]


def _counts(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Lm":
        return character in _REPEATING_LETTERS
    return category[0] in "LMN" and not _ACCENTS.match(character)


@functools.cache
def _symbol_letters() -> Mapping[int, str]:
    """Return the symbols that are a letter in a frame, and the halves of flags; NFKC leaves them as they are."""
    return _letters_named(r"(?:NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL|REGIONAL INDICATOR SYMBOL) LETTER ([A-Z])")


@functools.cache
def _small_capitals() -> Mapping[int, str]:
    return _letters_named("LATIN LETTER SMALL CAPITAL ([A-Z])")


def _letters_named(pattern: str) -> dict[int, str]:
    names = {code: unicodedata.name(chr(code), "") for block in _BLOCKS_OF_LETTERS for code in block}
    matches = {code: re.fullmatch(pattern, name) for code, name in names.items()}
    return {code: match[1] for code, match in matches.items() if match}


@functools.cache
def _prototypes() -> Mapping[int, str]:
    table: dict[int, str] = {}
    for line in files(__package__).joinpath("confusables.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            seen, alike = (part.split() for part in line.split(";"))
            table |= dict.fromkeys((int(one, 16) for one in alike), "".join(chr(int(one, 16)) for one in seen))
    return table
