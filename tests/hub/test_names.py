"""Names that pass for another, and those that do not."""

from __future__ import annotations

import unicodedata

import pytest

from flask_chatix_comments.hub.names import keys_to_protect, name_keys
from flask_chatix_comments.models import is_visible, may_be_in_name


def passes_for(name: str, known: str) -> bool:
    return bool(name_keys(name) & keys_to_protect(known))


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("Marit Lund", "Marit Lund"),
        ("Marit Lund", "marit lund"),
        ("Marit Lund", "MARIT LUND"),
        # Spaces and punctuation.
        ("Marit Lund", "MaritLund"),
        ("Marit Lund", "Marit.Lund"),
        ("Marit Lund", "“Marit Lund” ✓"),
        ("Marit Lund", "Marit\u2800Lund"),
        ("Marit Lund", "Ma\u200drit Lund"),
        ("Marit Lund", "Marit\ufe0f Lund"),
        # NFKC.
        ("Marit Lund", "Ｍａｒｉｔ Ｌｕｎｄ"),
        ("Marit Lund", "𝐌𝐚𝐫𝐢𝐭 𝐋𝐮𝐧𝐝"),
        ("Zoé", "Zoe\u0301"),
        ("Weiß", "WEISS"),
        # Signs on letters, and beside them.
        ("Marit Lund", "Märit Lund"),
        ("Jürgen", "Jurgen"),
        ("Marit Lund", "Mari\u0307t Lund"),
        ("Marit Lund", "Mar\u0131\u0307t Lund"),
        ("Marit Lund", "Marit Lund\u00b4"),
        ("Marit Lund", "\u00af\u02d9Marit Lund\u00b8\u00a8"),
        ("Marit Lund", "Marit Lund\u02cc"),
        ("Marit Lund", "Marit Lund\ua717"),
        # Letters in frames, and small ones.
        ("Marit Lund", "ᴍᴀʀɪᴛ ʟᴜɴᴅ"),
        ("Marit Lund", "🅜🅐🅡🅘🅣 🅛🅤🅝🅓"),
        ("Marit Lund", "🅼🅰🆁🅸🆃 🅻🆄🅽🅳"),
        ("Marit Lund", "🇲🇦🇷🇮🇹 🇱🇺🇳🇩"),
        ("Marit Lund", "Marit Lund 🇳🇴"),
        ("Marit Lund", "Marit Lund 🅰"),
        # Letters of other scripts.
        ("Marit Lund", "М\u0430r\u0456t Lund"),
        ("Marit Lund", "\u039cARI\u03a4 LUND"),
        ("Helen", "\u041dELEN"),
        ("Елена", "ЕЛЕНА"),
        ("Елена", "E\u043b\u0435\u043d\u0430"),
        ("Ольга", "Oльгa"),
        # One letter that is drawn as another.
        ("Kelly", "KeIly"),
        ("Kelly", "Ke1ly"),
        ("Kelly", "Ke|ly"),
        ("Kelly", "\u041aEIIy"),
        ("Marit", "MARlT"),
        ("Marit", "rnarit"),
        ("Bob", "B0b"),
        ("Ian", "lan"),
        ("🦊", "🦊 "),
        ("山田", "山田"),
        ("--", "- -"),
    ],
)
def test_these_pass_for_another(known: str, name: str) -> None:
    assert passes_for(name, known)


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("Marit Lund", "Marit"),
        ("Marit Lund", "Marit L."),
        ("Marit Lund", "Marit Lundgren"),
        ("राम", "रीमा"),
        ("佐々木", "佐木"),
        ("か", "が"),
        ("Nina", "Viva"),
        ("Nell", "Neil"),
        ("Елена", "Elena"),
        ("🦊", "🐻"),
        ("山田", "山本"),
        ("🦊", "a"),
    ],
)
def test_these_do_not(known: str, name: str) -> None:
    assert not passes_for(name, known)


@pytest.mark.parametrize("name", ["Marit Lund", "Kelly", "Елена", "Ørsted", "Jürgen", "🦊", "İpek", "ﬁona", "Ⅷ"])
def test_a_name_passes_for_itself_and_has_few_keys(name: str) -> None:
    assert passes_for(name, name)
    assert 1 <= len(keys_to_protect(name)) <= 6


def test_nothing_that_is_hardly_seen_makes_another_name() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    hardly_seen = [one for one in characters if unicodedata.category(one) in ("Sk", "Lm") and may_be_in_name(one)]
    decoration = [one for one in hardly_seen if unicodedata.normalize("NFKD", one)[0] in (one, " ")]
    assert len(decoration) > 200
    pass_not = {one for one in decoration if not passes_for(f"Marit Lund{one}", "Marit Lund")}
    # The last is drawn as a 2.
    assert pass_not == set("々〻ゝーヽ\ua9cf")


def test_every_name_has_keys_that_hold_something() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    names = [one for one in characters if may_be_in_name(one) and is_visible(one) and unicodedata.category(one) != "Cn"]
    assert len(names) > 100_000
    empty = {name for name in names if not all(name_keys(name))}
    assert empty == set()
