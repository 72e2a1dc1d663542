"""What others wrote, as it may stand in a terminal, in the log and in a command that one copies from there."""

from __future__ import annotations

import shlex

from .models import may_be_in_name


def one_line(text: str) -> str:
    """Return what others wrote as it may stand in a terminal: no line breaks, no control sequences."""
    return " ".join("".join(character if may_be_in_name(character) else " " for character in text).split())


def quoted(word: str) -> str:
    """Return *word* for a shell; what a terminal would not show as it is, by its number."""
    if word == one_line(word):
        return shlex.quote(word)
    escaped = word.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"$'{escaped}'"
