"""Take visitors who are offline out of chatrooms: what beacons and the hub's own clock have missed.

Nobody who is here, or on the way from one page to the next, may lose a seat to it. So a visitor must be
offline at two looks, some time apart, and the last look and the deed are one step where the service can
do that. Where it cannot, who came back at that very moment is put back.

Out of private chatrooms it also takes, at once and online or not, whom the site does not let in any more. Where the
site has nobody to ask they are left alone: there a membership is a permission, which only the API gives.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .errors import ApiError, ApiStatusError
from .registry import RoomRegistry, RoomState
from .room_info import all_entries
from .room_list import RoomList
from .room_troubles import GONE_STATUSES

if TYPE_CHECKING:
    from .api import ChatixApi

VISITORS_PER_CALL = 100
#: As long as our hub waits for a reader whose connection dropped.
GRACE_S = 60.0
LIMIT = 1_000
TIME_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class SweepFailure:
    """A chatroom that could not be swept.

    Attributes:
        error: Why, for people.
    """

    post_id: str
    error: str


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep has found and done.

    Attributes:
        chatrooms: How many were looked into: those that are public, and in which our hub counts somebody.
        offline: How many seats in them were those of visitors who were offline at the first look.
        taken_out: How many of these seats are free now.
        came_back: How many of these visitors were online again at the second look, or had a permission of
            the API still to be used.
        failures: Chatrooms that could not be swept.
        is_complete: False when a limit or a failure ended the sweep; the next one goes on.
        refused: How many have been taken out of private chatrooms that they may not read any more.
    """

    chatrooms: int
    offline: int
    taken_out: int
    came_back: int
    failures: tuple[SweepFailure, ...]
    is_complete: bool
    refused: int = 0


class _Place(NamedTuple):
    post_id: str
    chatroom_id: str
    is_private: bool


@dataclass(frozen=True, slots=True)
class _Seat:
    post_id: str
    chatroom_id: str
    visitor_id: str


class _StopError(Exception):
    """Nothing more is to be done: a limit is reached, or the service fails."""


@dataclass(slots=True)
class _Tally:
    chatrooms: int = 0
    taken_out: int = 0
    came_back: int = 0
    refused: int = 0
    failures: dict[str, SweepFailure] = field(default_factory=dict)
    is_complete: bool = True


class Sweeper:
    """Sweeps the chatrooms of a registry. To sweep again, or twice at once, does no harm.

    Args:
        is_hosted: Whether the service is another than our hub.
        strangers_in: Returns who is in a post's private chatroom and may not read it; ``None``: nobody can tell.
        limit: How many seats are freed at most, and how many who may not read are taken out.
        grace_s: How long after the first look the second one comes.
        time_limit_s: How long it may take without the grace time; half of that for the first look.
        waiting: Is told how many seats are looked at again, before the grace time.
        sleep: Waits, in seconds.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        api: ChatixApi,
        *,
        is_hosted: bool,
        strangers_in: Callable[[str, str], list[str]] | None = None,
        limit: int = LIMIT,
        grace_s: float = GRACE_S,
        time_limit_s: float = TIME_LIMIT_S,
        waiting: Callable[[int], None] = lambda seats: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted
        self._strangers_in = strangers_in
        self._limit = limit
        self._grace_s = grace_s
        self._time_limit_s = time_limit_s
        self._waiting = waiting
        self._sleep = sleep
        self._clock = clock
        self._tally = _Tally()
        self._deadline = 0.0

    def run(self) -> SweepResult:
        """Sweep once.

        Raises:
            RegistryError: The registry cannot be read.
            ApiError: The service does not even list chatrooms; later failures are in the result.
        """
        self._tally = tally = _Tally()
        started = self._clock()
        chatrooms = list(self._chatrooms())
        # A sweep that is cut short must not always begin with the same ones.
        random.shuffle(chatrooms)
        self._deadline = started + self._time_limit_s / 2
        self._take_out_strangers(chatrooms)
        seats = self._first_look(chatrooms)
        looked_s = self._clock() - started
        if seats:
            self._waiting(len(seats))
            self._sleep(self._grace_s)
            self._deadline = self._clock() + self._time_limit_s - looked_s
            self._second_look(seats)
        return SweepResult(
            chatrooms=tally.chatrooms,
            offline=len(seats),
            taken_out=tally.taken_out,
            came_back=tally.came_back,
            failures=tuple(tally.failures.values()),
            is_complete=tally.is_complete,
            refused=tally.refused,
        )

    def _chatrooms(self) -> Iterator[_Place]:
        """Yield the chatrooms where somebody may be whom we may take out."""
        # Our hub is believed when it counts nobody.
        with RoomList() as rooms:
            if not self._is_hosted:
                rooms.fetch(self._api)
            for entry in all_entries(self._registry):
                is_open = entry.state in (RoomState.OPEN, RoomState.CLOSED)
                is_ours = self._strangers_in is not None or not entry.is_private
                if entry.chatroom_id is None or not is_open or not is_ours:
                    continue
                chatroom = rooms.find(entry.chatroom_id)
                if chatroom is None or chatroom.number_of_visitors:
                    yield _Place(entry.post_id, entry.chatroom_id, entry.is_private)

    def _take_out_strangers(self, chatrooms: list[_Place]) -> None:
        with self._until_stopped():
            for post_id, chatroom_id, is_private in chatrooms:
                if not is_private or self._strangers_in is None:
                    continue
                with self._chatroom_of(post_id):
                    for visitor_id in self._strangers_in(post_id, chatroom_id):
                        if self._tally.refused >= self._limit:
                            raise _StopError
                        self._api.disconnect_visitor(chatroom_id, visitor_id)
                        self._tally.refused += 1

    def _first_look(self, chatrooms: list[_Place]) -> list[_Seat]:
        seats: list[_Seat] = []
        with self._until_stopped():
            for post_id, chatroom_id, _ in chatrooms:
                # One more than may be freed: it tells that there is more to do.
                if len(seats) > self._limit:
                    raise _StopError
                with self._chatroom_of(post_id):
                    offline = self._offline_in(chatroom_id)
                    seats += [_Seat(post_id, chatroom_id, visitor_id) for visitor_id in offline]
                    self._tally.chatrooms += 1
        if len(seats) > self._limit:
            self._tally.is_complete = False
        return seats[: self._limit]

    def _offline_in(self, chatroom_id: str) -> list[str]:
        """Return who is offline in a chatroom; all pages come before anybody goes, since that would shift them."""
        seen: dict[str, bool] = {}
        page = 1
        while True:
            known = len(seen)
            members = self._api.list_presence(chatroom_id, page=page, items_per_page=VISITORS_PER_CALL)
            seen.update(members)
            # A service that ignores the page number would list the same visitors for ever.
            if len(members) < VISITORS_PER_CALL or len(seen) == known:
                return [visitor_id for visitor_id, is_online in seen.items() if not is_online]
            page += 1

    def _second_look(self, seats: list[_Seat]) -> None:
        with self._until_stopped():
            for seat in seats:
                if seat.post_id in self._tally.failures:
                    continue
                with self._chatroom_of(seat.post_id):
                    if self._take_out(seat):
                        self._tally.taken_out += 1
                    else:
                        self._tally.came_back += 1

    def _take_out(self, seat: _Seat) -> bool:
        """Free the seat of a visitor who is still offline; return whether it is free."""
        api, chatroom_id, visitor_id = self._api, seat.chatroom_id, seat.visitor_id
        if not self._is_hosted:
            return not api.disconnect_offline_visitor(chatroom_id, visitor_id)
        if api.is_online(visitor_id):
            return False
        api.disconnect_visitor(chatroom_id, visitor_id)
        if api.is_online(visitor_id):
            # Whoever came back between the two calls may have joined already, and would sit there in silence.
            api.connect_visitor(chatroom_id, visitor_id)
            return False
        return True

    @contextlib.contextmanager
    def _until_stopped(self) -> Iterator[None]:
        try:
            yield
        except _StopError:
            self._tally.is_complete = False

    @contextlib.contextmanager
    def _chatroom_of(self, post_id: str) -> Iterator[None]:
        """Deal with one chatroom: that it has vanished is its own trouble, any other failure is the service's."""
        if self._clock() >= self._deadline:
            raise _StopError
        try:
            yield
        except ApiError as exc:
            self._tally.failures[post_id] = SweepFailure(post_id, str(exc))
            if not isinstance(exc, ApiStatusError) or exc.status_code not in GONE_STATUSES:
                raise _StopError from exc
