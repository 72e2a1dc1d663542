"""``flask chatix check``: what does not fit between registry, service and site."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import click

from .cli_posts import concurrency_option
from .cli_progress import progress_of
from .cli_support import (
    INTERRUPTED,
    TROUBLES_REMAIN,
    as_json_option,
    chatix,
    explained,
    note,
    one_line,
    print_array_in,
    require_api,
)
from .models import Post
from .room_check import Inspector
from .room_findings import Trouble, TroubleKind
from .state import AppState, get_state


@chatix.command("check")
@concurrency_option
@as_json_option
@explained
def check_command(concurrency: int, as_json: bool) -> None:
    """Look for what does not fit between posts and chatrooms.

    Registry, service and, where there is a posts_loader, the site are held against each other. Each thing that does
    not fit is one line: kind, post, chatroom, what is the matter and what to do, with tabs between them. Exit status 0:
    all fits; 1: something could not be looked into; 3: something does not fit.
    """
    state = get_state()
    require_api(state)
    tally = _Tally()
    with Inspector(state.registry, state.api(), is_hosted=state.config.is_hosted) as inspector:
        troubles = tally.counted(_troubles(state, inspector, concurrency=concurrency))
        if as_json:
            rows = (dataclasses.asdict(trouble) for trouble in troubles)
            print_array_in("troubles", rows, rest=lambda: tally.numbers(inspector))
        else:
            for trouble in troubles:
                click.echo(_line(trouble))
            if not tally.kinds and tally.is_complete:
                click.echo(f"{inspector.posts} posts and {inspector.chatrooms} chatrooms: all fits.")
    tally.exit()


def _troubles(state: AppState, inspector: Inspector, *, concurrency: int) -> Generator[Trouble, None, None]:
    posts: Iterable[Post] = () if state.loaders.posts is None else state.loaders.load_posts()
    with progress_of("Chatrooms") as progress:
        inspector.fetch(posts, progress=progress)
    with progress_of("Posts") as progress:
        yield from inspector.run(concurrency=concurrency, progress=progress)


def _line(trouble: Trouble) -> str:
    said = [trouble.detail, trouble.error, trouble.remedy]
    fields = [trouble.kind, trouble.post_id or "-", trouble.chatroom_id or "-", " ".join(filter(None, said))]
    return "\t".join(one_line(field) for field in fields)


class _Tally:
    """How many troubles of which kind there are, and whether all was looked into."""

    def __init__(self) -> None:
        self.kinds: Counter[TroubleKind] = Counter()
        self.failed = 0
        self.is_complete = True

    def counted(self, troubles: Generator[Trouble, None, None]) -> Iterator[Trouble]:
        """Yield *troubles* up to their end, or up to Ctrl-C."""
        try:
            with contextlib.closing(troubles):
                for trouble in troubles:
                    self.kinds[trouble.kind] += 1
                    self.failed += trouble.error is not None
                    yield trouble
        except KeyboardInterrupt:
            self.is_complete = False

    def numbers(self, inspector: Inspector) -> dict[str, Any]:
        """Return what stands in the document beside the troubles."""
        return {
            "posts": inspector.posts,
            "chatrooms": inspector.chatrooms,
            "counts": {str(kind): self.kinds[kind] for kind in TroubleKind},
            "failed": self.failed,
            "is_complete": self.is_complete,
        }

    def exit(self) -> None:
        """End with the status that tells what was found."""
        if not self.is_complete:
            note("Interrupted: not all was looked at. The same command again begins anew.")
            sys.exit(INTERRUPTED)
        if self.failed:
            sys.exit(1)
        if self.kinds.total():
            sys.exit(TROUBLES_REMAIN)
