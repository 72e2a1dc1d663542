"""The code blocks of the documentation, by the heading under which they stand."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FITTING_IN = ROOT / "docs/fitting-in.md"
TESTING = ROOT / "docs/testing-your-blog.md"


def blocks(heading: str, path: Path, *, language: str = "python") -> list[str]:
    """Return the blocks under *heading*."""
    (text,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def block(heading: str, path: Path = FITTING_IN, *, language: str = "python") -> str:
    """Return the first block under *heading*."""
    return blocks(heading, path, language=language)[0]


def run(code: str, **names: object) -> dict[str, object]:
    """Run *code* with *names*, as a module of the site would be; return all names that there are then."""
    found: dict[str, object] = {"__name__": "blog", **names}
    exec(compile(code, "document", "exec"), found)
    return found
