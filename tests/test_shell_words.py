"""What others wrote, in a terminal and for a shell."""

from __future__ import annotations

import subprocess

import pytest

from flask_chatix_comments.shell_words import one_line, quoted


@pytest.mark.parametrize(
    "word", ["swifts", "it's", "a b; rm -rf", "Päivä", "a\tb", "\x1b[2J", "back\\slash\n", "$HOME"]
)
def test_a_shell_reads_what_was_quoted(word: str) -> None:
    shown = quoted(word)
    assert one_line(shown) == shown
    told = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True, text=True)
    assert told.stdout == word
