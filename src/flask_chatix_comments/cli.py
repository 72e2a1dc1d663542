"""``flask chatix backfill``, ``list`` and ``show``: which post has which chatroom."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import (  # noqa: F401 - to be imported is to add its commands
    cli_check,
    cli_hub,
    cli_hub_data,
    cli_privacy,
    cli_rooms,
    cli_schema,
    cli_transfer,
    cli_upkeep,
    cli_visitor,
)
from .backfill import BackfillResult, FileFormat, Outcome, backfill
from .cli_posts import Failures, concurrency_option, from_file_options, posts_of
from .cli_progress import progress_of, shown
from .cli_support import (
    INTERRUPTED,
    as_json_option,
    chatix,
    explained,
    note,
    print_array,
    print_json,
    read_post_id,
    require_api,
)
from .errors import ApiError, ApiStatusError, RoomMissingError
from .registry import RoomState
from .room_batches import PATIENCE_S
from .room_info import RoomInfo, all_rooms, listed_rooms, one_room
from .room_troubles import GONE_STATUSES, missing
from .shell_words import one_line
from .state import AppState, get_state

if TYPE_CHECKING:
    from .api import ChatixApi

__all__ = ["chatix"]

T = TypeVar("T")
LIST_HEADER = ("POST", "CHATROOM", "STATE", "ACCESS", "VISITORS", "TITLE")


@chatix.command("backfill")
@from_file_options
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@concurrency_option
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0, 86_400),
    default=PATIENCE_S,
    show_default=True,
    metavar="SECONDS",
    help="Wait for so long for an API that fails.",
)
@as_json_option
@explained
def backfill_command(
    path: str | None,
    file_format: FileFormat | None,
    dry_run: bool,
    concurrency: int,
    patience_s: float,
    as_json: bool,
) -> None:
    """Make the chatrooms of all posts that have none yet.

    The posts come from the site's posts_loader, or from a file. It can be interrupted: to do it again is safe and
    quick, and goes on where it ended.
    """
    state = get_state()
    failures = Failures()
    counts: Counter[Outcome] = Counter()
    with posts_of(state, path, file_format, lambda line: failures.add({"post_id": None, "error": line})) as posts:
        if not dry_run:
            require_api(state)
        results = backfill(state.rooms, posts, concurrency=concurrency, dry_run=dry_run, patience_s=patience_s)
        total = len(posts) if isinstance(posts, (list, tuple)) else None
        end = _consume(shown(results, label="Posts", total=total), counts, failures)
    _print_summary(counts, failures, as_json=as_json)
    if isinstance(end, KeyboardInterrupt):
        note("Interrupted. Run it again to go on.")
        sys.exit(INTERRUPTED)
    if end is not None:
        note("Not all posts were tried. Run it again to go on.")
    if failures.count or end is not None:
        sys.exit(1)


def _consume(
    results: Generator[BackfillResult, None, None], counts: Counter[Outcome], failures: Failures
) -> BaseException | None:
    """Take *results* to their end; return what ended them before their time."""
    try:
        with contextlib.closing(results):
            for result in results:
                counts[result.outcome] += 1
                if result.outcome is Outcome.FAILED:
                    failures.add({"post_id": result.post_id, "error": result.error})
    except (ApiError, KeyboardInterrupt) as exc:
        return exc
    return None


def _print_summary(counts: Counter[Outcome], failures: Failures, *, as_json: bool) -> None:
    numbers = {str(outcome): counts[outcome] for outcome in Outcome} | {"failed": failures.count}
    if as_json:
        print_json(numbers | {"failures": failures.rows})
    else:
        found = [f"{number} {name.replace('_', ' ')}" for name, number in numbers.items() if number]
        click.echo(", ".join(found) or "There are no posts.")


@chatix.command("list")
@as_json_option
@explained
def list_command(as_json: bool) -> None:
    """List the posts that have a chatroom.

    One a line: post, chatroom, state, public or private, number of visitors and title, with tabs between them.
    """
    state = get_state()
    with progress_of("Chatrooms") as progress:
        listed = _from_api(state, lambda api: listed_rooms(api, progress=progress))
    rooms = all_rooms(state.registry, listed)
    if as_json:
        print_array(_row(room) for room in rooms)
        return
    if sys.stdout.isatty():
        # What reads a pipe gets rows only.
        click.echo("\t".join(LIST_HEADER))
    for room in rooms:
        visitors = "?" if room.number_of_visitors is None else room.number_of_visitors
        access = "private" if room.is_private else "public"
        fields = [room.post_id, room.chatroom_id or "-", room.state, access, str(visitors), room.title]
        click.echo("\t".join(map(one_line, fields)))


@chatix.command("show")
@click.argument("post_id")
@as_json_option
@explained
def show_command(post_id: str, as_json: bool) -> None:
    """Show the chatroom of one post."""
    state = get_state()
    post_id = read_post_id(post_id)
    known = one_room(state.registry, None, post_id)
    row = _row(_from_api(state, lambda api: _asked_room(state, api, post_id)) or known)
    if as_json:
        print_json(row)
        return
    width = max(map(len, row))
    for key, value in row.items():
        click.echo(f"{key:<{width}}  {'?' if value is None else one_line(str(value))}")


def _asked_room(state: AppState, api: ChatixApi, post_id: str) -> RoomInfo:
    try:
        return one_room(state.registry, api, post_id)
    except ApiStatusError as exc:
        entry = state.registry.get(post_id)
        # The hub has just answered as that of this website, so that CHATIX_API_URL is not in doubt.
        if exc.status_code not in GONE_STATUSES or state.config.is_hosted or entry.chatroom_id is None:
            raise
        is_deleted = entry.state is RoomState.DELETED
        raise missing(post_id, entry.chatroom_id, api.base_url, is_hosted=False, is_deleted=is_deleted) from exc


def _row(room: RoomInfo) -> dict[str, Any]:
    return {
        "post_id": room.post_id,
        "chatroom_id": room.chatroom_id,
        "title": room.title,
        "is_private": room.is_private,
        "state": str(room.state),
        "created_at": room.created_at.isoformat(),
        "number_of_visitors": room.number_of_visitors,
    }


def _from_api(state: AppState, ask: Callable[[ChatixApi], T]) -> T | None:
    """Ask the API for numbers of visitors; ``None``, and a note on stderr, when it does not tell."""
    try:
        # Numbers of visitors are not worth a wait.
        require_api(state, waits=False)
        return ask(state.api())
    except (ApiError, RoomMissingError, click.ClickException) as exc:
        note(f"Without numbers of visitors: {exc}")
        return None
