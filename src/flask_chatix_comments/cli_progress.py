"""How far a command is: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import itertools
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
#: So often a bar is drawn anew, about: to draw takes longer than most of what it counts.
_STEPS = 200
_EMPTY_LINE = "\r\x1b[K"


@contextlib.contextmanager
def progress_of(label: str) -> Iterator[Progress]:
    """Yield a function to be told how many of how many are done; the total may come later, or never."""
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    with contextlib.ExitStack() as stack:
        yield _Bar(label, stack)


class _Bar:
    """A bar on the terminal, from when something is done."""

    def __init__(self, label: str, stack: contextlib.ExitStack) -> None:
        self._label = label
        self._stack = stack
        self._bar: ProgressBar[None] | None = None
        self._count = 0

    def __call__(self, count: int, total: int | None) -> None:
        bar = self._bar or self._begin(total)
        bar.length = None if total is None else max(total, count)
        self._count = count
        if count == total or count - bar.pos >= (total or count) / _STEPS:
            self._draw()

    def _begin(self, total: int | None) -> ProgressBar[None]:
        # Without a length click wants something to go through.
        bar = click.progressbar(itertools.repeat(None), length=total, label=self._label, file=sys.stderr, show_pos=True)
        self._bar = self._stack.enter_context(bar)
        self._stack.callback(self._draw)
        return bar

    def _draw(self) -> None:
        if self._bar is not None:
            self._bar.update(self._count - self._bar.pos)


def make_way() -> None:
    """Empty the line of a bar, so that what is said meanwhile stands in its place; the bar comes below it."""
    if sys.stderr.isatty():
        click.echo(_EMPTY_LINE, err=True, nl=False)


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
