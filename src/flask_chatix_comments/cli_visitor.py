"""``flask chatix visitor``: what is kept of one visitor."""

from __future__ import annotations

import dataclasses

import click

from .cli_support import as_json_option, chatix, explained, print_json, require_api
from .models import Forgotten
from .shell_words import one_line
from .state import AppState, get_state
from .upkeep_methods import UpkeepMethods


@chatix.group("visitor")
def visitor_group() -> None:
    """What is kept of one visitor."""


@visitor_group.command("forget")
@click.argument("visitor", metavar="ID")
@click.option("--user", "is_user", is_flag=True, help="ID is that of one of the site's users, as the site knows it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
@explained
def forget_command(visitor: str, is_user: bool, yes: bool, as_json: bool) -> None:
    """Delete all that a visitor has written, with its files, and what is known about it, for good.

    ID is the public one, as flask chatix messages --json shows it in sender_id. Readers who are there see the comments
    go; in the registry, nothing is left that says which of the site's users it was.
    """
    state = get_state()
    require_api(state)
    visitor_id = _public_id(state, visitor) if is_user else visitor
    if not yes:
        question = (
            f"Delete all comments and files of {one_line(visitor)}, and what is known about this visitor, for good?"
        )
        click.confirm(question, abort=True, err=True)
    forgotten = UpkeepMethods().forget_visitor(visitor_id)
    if as_json:
        print_json({"visitor_id": visitor_id} | dataclasses.asdict(forgotten))
    else:
        click.echo(_sentence(visitor, forgotten))


def _public_id(state: AppState, user: str) -> str:
    found = state.registry.find_visitor_id(user)
    if found is None:
        raise click.ClickException(one_line(f"The user {user!r} has not been seen here: there is nothing to forget."))
    return found


def _sentence(visitor: str, forgotten: Forgotten) -> str:
    if forgotten == Forgotten(0, 0, was_known=False):
        return one_line(f"Nothing was known of {visitor}.")
    counts = {"comment": forgotten.messages, "file": forgotten.files}
    things = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items()]
    return one_line(f"{visitor} is forgotten: {things[0]} and {things[1]} deleted.")
