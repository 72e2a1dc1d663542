"""``flask chatix make-private`` and ``make-public``: who may read a post's comments, by hand."""

from __future__ import annotations

import dataclasses

import click

from .cli_support import as_json_option, chatix, explained, note, print_json, read_post_id, require_api
from .room_keeper import RoomChange
from .shell_words import one_line
from .state import AppState, get_state


def _ready_state() -> AppState:
    """Return the state of the application, once its API answers."""
    state = get_state()
    require_api(state)
    return state


def _print_change(change: RoomChange, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(change))
    else:
        kind = "private" if change.is_private else "public"
        is_so = f"is {kind} now" if change.is_changed else f"is {kind}, as it was before"
        click.echo(one_line(f"The chatroom {change.chatroom_id} of the post {change.post_id!r} {is_so}."))
    if change.note:
        note(one_line(change.note))


@chatix.command("make-private", short_help="Keep a post's comments for whom access_loader lets in.")
@click.argument("post_id")
@click.option("--title", help="Of a chatroom that is made; by default the post's ID.")
@as_json_option
@explained
def make_private_command(post_id: str, title: str | None, as_json: bool) -> None:
    """Keep a post's comments for those whom access_loader lets in.

    Everybody else is taken out, and the comments stay. A post without a chatroom gets a private one. Again, it looks
    once more for people to be taken out.
    """
    post_id = read_post_id(post_id)
    _print_change(_ready_state().private_rooms.make_private(post_id, title=title), as_json=as_json)


@chatix.command("make-public")
@click.argument("post_id")
@as_json_option
@explained
def make_public_command(post_id: str, as_json: bool) -> None:
    """Open a post's private comments to everybody."""
    post_id = read_post_id(post_id)
    _print_change(_ready_state().private_rooms.make_public(post_id), as_json=as_json)
