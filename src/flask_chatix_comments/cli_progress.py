"""How far a command is: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from .cli_support import note

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

T = TypeVar("T")
Progress = Callable[[int, int | None], None]

LINE_EVERY = 10_000


@contextlib.contextmanager
def progress_of(label: str) -> Iterator[Progress]:
    """Yield a function to be told how many of how many are done; the total may come later, or never."""
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    with contextlib.ExitStack() as stack:
        bars: list[ProgressBar[None]] = []

        def show(count: int, total: int | None) -> None:
            if not bars:
                bar: ProgressBar[None] = click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True)
                bars.append(stack.enter_context(bar))
            bars[0].length = None if total is None else max(total, count)
            bars[0].update(count - bars[0].pos)

        yield show


class _Lines:
    def __init__(self, label: str) -> None:
        self._label = label
        self._next = LINE_EVERY

    def __call__(self, count: int, total: int | None) -> None:
        if count >= self._next:
            self._next = count - count % LINE_EVERY + LINE_EVERY
            note(f"{self._label}: {count}" + ("" if total is None else f" of {total}"))


def shown(things: Generator[T, None, None], *, label: str, total: int | None) -> Generator[T, None, None]:
    """Yield *things*, and show how many of them have been taken; to close this closes them."""
    with progress_of(label) as progress, contextlib.closing(things):
        for count, thing in enumerate(things, start=1):
            yield thing
            progress(count, total)
