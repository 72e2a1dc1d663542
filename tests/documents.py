"""What the tests read out of the documents."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FITTING_IN = ROOT / "docs/fitting-in.md"
TESTING = ROOT / "docs/testing-your-blog.md"


def document(name: str) -> str:
    """Return a document's text; *name* counts from the checkout."""
    return (ROOT / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def blocks_under(heading: str, path: Path, *, language: str = "python") -> list[str]:
    """Return the blocks under *heading*."""
    (text,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    return blocks(text, language)


def block(heading: str, path: Path = FITTING_IN, *, language: str = "python") -> str:
    """Return the first block under *heading*."""
    return blocks_under(heading, path, language=language)[0]


def commands(text: str, program: str) -> list[str]:
    """Return the command lines of the console blocks that begin with *program*."""
    lines = [line for block in blocks(text, "console") for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.split()[0] == program]


def run(code: str, **names: object) -> dict[str, object]:
    """Run *code* with *names*, as a module of the site would be; return all names that there are then."""
    found: dict[str, object] = {"__name__": "blog", **names}
    exec(compile(code, "document", "exec"), found)
    return found
