"""``flask chatix link``, ``close``, ``messages``, ``sweep`` and their like: chatrooms and comments by hand."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any

import click

from .cli_support import (
    as_json_option,
    chatix,
    explained,
    hint,
    note,
    print_array,
    print_json,
    read_post_id,
    require_api,
    tell_people,
)
from .models import Message, SenderFlag
from .room_keeper import RoomChange, RoomKeeper
from .room_messages import delete_message, thread_of
from .shell_words import one_line
from .state import AppState, get_state
from .sweep import GRACE_S, LIMIT, TIME_LIMIT_S, Sweeper, SweepResult

post_id_argument = click.argument("post_id")


def _ready_state() -> AppState:
    """Return the state of the application, once its API answers."""
    state = get_state()
    require_api(state)
    return state


class _Seconds(click.FloatRange):
    """A time. "nan" is a float to Python, and within no bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        return self.fail(f"{value} is no number of seconds.", param, ctx) if math.isnan(seconds) else seconds


def _change(
    post_id: str, deed: Callable[[RoomKeeper, str], RoomChange], *, as_json: bool, done: str | None = None
) -> RoomChange:
    """Do *deed* to the post's chatroom and print what became of it.

    Args:
        done: What the deed does, when the chatroom's state does not tell.
    """
    post_id = read_post_id(post_id)
    change = deed(_ready_state().room_keeper, post_id)
    if as_json:
        print_json(dataclasses.asdict(change))
    else:
        words = [word for word in (done, change.state) if word]
        is_so = f"is {' and '.join(words)}" + (" now" if change.is_changed else ", as it was before")
        click.echo(one_line(f"The chatroom {change.chatroom_id} of the post {change.post_id!r} {is_so}."))
    if change.note:
        note(change.note)
    return change


@chatix.command("link")
@post_id_argument
@click.argument("chatroom_id")
@as_json_option
@explained
def link_command(post_id: str, chatroom_id: str, as_json: bool) -> None:
    """Give a post a chatroom that exists.

    It may have been made in a dashboard. Title, privacy and state are taken over from it. A post that has another
    chatroom keeps that one: unlink it first.
    """
    _change(post_id, lambda keeper, post: keeper.link(post, chatroom_id), as_json=as_json, done="linked")


@chatix.command("unlink")
@post_id_argument
@as_json_option
@explained
def unlink_command(post_id: str, as_json: bool) -> None:
    """Forget which chatroom a post has.

    The chatroom and its comments stay. The post's next reader gets a new one, unless this one is linked again. Of a
    post that was moved to another ID, forget that.
    """
    change = _change(post_id, lambda keeper, post: keeper.unlink(post), as_json=as_json, done="unlinked")
    if get_state().registry.find_chatroom(change.chatroom_id) is None:
        hint("To have it back", "link", change.post_id, change.chatroom_id)


@chatix.command("close")
@post_id_argument
@as_json_option
@explained
def close_command(post_id: str, as_json: bool) -> None:
    """Make a post's thread read-only."""
    _change(post_id, lambda keeper, post: keeper.close(post), as_json=as_json)


@chatix.command("reopen")
@post_id_argument
@as_json_option
@explained
def reopen_command(post_id: str, as_json: bool) -> None:
    """Let a closed thread be written in again."""
    _change(post_id, lambda keeper, post: keeper.reopen(post), as_json=as_json)


@chatix.command("delete")
@post_id_argument
@as_json_option
@explained
def delete_command(post_id: str, as_json: bool) -> None:
    """Take a post's thread away from everybody.

    Until it is restored: then it is back with all its comments. The hub lets that be done for the days of
    CHATIX_HUB_RESTORE_DAYS, and then deletes it for good.
    """
    change = _change(post_id, lambda keeper, post: keeper.delete(post), as_json=as_json)
    hint("To have it back", "restore", change.post_id, then=_time_limit(get_state()))


def _time_limit(state: AppState) -> str:
    """Say until when what is deleted can be restored. Of the hosted service it is not known."""
    days = state.config.hub_restore_days
    if state.config.is_hosted or not days:
        return ""
    return (
        f"\nThat goes for {days} {'day' if days == 1 else 'days'} (CHATIX_HUB_RESTORE_DAYS); then it is gone for good."
    )


@chatix.command("restore")
@post_id_argument
@as_json_option
@explained
def restore_command(post_id: str, as_json: bool) -> None:
    """Bring a deleted thread back, with its comments."""
    _change(post_id, lambda keeper, post: keeper.restore(post), as_json=as_json)


@chatix.command("messages")
@post_id_argument
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@as_json_option
@explained
def messages_command(post_id: str, limit: int | None, as_json: bool) -> None:
    """Print the comments of a post, oldest first.

    One a line: ID, time, author and text, or name and address of a file, with tabs between them. Whispers are left
    out: they are for the managers' pages only.
    """
    post_id = read_post_id(post_id)
    state = _ready_state()
    messages = thread_of(state.registry, state.api(), post_id, limit=limit, is_hosted=state.config.is_hosted)
    if as_json:
        print_array(_row(message) for message in messages)
        return
    for message in messages:
        moment = message.sent_at.isoformat(timespec="seconds")
        fields = [message.message_id, moment, message.sender_name or "-", message.content or _file_line(message)]
        click.echo("\t".join(map(one_line, fields)))


def _file_line(message: Message) -> str:
    """Return what is known of a file, and where it is."""
    size = None if message.file_bytes is None else f"{message.file_bytes} bytes"
    pixels = f"{message.width_px} × {message.height_px}" if message.width_px and message.height_px else None
    facts = ", ".join(fact for fact in (message.file_name, size, pixels) if fact)
    return f"{facts}: {_url_of(message)}" if facts else _url_of(message)


def _url_of(message: Message) -> str:
    return message.original_url or message.file_url or ""


def _row(message: Message) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "sent_at": message.sent_at.isoformat(),
        "edited_at": message.edited_at.isoformat() if message.edited_at else None,
        "sender_id": message.sender_id,
        "sender_name": message.sender_name,
        "is_by_manager": message.sender_flag is SenderFlag.MANAGER,
        "type": message.type.name.lower(),
        "content": message.content,
        "original_url": message.original_url,
        "thumb_100_url": message.thumb_100_url,
        "thumb_300_url": message.thumb_300_url,
        "file_url": message.file_url,
        "file_name": message.file_name,
        "file_size": message.file_bytes,
        "width": message.width_px,
        "height": message.height_px,
    }


@chatix.command("delete-message")
@click.argument("message_id")
@click.option("--post", "post_id", metavar="POST_ID", help="Where it is; must be said on the hosted service.")
@as_json_option
@explained
def delete_message_command(message_id: str, post_id: str | None, as_json: bool) -> None:
    """Delete one comment for everybody, for good.

    Its ID is shown by flask chatix messages.
    """
    if post_id is not None:
        post_id = read_post_id(post_id)
    state = _ready_state()
    deleted = delete_message(state.registry, state.api(), message_id, post_id=post_id, is_hosted=state.config.is_hosted)
    if as_json:
        print_json(dataclasses.asdict(deleted))
    else:
        click.echo(one_line(f"The comment {deleted.message_id} of the post {deleted.post_id!r} is deleted."))


@chatix.command("sweep", short_help="Take out who is offline, or may not read any more.")
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="Seats freed at most.")
@click.option(
    "--grace",
    "grace_s",
    type=_Seconds(0, 3600),
    default=GRACE_S,
    show_default=True,
    metavar="SECONDS",
    help="Who is back within this time stays.",
)
@click.option(
    "--time-limit",
    "time_limit_s",
    type=_Seconds(1, 86_400),
    default=TIME_LIMIT_S,
    show_default=True,
    metavar="SECONDS",
    help="End after this time, not counting the grace time.",
)
@as_json_option
@explained
def sweep_command(limit: int, grace_s: float, time_limit_s: float, as_json: bool) -> None:
    """Take out visitors who are offline, and out of private chatrooms who may not read them any more.

    Made for cron: it may run at any time, twice at once too, and the next run goes on where this one had to end. Only
    chatrooms in which the hub counts somebody are looked into, and "chatrooms" in the JSON document counts these.
    """
    state = _ready_state()
    sweeper = Sweeper(
        state.registry,
        state.api(),
        is_hosted=state.config.is_hosted,
        strangers_in=state.private_rooms.find_strangers,
        limit=limit,
        grace_s=grace_s,
        time_limit_s=time_limit_s,
        waiting=lambda seats: tell_people(f"{seats} offline. Looking again in {grace_s:g} s ..."),
    )
    result = sweeper.run()
    for failure in result.failures:
        note(f"{failure.post_id}: {failure.error}")
    if as_json:
        print_json(dataclasses.asdict(result))
    else:
        click.echo(_summary(result))
    if result.failures:
        sys.exit(1)


def _summary(result: SweepResult) -> str:
    found = f"{result.taken_out} taken out, {result.came_back} left in." if result.offline else "Nobody is offline."
    if result.refused:
        found += f" {result.refused} taken out who may not read private comments any more."
    return found if result.is_complete else f"{found} Not all was looked at."
