"""Do the same to many things, some at a time, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# How many things wait for each worker, so that none is idle while the caller prints a result.
_AHEAD = 2


def in_flight(work: Callable[[T], R], things: Iterable[T], *, concurrency: int) -> Generator[R, None, None]:
    """Yield what *work* returns for each of *things*, in the order in which they are done.

    *things* are read in this thread, as it goes. When they raise, what was begun is finished and yielded first.
    Closing the iterator finishes what is begun and starts nothing more.

    Args:
        work: Called in other threads; what it raises ends all.
        concurrency: How many at once, at least 1.
    """
    if concurrency < 1:
        raise ValueError("concurrency is at least 1")
    source = iter(things)
    failure: Exception | None = None
    is_open = True
    running: set[Future[R]] = set()
    executor = ThreadPoolExecutor(concurrency, thread_name_prefix="chatix-in-flight")
    try:
        while is_open or running:
            while is_open and len(running) < concurrency * _AHEAD:
                try:
                    running.add(executor.submit(work, next(source)))
                except StopIteration:
                    is_open = False
                except Exception as exc:
                    is_open, failure = False, exc
            if running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
    finally:
        executor.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure
