"""Without JavaScript, with several workers and the real hub: what is sent twice is one comment, and all show it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask, render_template_string

from flask_chatix_comments import ChatixComments
from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests
from flask_chatix_comments.thread_cache import MAX_AGE_S
from flask_chatix_comments.tokens import PostClaim
from tests.flask_support import SECRET, Clock

pytestmark = pytest.mark.interop


@pytest.fixture
def workers(chatix_hub: HubForTests, tmp_path: Path) -> Iterator[list[Flask]]:
    """Two of them, which share nothing but settings, registry and hub."""
    with contextlib.ExitStack() as stack:
        apps = []
        for number in range(2):
            app = Flask(f"worker_{number}", instance_path=str(tmp_path / "instance"))
            app.config.update(chatix_hub.settings | {"SECRET_KEY": SECRET, "TESTING": True, "CHATIX_RENDER_WAIT": 5})
            ChatixComments(app)
            app.add_url_rule("/", "post", lambda: render_template_string("{{ chatix_comments('post') }}"))
            # Not at the end of ten minutes by the clock, whenever this runs.
            get_state(app).clock = Clock(now=1_800_000_000.0)
            stack.callback(get_state(app).close)
            apps.append(app)
        yield apps


def send(app: Flask, text: str) -> int:
    token = get_state(app).post_tokens.sign(PostClaim("post", "A post", False))
    form = {"post": token, "name": "Robin", "text": text}
    headers = {"Sec-Fetch-Site": "same-origin", "User-Agent": "a browser"}
    return app.test_client().post("/chatix-comments/post", data=form, headers=headers).status_code


def test_a_guest_whose_clicks_come_to_two_workers_has_posted_once(
    workers: list[Flask], chatix_hub: HubForTests
) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, workers * 2, ["The same"] * 4))
    assert answers == [303] * 4
    assert [message.content for message in chatix_hub.messages("post")] == ["The same"]


def test_the_page_of_each_worker_shows_it_before_twenty_seconds_are_over(workers: list[Flask]) -> None:
    one, other = workers
    clock = Clock(now=1000.0)
    get_state(other).monotonic = clock
    assert "A comment" not in other.test_client().get("/").text
    assert send(one, "A comment") == 303
    # Who has taken it knows it; the other does when what it knows is too old to be shown.
    assert "A comment" in one.test_client().get("/").text
    clock.advance(MAX_AGE_S)
    assert "A comment" in other.test_client().get("/").text
