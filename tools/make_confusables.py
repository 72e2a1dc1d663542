"""Renew the table of characters that look alike, ``src/flask_chatix_comments/hub/confusables.txt``.

Run by hand, for a new version of Unicode::

    pip install icu4py
    python tools/make_confusables.py

The table is Unicode's own (UTS 39, ``confusables.txt``), read through ICU, which comes with icu4py: no package that
we know of is current, small and has the skeletons. What compatibility decomposition does anyway is left out.
Names that are stored were compared by the old table: a new one needs a step in ``hub/store/migrations.py``.
"""

from __future__ import annotations

import ctypes
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src/flask_chatix_comments/hub/confusables.txt"
HEADER = """\
# Characters that look alike, as Unicode {unicode} has them (UTS 39, section 4), from ICU {icu}.
# Made by tools/make_confusables.py. Each line: what is seen, then the characters that look like it; those of the line
# without the first part are not seen at all. What compatibility decomposition does anyway is left out.
#
"""
BUFFER_BYTES = 1024


class Icu:
    """The C functions of the ICU that icu4py brings along."""

    def __init__(self) -> None:
        paths = {path.name.partition("-")[0]: path.locate() for path in files("icu4py") or () if ".so." in path.name}
        for name in ("libicudata", "libicuuc", "libicui18n"):
            self._library = ctypes.CDLL(str(paths[name]), mode=ctypes.RTLD_GLOBAL)
        self.version = str(paths["libicuuc"]).rpartition(".so.")[2]
        self._suffix = "_" + self.version.partition(".")[0]
        self.licence = next(path.read_text() for path in files("icu4py") or () if path.name == "LICENSE-ICU")

    def _function(self, name: str) -> Callable[..., int]:
        function: Callable[..., int] = self._library[name + self._suffix]
        return function

    def unicode_version(self) -> str:
        """Return the version of Unicode whose data this is."""
        version = (ctypes.c_uint8 * 4)()
        self._function("u_getUnicodeVersion")(version)
        return ".".join(map(str, version[:3]))

    def skeletons(self) -> Callable[[str], str]:
        """Return the function that tells what a text looks like."""
        status = ctypes.c_int(0)
        opening = self._library["uspoof_open" + self._suffix]
        opening.restype = ctypes.c_void_p
        checker = ctypes.c_void_p(opening(ctypes.byref(status)))
        function, buffer = self._function("uspoof_getSkeletonUTF8"), ctypes.create_string_buffer(BUFFER_BYTES)

        def skeleton(text: str) -> str:
            given = text.encode()
            size = function(checker, 0, given, len(given), buffer, BUFFER_BYTES, ctypes.byref(status))
            assert status.value <= 0, f"ICU failed with {status.value}"
            return buffer.raw[:size].decode()

        return skeleton


def by_look(skeleton: Callable[[str], str]) -> dict[str, list[str]]:
    """Return what is seen, and the characters that look like it."""
    groups: dict[str, list[str]] = defaultdict(list)
    for character in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(character) in ("Cn", "Cs") or unicodedata.normalize("NFKD", character) != character:
            continue
        seen = skeleton(character)
        if seen != character:
            groups[seen].append(character)
    return groups


def in_hexadecimal(text: str) -> str:
    """Spell characters so that no editor turns or hides them."""
    return " ".join(f"{ord(character):04X}" for character in text)


def main() -> None:
    """Write the table."""
    icu = Icu()
    licence, _, _ = icu.licence.partition("\n-----")
    header = HEADER.format(unicode=icu.unicode_version(), icu=icu.version)
    notice = "".join(f"# {line}".rstrip() + "\n" for line in licence.strip().splitlines())
    groups = sorted(by_look(icu.skeletons()).items())
    rows = "".join(f"{in_hexadecimal(seen)}; {in_hexadecimal(''.join(alike))}\n" for seen, alike in groups)
    TABLE.write_text(header + notice + rows)


if __name__ == "__main__":
    main()
