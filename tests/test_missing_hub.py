"""A site whose server starts no hub: one line in the log, a quiet answer to readers, no calls into the void."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import render_template_string
from werkzeug.test import TestResponse

from flask_chatix_comments import Post
from flask_chatix_comments.errors import HubMissingError
from flask_chatix_comments.missing_hub import MissingHub
from tests.flask_support import Site

GUNICORN = {"SERVER_SOFTWARE": "gunicorn/27.0.1", "wsgi.multiprocess": True}
TEXT = "Comments are not available on this site yet."


@pytest.fixture
def make_missing(tmp_path: Path) -> Iterator[Callable[[], MissingHub]]:
    made: list[MissingHub] = []

    def make(path: Path = tmp_path / "notice") -> MissingHub:
        made.append(MissingHub(path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def critical_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]


def test_the_log_is_told_once_by_all_processes_of_a_site(
    make_missing: Callable[[], MissingHub], caplog: pytest.LogCaptureFixture
) -> None:
    for missing in (make_missing(), make_missing()):
        missing.check()
        for _ in range(2):
            missing.notice(GUNICORN, is_mounted=False)
        with pytest.raises(HubMissingError, match="flask chatix hub"):
            missing.check()
    (line,) = critical_lines(caplog)
    assert line.startswith("The comments have no hub: gunicorn/27.0.1 starts none, and CHATIX_HUB_URL is not set.")
    for remedy in ("flask chatix hub", "mount(app)", "CHATIX_WEBSITE_ID and CHATIX_API_KEY"):
        assert remedy in line


def test_it_is_told_again_once_the_process_that_told_it_has_ended(
    make_missing: Callable[[], MissingHub], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        missing = make_missing()
        missing.notice(GUNICORN, is_mounted=False)
        missing.close()
    assert len(critical_lines(caplog)) == 2


def test_where_no_file_can_be_written_each_process_tells_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        MissingHub(tmp_path / "file" / "notice").notice(GUNICORN, is_mounted=False)
    assert len(critical_lines(caplog)) == 2


@pytest.mark.parametrize(
    ("environ", "is_mounted", "start"),
    [
        ({}, False, "The comments have no hub: this server starts none,"),
        (GUNICORN, True, "The comments have no hub: gunicorn/27.0.1 starts none,"),
        ({"asgi.scope": {}}, False, "The comments have no hub: this server starts none,"),
        ({"asgi.scope": {}}, True, "The comments have no hub: it is mounted in the ASGI application, but the server"),
    ],
)
def test_the_remedy_fits_the_server(
    make_missing: Callable[[], MissingHub], environ: dict[str, Any], is_mounted: bool, start: str
) -> None:
    missing = make_missing()
    missing.notice(environ, is_mounted=is_mounted)
    assert str(missing.remedy).startswith(start)


# The whole site


@pytest.fixture
def served_by_gunicorn(make_site: Callable[..., Site]) -> Site:
    return make_site(TESTING=False)


def ask(site: Site, view: str, body: dict[str, Any]) -> TestResponse:
    return site.app.test_client().post(f"/chatix-comments/{view}", json=body, environ_base=GUNICORN)


def test_readers_get_an_answer_that_lasts_and_the_api_is_not_called(
    served_by_gunicorn: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site = served_by_gunicorn
    post = site.post_token("swifts")
    for _ in range(2):
        answer = ask(site, "join", {"post": post})
        assert (answer.status_code, answer.get_json()) == (503, {"error": "no_hub", "message": TEXT})
        assert "Retry-After" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
    assert ask(site, "take-part", {"post": post, "name": "Robin"}).get_json()["error"] == "no_hub"
    assert site.api.calls == []
    # Nothing else is logged: neither each request, nor what the reader was told.
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


def test_a_reader_who_knows_a_chatroom_from_before_gets_no_ticket(served_by_gunicorn: Site) -> None:
    site = served_by_gunicorn
    with site.app.app_context():
        site.comments.rooms.ensure(Post("swifts"))
    assert ask(site, "join", {"post": site.post_token("swifts")}).get_json()["error"] == "no_hub"


def test_pages_are_whole(served_by_gunicorn: Site) -> None:
    site = served_by_gunicorn
    site.app.add_url_rule("/", view_func=lambda: render_template_string("{{ chatix_comments('swifts') }}"))
    answer = site.app.test_client().get("/", environ_base=GUNICORN)
    assert answer.status_code == 200
    assert "<chatix-comments" in answer.text


def test_no_rooms_are_made_for_rendered_posts(make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = make_site(TESTING=False, CHATIX_CREATE="render")
    site.app.add_url_rule("/", view_func=lambda: render_template_string("{{ chatix_comments('swifts') }}"))
    site.app.test_client().get("/", environ_base=GUNICORN)
    site.state.room_maker.join()
    assert site.api.calls == []
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


@pytest.mark.parametrize(
    "settings",
    [
        {"CHATIX_HUB_URL": "https://chat.example"},
        {"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"},
        {"TESTING": True},
    ],
    ids=["a hub elsewhere", "the hosted service", "a test"],
)
def test_with_a_chat_all_is_well(
    make_site: Callable[..., Site], settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(**{"TESTING": False} | settings)
    assert ask(site, "join", {"post": site.post_token("swifts")}).status_code == 200
    assert critical_lines(caplog) == []
