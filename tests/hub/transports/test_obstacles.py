"""Transports that do not get through to somebody are not offered again, for a while."""

from __future__ import annotations

from flask_chatix_comments.hub.transports.obstacles import MAX_REMEMBERED, REMEMBERED_S, TRANSPORTS, Obstacles
from tests.hub.support import Clock

WS, SSE, POLLING = TRANSPORTS.values()


def test_what_does_not_get_through_is_not_offered(clock: Clock) -> None:
    obstacles = Obstacles(clock)
    assert obstacles.transports_for("ada") == (WS, SSE, POLLING)
    obstacles.note("ada", "sse")
    assert obstacles.transports_for("ada") == (WS, POLLING)
    obstacles.note("ada", "websocket")
    assert obstacles.transports_for("ada") == (POLLING,)
    assert obstacles.transports_for("bob") == (WS, SSE, POLLING)


def test_one_is_always_left(clock: Clock) -> None:
    obstacles = Obstacles(clock)
    for transport in TRANSPORTS:
        obstacles.note("ada", transport)
    assert obstacles.transports_for("ada") == (POLLING,)


def test_it_is_forgotten_after_a_while(clock: Clock) -> None:
    obstacles = Obstacles(clock)
    obstacles.note("ada", "sse")
    clock.advance(REMEMBERED_S - 1)
    obstacles.note("ada", "websocket")
    assert obstacles.transports_for("ada") == (POLLING,)
    clock.advance(1)
    assert obstacles.transports_for("ada") == (SSE, POLLING)


def test_only_so_many_are_remembered(clock: Clock) -> None:
    obstacles = Obstacles(clock)
    for number in range(MAX_REMEMBERED):
        obstacles.note(f"visitor {number}", "sse")
    # What is seen again is new.
    obstacles.note("visitor 0", "sse")
    obstacles.note("ada", "sse")
    offered = {name: SSE in obstacles.transports_for(name) for name in ("visitor 0", "visitor 1", "visitor 2", "ada")}
    assert offered == {"visitor 0": False, "visitor 1": True, "visitor 2": False, "ada": False}
