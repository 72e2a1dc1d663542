"""Leave an API alone that fails, and ask it again by one call at a time: a circuit breaker, and a limit for readers.

Of our own, since none of the libraries for it fits (looked at: pybreaker 1.4, purgatory 3.0, circuitbreaker 2.1,
aiobreaker 1.2). One holds a lock during the call, so that calls go one after the other; the others have no lock and
let every caller probe at once. None of them knows ``Retry-After``, lets a test move the clock, or copes with a fork
that copies a lock which is held or a probe which is under way.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import threading
from collections.abc import Callable, Iterator

from .errors import ApiConnectionError, ApiError, ApiPausedError, ApiPayloadError, ApiStatusError, ApiTimeoutError

#: So many calls have to fail, none of them answered between, for the API to be left alone.
FAILURES = 3
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
#: The longest Retry-After that is taken at its word; after that the API is asked whether it still means it.
MAX_ASKED_PAUSE_S = 600.0
#: A probe that has said nothing for so long died with its thread.
PROBE_LEASE_S = 60.0
PROBE_WAIT_S = 1.0
#: Calls at once that readers wait for; each may hold a worker of the site.
READERS_AT_ONCE = 8
#: Who gave the API less time than this has learned nothing about it.
SHORTEST_FAIR_TIME_S = 0.5
# The key is wrong for whatever is asked for; or the service is overloaded, broken or being repaired.
_TROUBLE_STATUSES = frozenset({401, 408, 425, 429, 500, 502, 503, 504})

logger = logging.getLogger(__name__)


class ApiGuard:
    """Says whether an API may be called, and learns from what comes of it. Safe for threads; each process learns anew.

    Closed, as electricians say, it lets calls through and counts failures in a row. Open, it refuses all of them
    until a pause is over, which doubles from one second to thirty, or is what the API asks for. Then one call is let
    through; what becomes of it decides.

    Args:
        name: The API's address, for the log.
        clock: Seconds that never go back.
        jitter: Returns a number between its arguments: processes that opened together do not probe together.
    """

    def __init__(
        self, name: str, *, clock: Callable[[], float], jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._name = name
        self._clock = clock
        self._jitter = jitter
        self._circuits: dict[int, _Circuit] = {}

    def require_open_door(self, operation: str) -> None:
        """Return if a call could be tried now.

        Raises:
            ApiPausedError: The API is left alone.
        """
        self._circuit.refuse(operation, self._clock())

    @contextlib.contextmanager
    def call(self, operation: str, *, is_for_reader: bool) -> Iterator[None]:
        """Guard one call, with all its tries.

        Args:
            is_for_reader: Whether a reader's request waits for it; of these only some may be under way.

        Raises:
            ApiPausedError: The API is left alone; or so many readers wait for it that another one must not.
        """
        circuit = self._circuit
        is_probe = circuit.enter(operation, self._clock(), is_for_reader=is_for_reader)
        failure: ApiError | None = None
        is_answered = False
        try:
            yield
            is_answered = True
        except ApiError as exc:
            is_answered, failure = _verdict(exc)
            raise
        finally:
            circuit.leave(self._clock(), is_answered, failure, is_probe=is_probe, is_for_reader=is_for_reader)

    @property
    def _circuit(self) -> _Circuit:
        # No lock: a fork might copy it locked. Of two that are made at once, one is kept.
        circuit = self._circuits.get(os.getpid())
        return circuit or self._circuits.setdefault(os.getpid(), _Circuit(self._name, self._jitter))


class _Circuit:
    """What one process knows of the API."""

    def __init__(self, name: str, jitter: Callable[[float, float], float]) -> None:
        self._name = name
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures = 0
        self._pauses = 0
        self._opened_at: float | None = None
        self._open_until = -math.inf
        self._probe_began = -math.inf
        self._readers = 0
        self._last_failure = ""

    def refuse(self, operation: str, now: float) -> None:
        """Raise if the circuit is open and nobody may probe."""
        left_s = self._open_until - now
        if left_s <= 0 and now - self._probe_began < PROBE_LEASE_S:
            left_s = PROBE_WAIT_S
        if left_s > 0:
            raise ApiPausedError(
                f"The API at {self._name} was not asked for {operation}: it is left alone for another {left_s:.3g} s."
                f" {self._last_failure}",
                operation=operation,
                retry_after_s=left_s,
            )

    def enter(self, operation: str, now: float, *, is_for_reader: bool) -> bool:
        """Begin a call, or raise; return whether it is a probe."""
        with self._lock:
            self.refuse(operation, now)
            if is_for_reader and self._readers >= READERS_AT_ONCE:
                raise ApiPausedError(
                    f"The API at {self._name} was not asked for {operation}: {self._readers} readers wait for it"
                    " already.",
                    operation=operation,
                    retry_after_s=PROBE_WAIT_S,
                )
            self._readers += is_for_reader
            is_probe = self._opened_at is not None
            if is_probe:
                self._probe_began = now
            return is_probe

    def leave(
        self, now: float, is_answered: bool, failure: ApiError | None, *, is_probe: bool, is_for_reader: bool
    ) -> None:
        """End a call. Whoever was killed, or had no time, has learned nothing: then the next one may probe."""
        with self._lock:
            self._readers -= is_for_reader
            if is_probe:
                self._probe_began = -math.inf
            if is_answered:
                self._note_answer(now, is_probe=is_probe)
            elif failure is not None:
                self._note_failure(failure, now, is_probe=is_probe)

    def _note_answer(self, now: float, *, is_probe: bool) -> None:
        # A call from before the API said "later" is no reason to come sooner.
        if self._opened_at is not None and not is_probe:
            return
        if self._opened_at is not None:
            logger.warning("The API at %s answers again, after %.0f s.", self._name, now - self._opened_at)
        self._failures = self._pauses = 0
        self._opened_at, self._open_until = None, -math.inf

    def _note_failure(self, error: ApiError, now: float, *, is_probe: bool) -> None:
        asked_s = error.retry_after_s if isinstance(error, ApiStatusError) else None
        if self._opened_at is not None and not is_probe and asked_s is None:
            return
        self._failures += 1
        pause_s = self._pause_s(asked_s, is_probe=is_probe)
        if pause_s is None:
            return
        self._last_failure = f"The last failure: {error}"
        self._open_until = max(self._open_until, now + pause_s)
        if self._opened_at is None:
            self._opened_at = now
            logger.error(
                "The API at %s is left alone for %.3g s, and then asked by one call at a time until it answers. %s",
                self._name,
                pause_s,
                self._last_failure,
            )

    def _pause_s(self, asked_s: float | None, *, is_probe: bool) -> float | None:
        if asked_s is not None:
            # Not earlier than asked for, and not all processes at the same moment.
            return self._jitter(1.0, 1.1) * min(asked_s, MAX_ASKED_PAUSE_S)
        if not is_probe and self._failures < FAILURES:
            return None
        self._pauses += 1
        return self._jitter(0.75, 1.25) * min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._pauses - 1, 10))


def _verdict(exc: ApiError) -> tuple[bool, ApiError | None]:
    """Return whether the API has done its work in spite of *exc*, and if not, the failure; ``None``: nobody knows."""
    if isinstance(exc, ApiStatusError):
        return (False, exc) if exc.status_code in _TROUBLE_STATUSES else (True, None)
    if isinstance(exc, ApiTimeoutError) and exc.timeout_s < SHORTEST_FAIR_TIME_S:
        return False, None
    return False, exc if isinstance(exc, (ApiConnectionError, ApiPayloadError)) else None
