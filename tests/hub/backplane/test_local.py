"""The backplane of one process."""

from __future__ import annotations

import pytest

from flask_chatix_comments.hub.backplane.base import Event, PresenceChanged
from flask_chatix_comments.hub.backplane.local import LocalBackplane
from tests.hub.support import World

pytestmark = pytest.mark.anyio


async def test_all_who_listen_hear_in_order() -> None:
    backplane = LocalBackplane()
    heard: list[list[Event]] = [[], []]
    for one in heard:
        backplane.listen(one.append)
    events: list[Event] = [PresenceChanged("room", count) for count in range(3)]
    for event in events:
        await backplane.publish(event)
    assert heard == [events, events]


async def test_one_listener_that_fails_does_not_keep_others_from_hearing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    room = await world.room()
    heard: list[Event] = []

    def fail(_: Event) -> None:
        raise RuntimeError("deaf")

    world.backplane.listen(fail)
    world.backplane.listen(heard.append)
    ada = await world.connect("ada")
    await ada.join(room)
    assert (await ada.post(room))["seq"] == 1
    assert len(heard) == 1
    assert "MessagePosted could not be delivered" in caplog.text
