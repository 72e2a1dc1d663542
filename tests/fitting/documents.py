"""The code blocks of the documentation, by the heading under which they stand."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FITTING_IN = ROOT / "docs/fitting-in.md"
README = ROOT / "README.md"


def block(heading: str, path: Path = FITTING_IN, *, language: str = "python") -> str:
    """Return the first block under *heading*."""
    (text,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(blocks[0])


def run(code: str, **names: object) -> dict[str, object]:
    """Run *code* with *names*, as a module of the site would be; return all names that there are then."""
    found: dict[str, object] = {"__name__": "blog", **names}
    exec(compile(code, str(FITTING_IN), "exec"), found)
    return found
