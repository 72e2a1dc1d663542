"""``flask chatix export`` and ``import``: the registry as JSON lines."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from .cli_posts import open_text
from .cli_progress import progress_of
from .cli_support import as_json_option, chatix, explained, note, numbered, print_json
from .errors import TransferError
from .registry_transfer import RegistryImport, export_lines
from .shell_words import one_line
from .state import get_state


@chatix.command("export")
@click.option(
    "--output",
    "path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to; only its owner can read it. Without it, standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="An export is JSON lines in any case.")
@explained
def export_command(path: Path | None, as_json: bool) -> None:
    """Write out the registry, as JSON lines.

    Which post has which chatroom, which user which public ID, and on the hosted service which ID of the service: keep
    it as you keep the database. The comments are the service's.
    """
    state = get_state()
    with progress_of("Rows") as progress, _writing(path) as stream:
        for line in export_lines(state.registry, website_id=state.config.website_id, progress=progress):
            stream.write(line + "\n")


@contextlib.contextmanager
def _writing(path: Path | None) -> Iterator[TextIO]:
    """Yield a file that takes its place when it is whole, or standard output."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        # Made for its owner only.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    try:
        with open(handle, "w", encoding="ascii", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


@chatix.command("import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@as_json_option
@explained
def import_command(path: str, as_json: bool) -> None:
    """Read in what export has written; FILE may be - for stdin.

    First every line is checked, and held against the registry: if one is wrong or contradicts what is there, all such
    lines are named and nothing is written. What is there already is no error. To do it again is safe.
    """
    state = get_state()
    with RegistryImport(state.registry, website_id=state.config.website_id) as transfer:
        try:
            with open_text(path) as stream, progress_of("Lines") as progress:
                transfer.read(stream, progress=progress)
        except TransferError as exc:
            for problem in exc.problems[1:]:
                note(one_line(problem))
            raise
        with progress_of("Rows") as progress:
            result = transfer.write(progress=progress)
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    total = result.chatrooms + result.visitors + result.hosted_visitors
    click.echo(f"{numbered(total, 'row')}, {result.added} of them new.")
    if result.kept:
        have = "has" if result.kept == 1 else "have"
        note(f"{numbered(result.kept, 'post')} {have} another title, state or privacy here: that stays.")
