"""``flask chatix db``: the registry's tables are brought up to date."""

from __future__ import annotations

import dataclasses

import click

from . import registry_schema
from .cli_support import as_json_option, chatix, explained, print_json
from .registry_schema import SchemaState
from .state import get_state


@chatix.group("db")
def db_group() -> None:
    """Bring the registry's tables up to date.

    Not for sites whose own migrations have them (Flask-Migrate): there it is flask db migrate and flask db upgrade.
    """


@db_group.command("upgrade")
@as_json_option
@explained
def upgrade_command(as_json: bool) -> None:
    """Bring the tables up to date, or make them.

    Again, it changes nothing. Tables that the registry has made itself are recognised.
    """
    before, after = registry_schema.upgrade(get_state().registry.database)
    if as_json:
        print_json({"before": before.revision} | dataclasses.asdict(after))
    elif before.is_newest:
        click.echo(f"The registry's tables are of the newest revision, {after.revision}.")
    else:
        click.echo(f"The registry's tables are of revision {after.revision} now (before: {before.revision or 'none'}).")


@db_group.command("current")
@as_json_option
@explained
def current_command(as_json: bool) -> None:
    """Show the revision of the tables, and the newest."""
    _show(registry_schema.current(get_state().registry.database), as_json=as_json)


@db_group.command("stamp", short_help="Note of which revision the tables are.")
@click.argument("revision", default="head")
@as_json_option
@explained
def stamp_command(revision: str, as_json: bool) -> None:
    """Note that the tables are of REVISION, by default the newest, and change nothing.

    For tables that something else has made; those that the registry has made are recognised without it.
    """
    _show(registry_schema.stamp(get_state().registry.database, revision), as_json=as_json)


def _show(state: SchemaState, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(state))
        return
    what = "" if state.is_stamped or state.revision is None else ", recognised by its columns"
    click.echo(f"{state.revision or 'There are no tables'}{what}; the newest is {state.newest}.")
