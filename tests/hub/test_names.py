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
        ("Marit Lund", "Märit Lund"),
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
    assert 1 <= len(keys_to_protect(name)) <= 4


def test_every_name_has_keys_that_hold_something() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    names = [one for one in characters if may_be_in_name(one) and is_visible(one) and unicodedata.category(one) != "Cn"]
    assert len(names) > 100_000
    empty = {name for name in names if not all(name_keys(name))}
    assert empty == set()
