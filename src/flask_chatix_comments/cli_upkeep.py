"""``flask chatix sync``, ``move`` and their like: registry, service and site are kept together."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Generator

import click

from .backfill import FileFormat
from .cli_posts import Failures, concurrency_option, from_file_options, posts_of
from .cli_progress import progress_of, shown
from .cli_support import (
    INTERRUPTED,
    as_json_option,
    chatix,
    explained,
    note,
    print_json,
    read_post_id,
    require_api,
)
from .room_mover import RoomMover
from .room_sync import SyncOutcome, SyncResult, sync_all
from .shell_words import one_line
from .state import get_state

_FAILURES = frozenset({SyncOutcome.VANISHED, SyncOutcome.FAILED})


@chatix.command("move")
@click.argument("old_id")
@click.argument("new_id")
@as_json_option
@explained
def move_command(old_id: str, new_id: str, as_json: bool) -> None:
    """Give the chatroom of the post OLD_ID to NEW_ID.

    For a post whose ID has changed. Two threads are never made one: a post that has comments of its own keeps its
    chatroom, and the command fails.
    """
    old_id, new_id = read_post_id(old_id), read_post_id(new_id)
    state = get_state()
    require_api(state)
    change = RoomMover(state.registry, state.api, is_hosted=state.config.is_hosted).move(old_id, new_id)
    if as_json:
        print_json(dataclasses.asdict(change))
    else:
        click.echo(one_line(f"The chatroom {change.chatroom_id} of the post {old_id!r} is that of {new_id!r} now."))
    if change.note:
        note(one_line(change.note))


@chatix.command("sync")
@from_file_options
@concurrency_option
@as_json_option
@explained
def sync_command(path: str | None, file_format: FileFormat | None, concurrency: int, as_json: bool) -> None:
    """Let chatrooms follow their posts' titles.

    What was deleted, restored, closed or reopened at the service without the site is taken over, too. The posts come
    from the site's posts_loader, or from a file. A chatroom that has vanished is named, and left to check.
    """
    state = get_state()
    counts: Counter[SyncOutcome] = Counter()
    failures = Failures()

    def note_bad_line(line: str) -> None:
        counts[SyncOutcome.FAILED] += 1
        failures.add({"post_id": None, "outcome": SyncOutcome.FAILED, "error": line})

    with posts_of(state, path, file_format, note_bad_line) as posts, progress_of("Chatrooms") as progress:
        require_api(state)
        results = sync_all(
            state.registry,
            state.api(),
            posts,
            is_hosted=state.config.is_hosted,
            concurrency=concurrency,
            progress=progress,
        )
        total = len(posts) if isinstance(posts, (list, tuple)) else None
        is_complete = _count_results(shown(results, label="Posts", total=total), counts, failures)
    numbers: dict[str, int] = {str(outcome): counts[outcome] for outcome in SyncOutcome}
    if as_json:
        print_json(numbers | {"is_complete": is_complete, "failures": failures.rows})
    else:
        found = [f"{number} {name.replace('_', ' ')}" for name, number in numbers.items() if number]
        click.echo(", ".join(found) or ("There are no posts." if is_complete else "Nothing was looked at."))
    if not is_complete:
        sys.exit(INTERRUPTED)
    if failures.count:
        sys.exit(1)


def _count_results(
    results: Generator[SyncResult, None, None], counts: Counter[SyncOutcome], failures: Failures
) -> bool:
    """Take *results* to their end; tell whether that was reached, and not Ctrl-C."""
    try:
        with contextlib.closing(results):
            for result in results:
                counts[result.outcome] += 1
                if result.outcome in _FAILURES:
                    failures.add(dataclasses.asdict(result))
    except KeyboardInterrupt:
        note("Interrupted. What is done is done; the same command again does the rest.")
        return False
    return True
