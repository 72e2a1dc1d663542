"""``flask chatix hub backup`` and the like: what the built-in hub keeps, beside the running hub or without one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli_hub import hub, require_own_hub
from .cli_progress import progress_of
from .cli_support import as_json_option, explained, print_json
from .errors import HubLockedError

if TYPE_CHECKING:
    from .hub.backup import Manifest

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
    things = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items()]
    click.echo(f"{beginning} {things[0]}, {things[1]} and {things[2]}, as of {manifest.made_at}.")
