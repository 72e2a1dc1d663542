"""``flask chatix hub backup`` and the like: what the built-in hub keeps, beside the running hub or without one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli_hub import hub, require_own_hub
from .cli_progress import progress_of
from .cli_support import as_json_option, explained, numbered, print_array_in, print_json, read_post_id
from .errors import ApiError, HubLockedError
from .shell_words import one_line

if TYPE_CHECKING:
    from .hub.backup import Manifest
    from .models import Crowd
    from .state import AppState

_file = click.Path(dir_okay=False, path_type=Path)
_force_option = click.option("--force", is_flag=True, help="Replace what is there, for good.")


@hub.command("backup")
@click.argument("file", type=_file)
@_force_option
@as_json_option
@explained
def backup_command(file: Path, force: bool, as_json: bool) -> None:
    """Copy the hub's comments and files into FILE, while the hub runs or while it does not.

    FILE is a tar archive, and there only when it is whole. Keep it as you keep the database: there are e-mail
    addresses and whispers in it. The registry is copied by flask chatix export.
    """
    from .hub.backup import make_backup

    state = require_own_hub()
    with progress_of("Files") as progress:
        manifest = make_backup(state.hub_config(), file, overwrites=force, now=datetime.now(UTC), progress=progress)
    _print_manifest(manifest, f"{file} has", as_json=as_json)


@hub.command("restore")
@click.argument("file", type=_file)
@_force_option
@as_json_option
@explained
def restore_command(file: Path, force: bool, as_json: bool) -> None:
    """Put back what backup has copied into FILE. The hub must not run.

    FILE is looked at first: what is not whole changes nothing.
    """
    from .hub.restore import restore_backup

    state = require_own_hub()
    with progress_of("Files") as progress:
        try:
            manifest = restore_backup(
                state.hub_config(),
                file,
                lock_path=state.config.hub_lock_path,
                overwrites=force,
                now=datetime.now(UTC),
                progress=progress,
            )
        except HubLockedError as exc:
            raise click.ClickException(f"{exc} End it first, and start it again afterwards.") from exc
    _print_manifest(manifest, "The hub has again", as_json=as_json)


def _print_manifest(manifest: Manifest, beginning: str, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(manifest))
        return
    counts = {"chatroom": manifest.chatrooms, "comment": manifest.messages, "file": manifest.files}
    things = [numbered(count, name) for name, count in counts.items()]
    click.echo(f"{beginning} {things[0]}, {things[1]} and {things[2]}, as of {manifest.made_at}.")


# How much there is


@hub.command("stats")
@as_json_option
@explained
def stats_command(as_json: bool) -> None:
    """Count what the hub keeps, and who is there if it runs."""
    from .hub.outside import take_stock

    state = require_own_hub()
    stock = take_stock(state.hub_config())
    crowd = _crowd(state)
    figures = dataclasses.asdict(stock.counts) | {
        "database_bytes": stock.database_bytes,
        "free_bytes": stock.free_bytes,
        "files_free_bytes": stock.files_free_bytes,
        "is_running": crowd is not None,
        "connections": None if crowd is None else crowd.connections,
        "online_visitors": None if crowd is None else crowd.visitors,
    }
    if as_json:
        print_json(figures)
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:<{width}}  {_shown(name, value)}")


def _crowd(state: AppState) -> Crowd | None:
    """Return who is at the hub, if it answers."""
    try:
        return state.api().get_crowd()
    except ApiError:
        return None


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "?"
    is_size = name.endswith("_bytes") and isinstance(value, int)
    return f"{value / 1024 / 1024:.1f} MB" if is_size and isinstance(value, int) else str(value)


# One chatroom


@hub.command("export-room")
@click.argument("post_id")
@as_json_option
@explained
def export_room_command(post_id: str, as_json: bool) -> None:
    """Print all that is in the chatroom of a post, whispers too, whether the hub runs or not.

    The first line is the chatroom, each line behind it a comment, oldest first, and the last one says how many there
    are. With --json it is one document.
    """
    from .hub.outside import room_in_full

    state = require_own_hub()
    entry = state.registry.get(read_post_id(post_id))
    if entry.chatroom_id is None:
        raise click.ClickException(one_line(f"The chatroom of the post {post_id!r} is being made."))
    with room_in_full(state.hub_config(), entry.chatroom_id) as (room, messages):
        if as_json:
            print_array_in("messages", messages, rest=lambda: {"chatroom": room, "post_id": entry.post_id})
            return
        print_json({"kind": "chatroom", "post_id": entry.post_id} | room)
        number = 0
        for number, message in enumerate(messages, start=1):  # noqa: B007 - the last one is the number of all
            print_json({"kind": "message"} | message)
        print_json({"kind": "end", "messages": number})
