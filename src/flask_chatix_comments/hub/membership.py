"""Which visitor is in which chatroom, and which connections are theirs.

Plain bookkeeping of those who are here: visitors with an open connection, and those who lost theirs
a moment ago. What lasts longer is in the store.

A *hold* is a reason to be a member. A join gives the connection a hold on the chatroom; a leave gives
up that connection's hold and those of the same visitor's closed connections; the membership ends with
the last hold. A connection that drops without leaving keeps its hold for a grace time, or for good. A
connection that has joined nothing keeps up the dropped ones: chatix-core never joins again by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..models import Crowd, Profile

#: Stands for connections of which only the store knew.
EARLIER = ""
#: Stands for the API, which let the visitor in; the visitor's own join takes its place.
BY_API = "api"


@dataclass(slots=True)
class _Present:
    """A visitor who is here.

    Attributes:
        connection_ids: Open connections.
        holds: For each chatroom, what holds the membership and when that ends; never for open connections.
    """

    profile: Profile
    connection_ids: set[str] = field(default_factory=set)
    holds: dict[str, dict[str, float]] = field(default_factory=dict)


class Membership:
    """Who is here, and in which chatrooms.

    Attributes:
        version: Another number after each change of who is in a chatroom, and by which connections.
    """

    def __init__(self) -> None:
        self.version = 0
        self._present: dict[str, _Present] = {}
        self._visitor_of: dict[str, str] = {}
        self._members: dict[str, set[str]] = {}
        # Those with a hold that will end: the only ones that time has to look at.
        self._ending: set[str] = set()

    # Visitors and their connections

    def is_present(self, visitor_id: str) -> bool:
        """Whether the visitor's chatrooms are known here; else ask the store."""
        return visitor_id in self._present

    def is_online(self, visitor_id: str) -> bool:
        """Whether the visitor has an open connection."""
        present = self._present.get(visitor_id)
        return present is not None and bool(present.connection_ids)

    def crowd(self) -> Crowd:
        """Return how many connections are open, and of how many visitors."""
        counts = [len(present.connection_ids) for present in self._present.values() if present.connection_ids]
        return Crowd(sum(counts), len(counts))

    def profile(self, visitor_id: str) -> Profile | None:
        """Return who this is, when they are here."""
        present = self._present.get(visitor_id)
        return present.profile if present else None

    def set_profile(self, profile: Profile) -> None:
        """Take note of a change, when the visitor is here."""
        present = self._present.get(profile.visitor_id)
        if present:
            present.profile = profile

    def enter(self, profile: Profile, chatrooms: Mapping[str, tuple[str, float]]) -> None:
        """Let a visitor be here who was not.

        Args:
            chatrooms: Where the visitor is a member already: what holds that (``EARLIER``, ``BY_API``), and
                until when; ``math.inf`` means for good.
        """
        self._present[profile.visitor_id] = _Present(profile)
        for chatroom_id, (held_by, until) in chatrooms.items():
            self._hold(profile.visitor_id, chatroom_id, held_by, until)

    def connect(self, visitor_id: str, connection_id: str) -> None:
        """Add an open connection of a visitor who is here."""
        self.version += 1
        self._present[visitor_id].connection_ids.add(connection_id)
        self._visitor_of[connection_id] = visitor_id

    def disconnect(self, connection_id: str, *, until: float) -> None:
        """Note that a connection has dropped: its holds go on until *until*; ``math.inf`` means for good."""
        visitor_id = self._visitor_of.pop(connection_id, None)
        if visitor_id is None:
            return
        self.version += 1
        present = self._present[visitor_id]
        present.connection_ids.discard(connection_id)
        for holds in present.holds.values():
            if connection_id in holds:
                holds[connection_id] = until
                self._note_end(visitor_id, until)
        self._forget_if_gone(visitor_id)

    # Chatrooms

    def is_member(self, visitor_id: str, chatroom_id: str) -> bool:
        """Whether a visitor who is here is in the chatroom."""
        return visitor_id in self._members.get(chatroom_id, ())

    def is_held_by_api(self, visitor_id: str, chatroom_id: str) -> bool:
        """Whether the API let the visitor in, and no join has taken its place since."""
        present = self._present.get(visitor_id)
        return present is not None and BY_API in present.holds.get(chatroom_id, {})

    def join(self, connection_id: str, chatroom_id: str) -> None:
        """Give the connection a hold on the chatroom; it takes the place of the API's."""
        visitor_id = self._visitor_of[connection_id]
        self._hold(visitor_id, chatroom_id, connection_id, math.inf)
        self._present[visitor_id].holds[chatroom_id].pop(BY_API, None)

    def admit(self, visitor_id: str, chatroom_id: str) -> None:
        """Let a visitor who is here be a member for good, until it leaves."""
        if visitor_id in self._present:
            self._hold(visitor_id, chatroom_id, BY_API, math.inf)

    def would_end(self, visitor_id: str, chatroom_id: str, *, connection_id: str, spare_api: bool) -> bool:
        """Whether ``leave`` with the same arguments ends the membership."""
        return not self._remaining(visitor_id, chatroom_id, connection_id, spare_api)

    def leave(self, visitor_id: str, chatroom_id: str, *, connection_id: str, spare_api: bool) -> None:
        """Give up the hold of this connection and those of the visitor's closed ones.

        Args:
            spare_api: Whether the API's hold stays: it may be meant for a page that is just coming.
        """
        remaining = self._remaining(visitor_id, chatroom_id, connection_id, spare_api)
        if remaining:
            self._present[visitor_id].holds[chatroom_id] = remaining
        else:
            self.expel(visitor_id, chatroom_id)

    def _remaining(self, visitor_id: str, chatroom_id: str, connection_id: str, spare_api: bool) -> dict[str, float]:
        present = self._present.get(visitor_id)
        holds = present.holds.get(chatroom_id, {}) if present else {}
        return {
            held_by: until
            for held_by, until in holds.items()
            if (held_by in self._visitor_of and held_by != connection_id) or (spare_api and held_by == BY_API)
        }

    def expel(self, visitor_id: str, chatroom_id: str) -> None:
        """End a membership, whatever holds it."""
        present = self._present.get(visitor_id)
        if present is None:
            return
        self.version += 1
        present.holds.pop(chatroom_id, None)
        members = self._members.get(chatroom_id, set())
        members.discard(visitor_id)
        if not members:
            self._members.pop(chatroom_id, None)
        self._forget_if_gone(visitor_id)

    def expired(self, now: float) -> list[tuple[str, str]]:
        """Return the memberships whose last hold has ended: visitor and chatroom."""
        return [
            (visitor_id, chatroom_id)
            for visitor_id in self._ending
            for chatroom_id in self._present[visitor_id].holds
            if self.has_expired(visitor_id, chatroom_id, now)
        ]

    def has_expired(self, visitor_id: str, chatroom_id: str, now: float) -> bool:
        """Whether the last hold of this membership has ended."""
        present = self._present.get(visitor_id)
        holds = present.holds.get(chatroom_id) if present else None
        if not present or not holds or any(until > now for until in holds.values()):
            return False
        joined = {held_by for others in present.holds.values() for held_by in others}
        return present.connection_ids <= joined

    # Whom to tell

    def connections_in(self, chatroom_id: str) -> Iterator[str]:
        """Yield the open connections of all members."""
        for visitor_id in self._members.get(chatroom_id, ()):
            yield from self._present[visitor_id].connection_ids

    def count_visited(self) -> int:
        """Return in how many chatrooms somebody is who has an open connection; it looks at each of them."""
        return sum(any(self.is_online(one) for one in members) for members in self._members.values())

    def is_connected_to(self, connection_id: str, chatroom_id: str) -> bool:
        """Whether an open connection is one of ``connections_in``."""
        return self._visitor_of.get(connection_id, "") in self._members.get(chatroom_id, ())

    def connections_of(self, visitor_id: str) -> Iterable[str]:
        """Return the visitor's open connections."""
        present = self._present.get(visitor_id)
        return tuple(present.connection_ids) if present else ()

    def chatrooms_of(self, visitor_id: str) -> tuple[str, ...]:
        """Return the chatrooms of a visitor who is here."""
        present = self._present.get(visitor_id)
        return tuple(present.holds) if present else ()

    def _hold(self, visitor_id: str, chatroom_id: str, held_by: str, until: float) -> None:
        self.version += 1
        self._present[visitor_id].holds.setdefault(chatroom_id, {})[held_by] = until
        self._members.setdefault(chatroom_id, set()).add(visitor_id)
        self._note_end(visitor_id, until)

    def _note_end(self, visitor_id: str, until: float) -> None:
        if until != math.inf:
            self._ending.add(visitor_id)

    def _forget_if_gone(self, visitor_id: str) -> None:
        """Forget a visitor for whom nothing is left to watch: the store has what lasts."""
        present = self._present[visitor_id]
        if any(until != math.inf for holds in present.holds.values() for until in holds.values()):
            return
        self._ending.discard(visitor_id)
        if present.connection_ids:
            return
        self.version += 1
        for chatroom_id in list(present.holds):
            members = self._members[chatroom_id]
            members.discard(visitor_id)
            if not members:
                del self._members[chatroom_id]
        del self._present[visitor_id]
