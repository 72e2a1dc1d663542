"""The fixtures that we offer to the tests of blogs, used as our documentation says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import pytest
from flask import Flask, render_template_string
from flask_chatix_comments import ChatixComments

pytest_plugins = ["flask_chatix_comments.testing"]


@pytest.fixture
def app(chatix_hub, tmp_path):
    app = Flask("blog", instance_path=str(tmp_path / "instance"))
    app.config.update(TESTING=True, SECRET_KEY="x" * 32, **chatix_hub.settings)
    app.comments = ChatixComments(app)
    app.add_url_rule("/", "post", lambda: render_template_string("{{ chatix_comments('hello', title='Hello') }}"))
    yield app
    app.extensions["chatix_comments"].close()
"""

TESTS = """
import re

import pytest


def join(app):
    client = app.test_client()
    token = re.search('data-post="([^"]+)"', client.get("/").text)[1]
    return client.post("/chatix-comments/join", json={"post": token})


def test_a_post_has_a_chatroom(app, chatix_hub):
    body = join(app).get_json()
    assert body["api_url"] == chatix_hub.url
    with app.app_context():
        room = app.comments.api.get_chatroom(body["chatroom_id"])
        assert (room.title, app.comments.show("hello").chatroom_id) == ("Hello", room.chatroom_id)


def test_each_test_begins_anew(app):
    with app.app_context():
        assert list(app.comments.list_rooms()) == []


def test_the_hub_can_be_stopped(app, chatix_hub):
    chatix_hub.thread.stop()
    assert join(app).status_code == 503
"""


def test_a_blogs_tests_have_a_real_hub(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_blog.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout
