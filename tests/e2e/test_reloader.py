"""`flask run --debug`: the hub is in the reloader's child, and back with the first request after a reload."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import wait_until
from tests.ports import free_port

# In the group of the browser tests, since it runs a whole server; it needs no browser.
pytestmark = pytest.mark.browser

BLOG = """
import os, threading
from flask import Flask
from flask_chatix_comments import ChatixComments

app = Flask(__name__, instance_path=os.environ["BLOG_DATA"])
app.config["CHATIX_HUB_PORT"] = os.environ["HUB_PORT"]
ChatixComments(app)

@app.get("/")
def facts():
    names = [thread.name for thread in threading.enumerate()]
    return {"pid": os.getpid(), "has_hub": "chatix-hub" in names, "edition": EDITION}

EDITION = 1
"""


def ask(url: str) -> Any:
    """Return the JSON at *url*; ``None`` while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, str, str]]:
    source = tmp_path / "blog.py"
    source.write_text(BLOG)
    port, hub_port = free_port(), free_port()
    command = [sys.executable, "-m", "flask", "--app", "blog", "run", "--debug", "--port", str(port)]
    environment = {**os.environ, "BLOG_DATA": str(tmp_path / "instance"), "HUB_PORT": str(hub_port)}
    with (tmp_path / "log").open("wb") as log:
        # A session of its own: the reloader's child must end with it.
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    yield process, source, f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{hub_port}/v1/health"
    os.killpg(process.pid, 9)
    process.wait()


def test_the_hub_is_in_the_child_and_returns_after_a_reload(
    blog: tuple[subprocess.Popen[bytes], Path, str, str],
) -> None:
    parent, source, url, health_url = blog
    first = wait_until(lambda: ask(url), "the blog answers")
    assert first["pid"] != parent.pid
    wait_until(lambda: ask(health_url), "the hub answers")
    assert ask(url)["has_hub"]

    source.write_text(BLOG.replace("EDITION = 1", "EDITION = 2"))
    second = wait_until(lambda: (ask(url) or {}).get("edition") == 2 and ask(url), "the new edition answers")
    assert second["pid"] not in (first["pid"], parent.pid)
    wait_until(lambda: ask(health_url), "the hub answers again")
    assert ask(url)["has_hub"]
