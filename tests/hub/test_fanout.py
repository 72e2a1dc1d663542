"""What many are told: in order, joined where it comes together, and never behind an answer."""

from __future__ import annotations

import asyncio

import pytest

from flask_chatix_comments.hub import fanout as fanout_module
from flask_chatix_comments.hub.fanout import LONGEST_REST_S, Fanout
from flask_chatix_comments.hub.membership import Membership
from flask_chatix_comments.models import Profile
from tests.hub.support import until

pytestmark = pytest.mark.anyio

ROOM = "room"


class Crowd:
    """Visitors in a chatroom, each with a connection of the same name, and what they are told."""

    def __init__(self, *names: str) -> None:
        self.membership = Membership()
        self.fanout = Fanout(self.membership)
        self.told: dict[str, list[str]] = {}
        for name in names:
            self.join(name)

    def join(self, name: str, chatroom_id: str = ROOM) -> None:
        if name not in self.told:
            self.membership.enter(Profile(name), {})
            self.membership.connect(name, name)
            self.told[name] = []
            self.fanout.add(name, self.told[name].append)
        self.membership.join(name, chatroom_id)

    def post(self, text: str, own: dict[str, str] | None = None, chatroom_id: str = ROOM) -> None:
        self.fanout.tell_chatroom(chatroom_id, text, own or {})


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd("ada", "bob", "eve")


async def turn() -> None:
    """Let the event loop go round, and what it found ready be done."""
    for _ in range(2):
        await asyncio.sleep(0)


async def test_what_is_posted_in_one_turn_is_told_in_one_text(crowd: Crowd) -> None:
    for text in ("1", "2", "3"):
        crowd.post(text)
    assert crowd.told == {"ada": [], "bob": [], "eve": []}
    await turn()
    assert crowd.told == {"ada": ["123"], "bob": ["123"], "eve": ["123"]}
    # So a server may make a frame of it once.
    assert len({id(texts[0]) for texts in crowd.told.values()}) == 1


async def test_senders_get_their_own_or_nothing(crowd: Crowd) -> None:
    crowd.post("1", {"ada": ""})
    crowd.post("2", {"bob": "two"})
    crowd.post("3", {"ada": ""})
    await turn()
    assert crowd.told == {"ada": ["2"], "bob": ["1two3"], "eve": ["123"]}


async def test_chatrooms_do_not_keep_each_other_from_joining(crowd: Crowd) -> None:
    crowd.join("bob", "other")
    for text in ("1", "2"):
        crowd.post(text)
        crowd.post(text.upper() + "o", chatroom_id="other")
    await until(lambda: len(crowd.told["bob"]) == 2, "both")
    assert crowd.told == {"ada": ["12"], "bob": ["12", "1o2o"], "eve": ["12"]}


async def test_other_events_keep_their_place(crowd: Crowd) -> None:
    crowd.post("post")
    crowd.fanout.tell({"ada": "edit", "bob": "own edit"})
    crowd.post("later")
    await until(lambda: "later" in crowd.told["ada"], "the last one")
    assert crowd.told == {
        "ada": ["post", "edit", "later"],
        "bob": ["post", "own edit", "later"],
        "eve": ["post", "later"],
    }


async def test_with_nothing_before_it_an_event_is_told_at_once(crowd: Crowd) -> None:
    crowd.fanout.tell({"ada": "typing", "nobody": "x"})
    assert crowd.told["ada"] == ["typing"]


async def test_nobody_gets_an_answer_before_what_was_told_earlier(crowd: Crowd) -> None:
    crowd.post("1")
    crowd.fanout.tell({"ada": "edit"})
    crowd.post("2", {"ada": ""})
    crowd.fanout.catch_up("ada")
    crowd.told["ada"].append("answer")
    crowd.post("3")
    assert crowd.told == {"ada": ["1", "edit", "answer"], "bob": [], "eve": []}
    await until(lambda: crowd.told["bob"] == ["1", "23"], "the others")
    assert crowd.told["ada"] == ["1", "edit", "answer", "3"]
    # Whoever is not there has nothing to catch up with.
    crowd.post("4")
    crowd.fanout.catch_up("nobody")
    crowd.join("joe", "other")
    crowd.fanout.catch_up("joe")
    assert crowd.told["joe"] == []


async def test_who_is_in_a_chatroom_when_it_is_told_hears_it(crowd: Crowd) -> None:
    crowd.post("1")
    await turn()
    crowd.post("2")
    crowd.membership.expel("ada", ROOM)
    crowd.fanout.remove("bob")
    crowd.join("joe")
    await turn()
    assert crowd.told == {"ada": ["1"], "bob": ["1"], "eve": ["1", "2"], "joe": ["2"]}
    crowd.membership.disconnect("joe", until=0)
    crowd.membership.connect("eve", "eve 2")
    crowd.told["eve 2"] = []
    crowd.fanout.add("eve 2", crowd.told["eve 2"].append)
    crowd.post("3")
    await turn()
    assert (crowd.told["eve"], crowd.told["eve 2"], crowd.told["joe"]) == (["1", "2", "3"], ["3"], ["2"])


async def test_one_who_cannot_be_told_keeps_it_from_nobody(crowd: Crowd, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: str) -> None:
        raise ValueError("a bug of ours")

    crowd.fanout.add("bob", fail)
    crowd.post("1")
    await turn()
    crowd.fanout.tell({"bob": "2", "eve": "2"})
    assert crowd.told == {"ada": ["1"], "bob": [], "eve": ["1", "2"]}
    assert caplog.text.count("could not be told") == 2


async def test_nothing_is_told_twice_by_who_cannot_wait(crowd: Crowd) -> None:
    crowd.post("1")
    crowd.fanout.flush()
    assert crowd.told["ada"] == ["1"]
    await turn()
    crowd.fanout.flush()
    assert crowd.told["ada"] == ["1"]


@pytest.mark.parametrize("takes_s", [0.01, 10.0])
async def test_a_large_crowd_leaves_others_as_much_time_as_it_took(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    now = 0.0
    monkeypatch.setattr(fanout_module, "monotonic", lambda: now)

    def take_time(_: str) -> None:
        nonlocal now
        now += takes_s

    crowd.fanout.add("ada", take_time)
    crowd.post("1")
    await turn()
    delays = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda delay_s, _: delays.append(delay_s))
    crowd.post("2")
    crowd.post("3")
    await turn()
    assert crowd.told["bob"] == ["1"]
    assert delays == [pytest.approx(min(takes_s, LONGEST_REST_S))]
    crowd.fanout.flush()
    assert crowd.told["bob"] == ["1", "23"]
