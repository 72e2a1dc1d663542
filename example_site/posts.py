"""The posts: Markdown files with a few lines of ``key: value`` on top, read once when the site starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

FOLDER = Path(__file__).parent / "posts"
MARKDOWN = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable(
    ["table", "replacements", "smartquotes"]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One post of the blog.

    Attributes:
        slug: The file's name without ``.md``; the post's ID, so it stays when the title changes.
    """

    slug: str
    title: str
    date: date
    summary: str
    html: Markup


def read_entry(path: Path) -> Entry:
    """Read one file: the header, an empty line, the text."""
    header, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    facts = dict(line.split(": ", 1) for line in header.splitlines())
    return Entry(
        slug=path.stem,
        title=facts["title"],
        date=date.fromisoformat(facts["date"]),
        summary=facts["summary"],
        html=Markup(MARKDOWN.render(text)),  # safe: with "html" off, the renderer escapes all that is not Markdown
    )


ENTRIES = {
    entry.slug: entry for entry in sorted(map(read_entry, FOLDER.glob("*.md")), key=lambda e: e.date, reverse=True)
}
