"""Files through the untouched chatix-core 1.3.3 and its own axios, and what Chromium makes of what is served."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Dialog, Page

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.interop.support import call, start, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.browser]
OpenClient = Callable[..., Page]

PAGE = b"<!doctype html><title>Owned</title><script>document.title = 'run'; alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

SEND = """
async ([files, room, asArray]) => {
  const made = files.map(([name, type, data]) =>
    new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name, { type }));
  try {
    return JSON.parse(JSON.stringify(await core.sendChatroomFileMessage(asArray ? made : made[0], room)));
  } catch (error) {
    return { status: error.response.status, data: error.response.data };
  }
}
"""


def send(page: Page, room: str, *files: tuple[str, str, bytes]) -> Any:
    encoded = [(name, media_type, base64.b64encode(data).decode()) for name, media_type, data in files]
    return page.evaluate(SEND, [encoded, room, len(files) > 1])


def image(media_type: str, size: tuple[int, int] = (640, 480), **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(buffer, media_type.partition("/")[2].upper(), **options)
    return buffer.getvalue()


@pytest.fixture
def two(api: ChatixApi, open_client: OpenClient) -> tuple[str, Page, Page]:
    """Two readers who are in one room."""
    room = api.create_chatroom("A post with files").chatroom_id
    pages = open_client("core"), open_client("core")
    for page in pages:
        start(page)
        assert call(page, "connectToChatroom", room) is True
    return room, *pages


def test_several_files_in_one_go(two: tuple[str, Page, Page], api: ChatixApi) -> None:
    room, one, other = two
    sent = send(
        one,
        room,
        ("notes & more.txt", "text/plain", b"some notes"),
        ("photo.jpg", "image/jpeg", image("image/jpeg")),
        ("moving.gif", "image/gif", image("image/gif")),
    )
    assert [message["type"] for message in sent] == [5, 4, 5]
    # The room that the SDK forgets (Q1) is found: all of them are there, and told.
    stored = api.list_messages(room)
    assert [message.message_id for message in stored] == [message["uuid"] for message in sent]
    assert [(message.file_name, message.width_px) for message in stored] == [
        ("notes & more.txt", None),
        ("photo.jpg", 640),
        ("moving.gif", None),
    ]
    other.wait_for_function("() => told.filter(([one]) => one === 'onChatroomMessageReceived').length === 3")
    told_room, told = wait_for(other, "onChatroomMessageReceived")
    assert (told_room, told["uuid"], told["file_url"]) == (room, sent[0]["uuid"], sent[0]["file_url"])
    assert httpx.get(sent[0]["file_url"]).content == b"some notes"
    assert [entry["uuid"] for entry in call(other, "getChatroomMessages", room)] == [entry["uuid"] for entry in sent]


def test_an_image_is_shown_on_the_page_of_the_blog(two: tuple[str, Page, Page]) -> None:
    room, one, other = two
    exif = Image.Exif()
    exif[0x0112] = 6
    (sent,) = send(one, room, ("photo.jpg", "image/jpeg", image("image/jpeg", exif=exif)))
    _, told = wait_for(other, "onChatroomMessageReceived")
    sizes = other.evaluate(
        """(urls) => Promise.all(urls.map((src) => new Promise((done, failed) => {
          const image = Object.assign(new Image(), { src });
          image.onload = () => done([image.naturalWidth, image.naturalHeight]);
          image.onerror = () => failed(new Error(src));
        })))""",
        [told["thumb_100_url"], told["thumb_300_url"], told["original_url"]],
    )
    assert sizes == [[75, 100], [225, 300], [480, 640]]
    assert sent["original_url"] == told["original_url"]


def test_a_file_for_a_room_that_one_is_not_in_is_refused(
    two: tuple[str, Page, Page], api: ChatixApi, hub: HubThread
) -> None:
    _, one, _ = two
    elsewhere = api.create_chatroom("Another post").chatroom_id
    refusal = send(one, elsewhere, ("a.txt", "text/plain", b"x"))
    assert refusal == {"status": 403, "data": {"error": "Join the chatroom first."}}
    assert api.list_messages(elsewhere) == []


def test_refusals_reach_the_page(two: tuple[str, Page, Page], api: ChatixApi) -> None:
    room, one, _ = two
    for name, data in (("page.png", PAGE), ("drawing.png", SVG)):
        assert send(one, room, (name, "image/png", data))["status"] == 415
    assert send(one, room, ("a.png", "image/png", image("image/png")[:80]))["status"] == 422
    assert send(one, room, ("a.txt", "text/plain", b""))["status"] == 422
    too_large = send(one, room, ("a.bin", "application/zip", bytes(21 * 1024 * 1024)))
    assert too_large == {"status": 413, "data": {"error": "A file has at most 20 MB."}}
    assert api.list_messages(room) == []


@pytest.mark.parametrize(
    ("name", "media_type", "data"), [("a.html", "text/html", PAGE), ("a.svg", "image/svg+xml", SVG)]
)
def test_what_could_run_is_a_download(two: tuple[str, Page, Page], name: str, media_type: str, data: bytes) -> None:
    room, one, other = two
    (sent,) = send(one, room, (name, media_type, data))
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    other.on("dialog", dismiss)
    with other.expect_download() as download:
        other.evaluate("(url) => { location.href = url; }", sent["file_url"])
    assert download.value.suggested_filename == name
    # Nor does it run as a script, or as a picture.
    outcome = other.evaluate(
        """(src) => Promise.all(["script", "img"].map((tag) => new Promise((done) => {
          const element = Object.assign(document.createElement(tag), { src });
          element.onload = () => done(tag + " loaded");
          element.onerror = () => done(tag + " refused");
          document.body.append(element);
        })))""",
        sent["file_url"],
    )
    assert outcome == ["script refused", "img refused"]
    assert dialogs == []
    assert other.title() == "Blog"


def test_an_image_that_is_opened_is_a_picture_in_a_sandbox(two: tuple[str, Page, Page]) -> None:
    room, one, other = two
    (sent,) = send(one, room, ("photo.png", "image/png", image("image/png") + PAGE))
    response = other.goto(sent["original_url"])
    assert response is not None
    assert (response.status, response.headers["content-type"]) == (200, "image/png")
    assert other.evaluate("[document.images[0].naturalWidth, document.images[0].naturalHeight]") == [640, 480]
    assert other.evaluate("self.origin") == "null"
