"""``flask chatix check``: what does not fit between registry, service and site."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import click
from click import echo

from .cli_posts import concurrency_option
from .cli_progress import make_way, progress_of
from .cli_support import (
    INTERRUPTED,
    TROUBLES_REMAIN,
    as_json_option,
    chatix,
    explained,
    note,
    numbered,
    print_array_in,
    require_api,
)
from .models import Post
from .room_check import Inspector, unchanged
from .room_findings import Trouble, TroubleKind
from .shell_words import one_line
from .state import AppState, get_state
from .upkeep_methods import repairer_of


@chatix.command("check")
@click.option("--repair", "repairs", is_flag=True, help="Repair what can be repaired without a loss.")
@click.option("--replace-all", is_flag=True, help="Make new chatrooms even where most have vanished.")
@click.option("--ignore-unmarked", "ignores_unmarked", is_flag=True, help="Leave out chatrooms that are not ours.")
@concurrency_option
@as_json_option
@explained
def check_command(repairs: bool, replace_all: bool, ignores_unmarked: bool, concurrency: int, as_json: bool) -> None:
    """Look for what does not fit between posts and chatrooms.

    Registry, service and, where there is a posts_loader, the site are held against each other. Each thing that does
    not fit is one line: kind, post, chatroom, what is the matter and what to do, with tabs between them. Exit status 0:
    all fits, or is repaired; 1: something could not be looked into or repaired; 3: something does not fit.

    An account of the hosted service may have group chats for other purposes. --ignore-unmarked leaves out those that
    no post has, and that have neither a mark of ours in the title nor a post's ID.
    """
    if replace_all and not repairs:
        raise click.UsageError("--replace-all is for --repair.")
    state = get_state()
    require_api(state)
    tally = _Tally()
    with Inspector(
        state.registry, state.api(), is_hosted=state.config.is_hosted, ignores_unmarked=ignores_unmarked
    ) as inspector:
        mend = repairer_of(state, inspector, replace_all=replace_all).repair if repairs else unchanged
        with tally.counting(_troubles(state, inspector, mend, concurrency=concurrency)) as troubles:
            if as_json:
                rows = (dataclasses.asdict(trouble) for trouble in troubles)
                print_array_in("troubles", rows, rest=lambda: tally.numbers(inspector))
            else:
                for trouble in troubles:
                    make_way()
                    echo(_line(trouble))
                if not tally.kinds and tally.is_complete:
                    posts, chatrooms = numbered(inspector.posts, "post"), numbered(inspector.chatrooms, "chatroom")
                    echo(f"{posts} and {chatrooms}: all fits.")
    tally.exit()


def _troubles(
    state: AppState, inspector: Inspector, mend: Callable[[Trouble], Trouble], *, concurrency: int
) -> Generator[Trouble, None, None]:
    posts: Iterable[Post] = () if state.loaders.posts is None else state.loaders.load_posts()
    with progress_of("Chatrooms") as progress:
        inspector.fetch(posts, progress=progress)
    with progress_of("Posts") as progress:
        yield from inspector.run(repair=mend, concurrency=concurrency, progress=progress)


def _line(trouble: Trouble) -> str:
    said = [trouble.detail, trouble.error, "Repaired:" if trouble.is_repaired else None, trouble.remedy]
    fields = [trouble.kind, trouble.post_id or "-", trouble.chatroom_id or "-", " ".join(filter(None, said))]
    return "\t".join(one_line(field) for field in fields)


class _Tally:
    """How many troubles of which kind there are, and whether all was looked into."""

    def __init__(self) -> None:
        self.kinds: Counter[TroubleKind] = Counter()
        self.failed = self.repaired = 0
        self.is_complete = True

    @contextlib.contextmanager
    def counting(self, troubles: Generator[Trouble, None, None]) -> Iterator[Iterator[Trouble]]:
        """Yield *troubles* up to their end or to Ctrl-C; whenever that comes, what was begun is finished."""
        try:
            with contextlib.closing(troubles):
                yield self._counted(troubles)
        except KeyboardInterrupt:
            self.is_complete = False

    def _counted(self, troubles: Iterator[Trouble]) -> Iterator[Trouble]:
        try:
            for trouble in troubles:
                self.kinds[trouble.kind] += 1
                self.failed += trouble.error is not None
                self.repaired += trouble.is_repaired
                yield trouble
        except KeyboardInterrupt:
            # So that a document is whole.
            self.is_complete = False

    def numbers(self, inspector: Inspector) -> dict[str, Any]:
        """Return what stands in the document beside the troubles."""
        return {
            "posts": inspector.posts,
            "chatrooms": inspector.chatrooms,
            "ignored": inspector.ignored,
            "counts": {str(kind): self.kinds[kind] for kind in TroubleKind},
            "repaired": self.repaired,
            "failed": self.failed,
            "is_complete": self.is_complete,
        }

    def exit(self) -> None:
        """End with the status that tells what was found."""
        if not self.is_complete:
            note("Interrupted: not all was looked at. What is repaired stays so; the same command again does the rest.")
            sys.exit(INTERRUPTED)
        if self.failed:
            sys.exit(1)
        if self.kinds.total() > self.repaired:
            sys.exit(TROUBLES_REMAIN)
