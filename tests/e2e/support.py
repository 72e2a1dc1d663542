"""What the browser tests share: the example site in a process of its own, readers, and how to wait."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, FilePayload, Locator, Page, expect
from starlette.types import ASGIApp

from example_site import create_app
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import HubThread
from flask_chatix_comments.state import AppState, get_state
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0
TICKET_KEY = "k" * 32
HOSTED_API_KEY = "the-key-of-the-hosted-account"
HOSTED_WEBSITE_ID = "site-1234"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=DEADLINE_S * 1000)


def wait_until(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> Any:
    """Ask *condition* until its answer is true, and return that."""
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.05)


@dataclass
class Site:
    """The example site; what is in *environment* is what `make demo` would set."""

    data: Path
    port: int = field(default_factory=free_port)
    hub_port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post_url(self, slug: str) -> str:
        return f"{self.url}/posts/{slug}/"

    @property
    def log(self) -> str:
        return (self.data / "site.log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        own = {"PORT": str(self.port), "HUB_PORT": str(self.hub_port), "DEMO_DATA": str(self.data)}
        return {**os.environ, **own, **self.settings, "PYTHONUNBUFFERED": "1"}

    def slugs(self) -> list[str]:
        """Return the posts in the order of the index."""
        with urllib.request.urlopen(f"{self.url}/", timeout=10) as answer:
            found = re.findall(r'href="/posts/([^/"]+)/"', answer.read().decode())
        return list(dict.fromkeys(found))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "example_site", *arguments]

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "site.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command("run", "--port", str(self.port)), cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        wait_until(self.answers, "the site answers")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            with urllib.request.urlopen(f"{self.url}/about/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()

    def chatix(self, *arguments: str) -> Any:
        """Run `flask chatix ...` in the site's environment and return its JSON document."""
        answer = subprocess.run(
            self.command("chatix", *arguments, "--json"), cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    @contextlib.contextmanager
    def _state(self) -> Iterator[AppState]:
        with mock.patch.dict(os.environ, self.environment):
            app = create_app()
        with contextlib.closing(get_state(app)) as state, app.app_context():
            yield state

    def api(self) -> ChatixApi:
        """Return the REST client that the site itself would use, with its keys."""
        with self._state() as state:
            assert state.api_url is not None
            return ChatixApi(state.api_url, website_id=state.config.website_id, api_key=state.keys.hub_api[0])

    @contextlib.contextmanager
    def hub_apart(self, **changes: Any) -> Iterator[HubThread]:
        """Run the site's hub apart from it, with a configuration that differs; the site is yet to be started."""
        with self._state() as state:
            config = dataclasses.replace(state.hub_config(), **changes)
        self.settings["CHATIX_HUB_URL"] = f"http://127.0.0.1:{self.hub_port}/v1"
        hub = HubThread(config, host="127.0.0.1", port=self.hub_port, lock_path=self.data / "hub-apart.lock")
        hub.start()
        assert hub.wait_ready(20), hub.error
        yield hub
        hub.stop()


@contextlib.contextmanager
def running_hub(
    folder: Path,
    *,
    website_id: str,
    api_key: str,
    port: int = 0,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[HubThread]:
    """Run a hub of its own, apart from any site; its tickets are signed with ``TICKET_KEY``."""
    config = HubConfig(
        website_id=website_id,
        database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
        ticket_keys=(TICKET_KEY.encode(),),
        api_keys=(api_key,),
        uploads=UploadConfig(folder=folder / "hub.files"),
        rates=RateConfig.same(1_000_000),
    )
    hub = HubThread(config, host="127.0.0.1", port=port, lock_path=folder / "hub.lock", wrap=wrap)
    hub.start()
    assert hub.wait_ready(20), hub.error
    yield hub
    hub.stop()


def find_chromium() -> str:
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUM_NAMES):
        path = shutil.which(name) if name else None
        if path:
            return path
    raise RuntimeError("The browser tests need Chromium: apt-get install chromium, or set CHROMIUM to its path.")


@dataclass
class Reader:
    """One browser profile, and all that its pages said on the console that was wrong."""

    context: BrowserContext
    problems: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"pageerror: {error}"))
        page.on("console", self._note)
        page.goto(url)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} {message.location}")


def section(page: Page) -> Locator:
    return page.get_by_role("region", name="Comments")


def reach_section(page: Page) -> Locator:
    """Scroll to the section, as a reader would, and wait until it is live."""
    found = section(page)
    wait_until(lambda: _scrolls_to(found), "the section is on the screen")
    expect_live(page)
    return found


def _scrolls_to(found: Locator) -> bool:
    try:
        found.scroll_into_view_if_needed()
    except Error as exc:
        # A page that was put in its page's place has taken it away meanwhile.
        if "not attached" not in str(exc):
            raise
        return False
    return True


def expect_live(page: Page) -> None:
    expect(section(page).get_by_role("status")).to_have_text("Live")


def crash(page: Page) -> None:
    """Kill the page's renderer, so that not even pagehide runs."""
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")


def articles(page: Page) -> Locator:
    return section(page).get_by_role("article")


def write(page: Page, text: str, *, name: str | None = None) -> None:
    """Write a comment and post it, without waiting for what becomes of it."""
    found = section(page)
    if name is not None:
        found.get_by_role("textbox", name="Name").fill(name)
    found.get_by_role("textbox", name="Write a comment").fill(text)
    found.get_by_role("button", name="Post comment").click()


def comment(page: Page, text: str) -> Locator:
    return articles(page).filter(has_text=text)


def picture(name: str, width: int = 1200, height: int = 800, mime_type: str = "image/png") -> FilePayload:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, "PNG" if mime_type == "image/png" else "JPEG")
    return {"name": name, "mimeType": mime_type, "buffer": buffer.getvalue()}


def text_file(name: str, size_bytes: int = 2048, mime_type: str = "text/plain") -> FilePayload:
    return {"name": name, "mimeType": mime_type, "buffer": b"x" * size_bytes}


def choose(page: Page, *files: FilePayload) -> None:
    """Choose files for the comment that is being written."""
    section(page).get_by_label("Attach files").set_input_files(list(files))


def expect_loaded(image: Locator) -> None:
    """See that the browser has got an image and could show it."""
    image.scroll_into_view_if_needed()
    wait_until(lambda: image.evaluate("image => image.complete && image.naturalWidth > 0"), "the image is there")
