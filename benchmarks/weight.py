"""What readers load for a comment section, packed by gzip; beside Isso's own script and style.

Run by ``make bench``, after the bundle was built. `make test` holds the same limits (tests/browser/build.test.ts).
Exit status 1 when a limit is missed.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from isso_peer import install_isso
from report import Report

BUNDLE = Path(__file__).parent.parent / "src/flask_chatix_comments/static/chatix_comments"
FIRST = ("comments.js", "comments.css")
# Of a reader of the built-in hub; who writes, and what only some threads need, loads more.
USUAL = (*FIRST, "section.js", "section.css")
ISSO = ("js/embed.min.js", "css/isso.css")
UNIT = "KB"


def kilobytes(paths: Sequence[Path]) -> float:
    """Return how many kilobytes of 1024 bytes these files have, each packed as a server packs it at its best."""
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths) / 1024


def measure(report: Report) -> None:
    names = json.loads((BUNDLE / "manifest.json").read_text())
    report.title("What readers load for a comment section, packed by gzip")
    with tempfile.TemporaryDirectory() as name:
        isso = install_isso(Path(name), "--no-deps")
        report.note(
            "Isso, script and style, on each page with comments", kilobytes([isso / path for path in ISSO]), UNIT
        )
    report.most("before the section is near", kilobytes([BUNDLE / names[name] for name in FIRST]), UNIT, 3)
    report.most("in all, to read along", kilobytes([BUNDLE / names[name] for name in USUAL]), UNIT, 20)
    report.note(
        "in all, to read and to write",
        kilobytes([BUNDLE / names[name] for name in (*USUAL, "writing.js", "more.css")]),
        UNIT,
    )
    for name in sorted(set(names) - set(USUAL)):
        report.note(f"more, for those who need it: {name}", kilobytes([BUNDLE / names[name]]), UNIT)


def main() -> int:
    report = Report()
    measure(report)
    if report.missed:
        print(f"\nMissed: {', '.join(report.missed)}.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
