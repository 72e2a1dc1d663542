"""Where a command gets its posts from: the site's loader, or a file."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeVar

import click

from .backfill import FileFormat, read_posts
from .cli_progress import make_way
from .cli_support import note
from .errors import PostError
from .models import Post
from .state import AppState

#: So many failures are kept for the JSON document; all of them are said on stderr.
MAX_FAILURES = 1_000

C = TypeVar("C", bound=Callable[..., Any])

concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="API calls at once."
)


def from_file_options(command: C) -> C:
    """Add the options that name a file of posts: ``path`` and ``file_format``."""
    path = click.option(
        "--from-file",
        "path",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        help="JSON lines or CSV with id, title and is_private; - for stdin.",
    )
    file_format = click.option(
        "--format", "file_format", type=click.Choice(["jsonl", "csv"]), help="Of FILE; else seen from its start."
    )
    return path(file_format(command))


@dataclass(slots=True)
class Failures:
    """What has failed: said at once, counted, and the first ones kept.

    Attributes:
        rows: For the JSON document.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Note a failure; its ``post_id`` is ``None`` where a line of a file is no post."""
        post_id = row["post_id"]
        make_way()
        note(row["error"] if post_id is None else f"{post_id}: {row['error']}")
        self.count += 1
        if len(self.rows) < MAX_FAILURES:
            self.rows.append(row)


@contextlib.contextmanager
def posts_of(
    state: AppState, path: str | None, file_format: FileFormat | None, on_bad_line: Callable[[str], object]
) -> Iterator[Iterable[Post]]:
    """Yield the posts to work on; *on_bad_line* is told what is wrong with single lines of a file."""
    if path is None:
        yield state.loaders.load_posts()
        return

    def note_bad_line(error: PostError) -> None:
        on_bad_line(str(error))

    with open_text(path) as stream:
        yield read_posts(stream, format=file_format, on_error=note_bad_line)


def open_text(path: str) -> AbstractContextManager[TextIO]:
    """Open FILE as UTF-8, whatever the terminal's locale says; csv wants its line ends untouched."""
    if path == "-":
        return contextlib.nullcontext(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline=""))
    try:
        return open(path, encoding="utf-8", newline="")
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
