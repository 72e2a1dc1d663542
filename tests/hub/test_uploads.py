"""Files over HTTP: uploaded as browsers do, and served so that nothing in them runs."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from flask_chatix_comments.hub import intake
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.folder import INCOMING, UploadFolder
from tests.hub.pictures import growing_image
from tests.hub.support import BASE_URL, Clock, Hub, sign_ticket

pytestmark = pytest.mark.anyio

KIB = 1024
PAGE = b"<!doctype html><script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PDF = b"%PDF-1.7\n" + b"x" * 100


def image(media_type: str = "image/png", size: tuple[int, int] = (400, 300), **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(buffer, media_type.partition("/")[2].upper(), **options)
    return buffer.getvalue()


@dataclass
class Uploader:
    """A visitor who is in a room, and uploads."""

    hub: Hub
    room: str
    ticket: str

    async def save(self, data: bytes, name: str = "a.bin", media_type: str = "application/octet-stream") -> Any:
        response = await self.send(files={"formFile": (name, data, media_type)})
        assert response.status_code == 200, response.text
        return response.json()

    async def refusal(self, data: bytes, name: str = "a.bin", media_type: str = "text/plain") -> tuple[int, str]:
        return error_of(await self.send(files={"formFile": (name, data, media_type)}))

    async def send(self, *, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        query = {"visitorId": self.ticket, "websiteId": "local", "chatroomId": self.room} | options.pop("query", {})
        query = {name: value for name, value in query.items() if value is not None}
        return await self.hub.client.post("/file/save", params=query, headers=headers, **options)

    async def get(self, url: str, method: str = "GET", **headers: str) -> httpx.Response:
        return await self.hub.client.request(method, url, headers=headers)


def error_of(response: httpx.Response) -> tuple[int, str]:
    assert set(response.json()) == {"error"}
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()["error"]


async def uploader_of(hub: Hub, visitor_id: str = "ada") -> Uploader:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId=visitor_id)
    return Uploader(hub, room, sign_ticket(hub.clock, visitor_id))


@pytest.fixture
async def ada(hub: Hub) -> Uploader:
    return await uploader_of(hub)


MakeUploader = Callable[..., Any]


@pytest.fixture
async def make_uploader(make_config: Callable[..., HubConfig], clock: Clock) -> AsyncIterator[MakeUploader]:
    """Make hubs with settings of their own, and somebody who uploads there."""
    contexts: list[Any] = []

    async def make(*, public_url: str | None = None, **uploads: Any) -> Uploader:
        contexts.append(Hub.running(make_config(public_url=public_url, uploads=uploads), clock))
        return await uploader_of(await contexts[-1].__aenter__())

    yield make
    for context in reversed(contexts):
        await context.__aexit__(None, None, None)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# In


async def test_a_file_goes_up_and_comes_down_as_it_was(ada: Uploader) -> None:
    answer = await ada.save(PDF, "Über uns.pdf", "application/pdf")
    url = answer["fileUrl"]
    assert url.startswith(f"{BASE_URL}/file/")
    assert url.endswith("/%C3%9Cber%20uns.pdf")
    assert answer == {
        "fileUrl": url,
        "fileName": "Über uns.pdf",
        "fileSize": len(PDF),
        "width": None,
        "height": None,
    }
    # 128 bits, that nobody can guess.
    assert len(url.split("/")[-2]) == 32
    response = await ada.get(url)
    assert (response.status_code, response.content) == (200, PDF)


async def test_an_image_goes_up_and_gets_small_ones(ada: Uploader) -> None:
    answer = await ada.save(image(size=(800, 600)), "photo.png", "image/png")
    place = answer["fileUrl"].rpartition("/")[0]
    assert answer == {
        "fileUrl": f"{place}/photo.png",
        "thumb100Url": f"{place}/thumb/100",
        "thumb300Url": f"{place}/thumb/300",
        "fileName": "photo.png",
        "fileSize": answer["fileSize"],
        "width": 800,
        "height": 600,
    }
    served = await ada.get(answer["fileUrl"])
    assert len(served.content) == answer["fileSize"]
    sizes = {}
    for name in ("fileUrl", "thumb100Url", "thumb300Url"):
        response = await ada.get(answer[name])
        sizes[name] = (response.headers["content-type"], Image.open(BytesIO(response.content)).size)
    assert sizes == {
        "fileUrl": ("image/png", (800, 600)),
        "thumb100Url": ("image/webp", (100, 75)),
        "thumb300Url": ("image/webp", (300, 225)),
    }


async def test_the_size_of_an_image_is_as_it_is_shown(ada: Uploader) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = await ada.save(image("image/jpeg", exif=exif), "photo.jpg", "image/jpeg")
    assert (answer["width"], answer["height"]) == (300, 400)
    served = (await ada.get(answer["fileUrl"])).content
    assert b"Exif" not in served
    assert Image.open(BytesIO(served)).size == (300, 400)


async def test_an_image_is_what_it_is_whatever_its_name(ada: Uploader) -> None:
    answer = await ada.save(image("image/jpeg"), "photo.png", "image/png")
    assert answer["fileName"] == "photo.png.jpg"
    assert (await ada.get(answer["fileUrl"])).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("data", [PAGE, SVG, PDF, image("image/gif"), image("image/webp")])
@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
async def test_what_is_no_image_is_refused_as_one(ada: Uploader, data: bytes, media_type: str) -> None:
    says = "This is not the JPEG or PNG image that it is said to be."
    assert await ada.refusal(data, "photo.png", media_type) == (415, says)


async def test_a_damaged_image_is_refused(ada: Uploader, files_folder: Path) -> None:
    assert await ada.refusal(image()[:60], "a.png", "image/png") == (422, "This image is damaged.")
    assert await ada.refusal(b"\xff\xd8\xff" + PAGE, "a.jpg", "image/jpeg") == (422, "This image is damaged.")
    assert files_in(files_folder) == []


async def test_nothing_of_a_script_is_left_in_an_image(ada: Uploader) -> None:
    answer = await ada.save(image() + PAGE, "a.png", "image/png")
    response = await ada.get(answer["fileUrl"])
    assert PAGE not in response.content
    assert response.headers["content-type"] == "image/png"


async def test_too_many_pixels_are_refused(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(max_image_pixels=100_000)
    says = "An image has at most 0.1 million pixels, this one has 0.12 million."
    assert await ada.refusal(image(), "a.png", "image/png") == (422, says)


async def test_an_empty_file_is_refused(ada: Uploader) -> None:
    assert await ada.refusal(b"") == (422, "This file is empty.")


async def test_too_large_a_file_is_refused(make_uploader: MakeUploader, files_folder: Path) -> None:
    ada = await make_uploader(max_file_bytes=100 * KIB)
    says = (413, "A file has at most 100 KB.")
    assert (await ada.save(b"x" * 100 * KIB))["fileSize"] == 100 * KIB
    before = files_in(files_folder)
    # By what is said of the body, and by what comes.
    assert await ada.refusal(b"x" * 200 * KIB) == says
    assert await ada.refusal(b"x" * (100 * KIB + 1)) == says
    body, content_type = form_of(b"x" * (100 * KIB + 1))
    assert error_of(await ada.send(content=in_pieces(body), headers={"Content-Type": content_type})) == says
    assert files_in(files_folder) == before


async def test_an_image_that_grows_stays_below_the_limit(make_uploader: MakeUploader, files_folder: Path) -> None:
    data = growing_image()
    assert len(data) < 150 * KIB
    ada = await make_uploader(max_file_bytes=150 * KIB)
    says = "A file has at most 150 KB, and this image has more when it is unpacked."
    assert await ada.refusal(data, "a.png", "image/png") == (413, says)
    assert files_in(files_folder) == []


async def test_images_that_grow_at_the_same_time_stay_within_the_hour(
    make_uploader: MakeUploader, files_folder: Path
) -> None:
    data = growing_image()
    ada = await make_uploader(max_file_bytes=2000 * KIB, bytes_per_hour=2000 * KIB)
    sent = [ada.send(files={"formFile": ("a.png", data, "image/png")}) for _ in range(4)]
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    stored = sum((files_folder / name).stat().st_size for name in files_in(files_folder))
    assert 20 * len(data) < stored <= 2000 * KIB
    # What counts is all that is there, the small ones too; nothing is left of the others.
    with closing(sqlite3.connect(files_folder.with_name("hub.sqlite3"))) as database:
        assert database.execute("SELECT count(*), sum(stored_bytes) FROM uploads").fetchone() == (2, stored)
    assert list((files_folder / INCOMING).iterdir()) == []


async def test_an_image_is_given_its_room_on_the_disk_before_it_grows(
    make_uploader: MakeUploader, files_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await make_uploader(max_file_bytes=2000 * KIB, min_free_bytes=100 * KIB)
    monkeypatch.setattr(UploadFolder, "free_bytes", lambda _: 2000 * KIB)
    monkeypatch.setattr(intake, "rewrite_image", None)
    assert (await ada.refusal(growing_image(), "a.png", "image/png"))[0] == 507
    assert files_in(files_folder) == []
    await ada.save(b"x" * 1000 * KIB)


def form_of(data: bytes) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://x/", files={"formFile": ("a.bin", data, "text/plain")})
    return request.read(), request.headers["content-type"]


async def in_pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_a_body_of_unknown_length_is_taken(ada: Uploader) -> None:
    body, content_type = form_of(b"x" * 5000)
    response = await ada.send(content=in_pieces(body), headers={"Content-Type": content_type})
    assert response.json()["fileSize"] == 5000


@pytest.mark.parametrize("where", ["before", "behind"])
async def test_what_surrounds_a_file_has_an_end(ada: Uploader, files_folder: Path, where: str) -> None:
    body, content_type = form_of(b"x")
    padding = b"\r\n" * 32_000
    data = padding + body if where == "before" else body + padding
    says = (400, "The upload cannot be read: there is too much around the file.")
    assert error_of(await ada.send(content=in_pieces(data), headers={"Content-Type": content_type})) == says
    assert error_of(await ada.send(content=data, headers={"Content-Type": content_type})) == says
    assert files_in(files_folder) == []
    # Some clients write a little.
    data = padding[:1000] + body if where == "before" else body + padding[:1000] + b"--" + b"x" * 100
    await ada.send(content=in_pieces(data), headers={"Content-Type": content_type})
    assert len(files_in(files_folder)) == 1


async def test_only_the_listed_types_are_taken(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(file_types=("application/pdf", "image/png"))
    await ada.save(PDF, "a.pdf", "application/pdf")
    await ada.save(image(), "a.png", "image/png")
    says = (415, "Files of this kind cannot be attached here.")
    for data, media_type in ((PAGE, "application/pdf"), (b"x", "text/plain"), (image("image/jpeg"), "image/jpeg")):
        assert await ada.refusal(data, "a", media_type) == says


async def test_what_is_not_listed_is_not_taken_for_what_is(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(file_types=("text/plain", "application/vnd.oasis.opendocument.text"))
    says = (415, "Files of this kind cannot be attached here.")
    for data in (b"PK\x03\x04\x14\x00\x00\x00", b"MZ\x90\x00\x03\x00\x00\x00", PDF, image(), image("image/webp")):
        assert await ada.refusal(data, "notes.txt", "text/plain") == says
    answer = await ada.save(b"PK\x03\x04\x14\x00\x00\x00", "a.odt", "application/vnd.oasis.opendocument.text")
    assert (await ada.get(answer["fileUrl"])).headers["content-type"] == "application/octet-stream"


async def test_where_only_some_types_are_taken_names_are_of_them(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(file_types=("application/pdf", "text/plain", "chemical/x-xyz"))
    names = [
        ("invoice.html", PDF, "application/pdf", "invoice.html.pdf"),
        ("Invoice.PDF", PDF, "application/pdf", "Invoice.PDF"),
        ("setup.exe", b"MZ", "text/plain", "setup.exe.txt"),
        ("", b"x", "text/plain", "file.txt"),
        # How these are called is not known here.
        ("water.xyz", b"3", "chemical/x-xyz", "water.xyz"),
    ]
    for given, data, media_type, name in names:
        assert (await ada.save(data, given or " ", media_type))["fileName"] == name
    ada = await make_uploader()
    assert (await ada.save(PDF, "invoice.html", "application/pdf"))["fileName"] == "invoice.html"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"websiteId": "other"}, (404, "The hub does not serve this website.")),
        ({"websiteId": None}, (404, "The hub does not serve this website.")),
        ({"visitorId": "ada"}, (401, "The visitor's id is not accepted. Please get a new one.")),
        ({"visitorId": None}, (401, "The visitor's id is not accepted. Please get a new one.")),
        ({"chatroomId": None}, (400, "chatroomId is not an id.")),
        ({"chatroomId": "nothing"}, (404, "There is no such chatroom.")),
    ],
)
async def test_who_may_not_upload(ada: Uploader, query: dict[str, Any], expected: tuple[int, str]) -> None:
    response = await ada.send(files={"formFile": ("a", b"x")}, query=query)
    assert error_of(response) == expected


async def test_who_is_not_in_the_room_may_not_upload(ada: Uploader, hub: Hub, clock: Clock) -> None:
    bob = Uploader(hub, ada.room, sign_ticket(clock, "bob"))
    assert await bob.refusal(b"x") == (403, "Join the chatroom first.")
    await hub.post("/chatroom/update", {"is_closed": True}, chatroomId=ada.room)
    assert await ada.refusal(b"x") == (403, "This chatroom is closed: it can be read, but not written.")


async def test_a_site_without_files(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(is_open=False)
    assert await ada.refusal(b"x") == (403, "Files cannot be attached here.")


async def test_a_quota_says_when_to_come_again(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(files_per_hour=1)
    await ada.save(b"x")
    response = await ada.send(files={"formFile": ("a", b"x")})
    assert error_of(response) == (429, "You can attach 1 file in an hour. Please try again in 60 minutes.")
    assert response.headers["retry-after"] == "3600"


async def test_bodies_that_are_no_upload(ada: Uploader, files_folder: Path) -> None:
    assert error_of(await ada.send(json={}))[0] == 400
    assert error_of(await ada.send(data={"formFile": "x"}))[0] == 400
    two = [("formFile", ("a", b"x")), ("formFile", ("b", b"y"))]
    says = "An upload is one file: send the others one after the other."
    assert error_of(await ada.send(files=two)) == (400, says)
    assert error_of(await ada.send(files={"file": ("a", b"x")}))[0] == 400
    assert files_in(files_folder) == []


async def test_pages_of_other_origins_may_not_upload(ada: Uploader) -> None:
    files = {"formFile": ("a", b"x")}
    foreign = await ada.send(files=files, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    response = await ada.send(files=files, headers={"Origin": "http://hub.example:5000"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://hub.example:5000"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ('a"; filename="b.html', "a_; filename=_b.html"),
        ("a\r\nSet-Cookie: x=1", "a%0D%0ASet-Cookie_ x=1"),
        ("x" * 500 + ".txt", "x" * 95 + "….txt"),
        ("\u202egpj.exe", "gpj.exe"),
        ("<img src=x onerror=alert(1)>.txt", "_img src=x onerror=alert(1)_.txt"),
    ],
)
async def test_names_do_no_harm(ada: Uploader, files_folder: Path, given: str, name: str) -> None:
    answer = await ada.save(b"x", given)
    assert answer["fileName"] == name
    response = await ada.get(answer["fileUrl"])
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert "\n" not in response.headers["content-disposition"]
    # On the disk there is no name of theirs at all.
    (stored,) = files_in(files_folder)
    assert stored == f"{answer['fileUrl'].split('/')[-2]}/original"


# Out


async def test_what_is_served_runs_nowhere(ada: Uploader) -> None:
    always = {
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
        "referrer-policy": "no-referrer",
        "cache-control": "private, max-age=31536000, immutable",
        "vary": "Origin",
    }
    page = await ada.get((await ada.save(PAGE, "page.html", "text/html"))["fileUrl"])
    picture = await ada.save(image(), "a.png", "image/png")
    for response in (page, await ada.get(picture["fileUrl"]), await ada.get(picture["thumb300Url"])):
        assert {name: response.headers[name] for name in always} == always
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"] == "attachment; filename=\"page.html\"; filename*=UTF-8''page.html"
    shown = await ada.get(picture["fileUrl"])
    assert shown.headers["content-disposition"] == "inline; filename=\"a.png\"; filename*=UTF-8''a.png"


@pytest.mark.parametrize(
    ("data", "declared", "served"),
    [
        (PAGE, "text/html", "application/octet-stream"),
        (SVG, "image/svg+xml", "application/octet-stream"),
        (PAGE, "application/pdf", "application/octet-stream"),
        (b"alert(1)", "text/javascript", "application/octet-stream"),
        (PDF, "text/html", "application/pdf"),
        (image("image/gif"), "image/gif", "image/gif"),
        (image("image/webp"), "image/webp", "image/webp"),
        # It has not been rewritten, so it is not shown as an image.
        (image("image/jpeg"), "application/octet-stream", "application/octet-stream"),
    ],
)
async def test_the_type_is_ours(ada: Uploader, data: bytes, declared: str, served: str) -> None:
    answer = await ada.save(data, "a", declared)
    assert "thumb100Url" not in answer
    response = await ada.get(answer["fileUrl"])
    assert (response.headers["content-type"], response.content) == (served, data)
    assert response.headers["content-disposition"].startswith("attachment; ")


async def test_a_browser_that_has_it_is_told_so(ada: Uploader) -> None:
    answer = await ada.save(image(), "a.png", "image/png")
    tags = set()
    for name in ("fileUrl", "thumb100Url", "thumb300Url"):
        first = await ada.get(answer[name])
        tag = first.headers["etag"]
        tags.add(tag)
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await ada.get(answer[name], **{"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), known
            assert again.headers["etag"] == tag
            assert again.headers["cache-control"] == first.headers["cache-control"]
        other = await ada.get(answer[name], **{"If-None-Match": '"other"'})
        assert (other.status_code, other.content) == (200, first.content)
        head = await ada.get(answer[name], "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == first.headers
    assert len(tags) == 3


async def test_a_part_of_a_file(ada: Uploader) -> None:
    url = (await ada.save(b"0123456789"))["fileUrl"]
    part = await ada.get(url, Range="bytes=2-4")
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-security-policy"] == "default-src 'none'; sandbox"


SAFE = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
}


async def test_refusals_at_a_files_address_are_as_harmless(ada: Uploader) -> None:
    url = (await ada.save(b"0123456789"))["fileUrl"]
    refused = [
        (await ada.get(url, Range="bytes=a-b"), 400),
        (await ada.get(url, Range="bytes=99-"), 416),
        (await ada.get(f"{url}x"), 404),
        (await ada.get(url, "POST"), 405),
        (await ada.get(f"{BASE_URL}/file/x/y/z/"), 404),
        (await ada.send(json={}), 400),
    ]
    for response, status in refused:
        assert response.status_code == status
        assert {name: response.headers.get_list(name) for name in SAFE} == {name: [SAFE[name]] for name in SAFE}
        assert response.headers.get_list("cache-control") == ["no-store"]


async def test_no_answer_is_of_another_type_than_it_says(ada: Uploader) -> None:
    origin = {"Origin": "https://evil.example"}
    for response in (
        await ada.get(f"{BASE_URL}/health"),
        await ada.get(f"{BASE_URL}/nothing"),
        await ada.get(f"{BASE_URL}/chatroom/list"),
        await ada.get(f"{BASE_URL}/health", **origin),
    ):
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]
        assert "content-security-policy" not in response.headers


async def test_what_is_not_there(ada: Uploader) -> None:
    file, picture = await ada.save(b"x", "a.txt"), await ada.save(image(), "a.png", "image/png")
    place, images = file["fileUrl"].rpartition("/")[0], picture["fileUrl"].rpartition("/")[0]
    missing = (404, "There is no such file.")
    for url in (
        f"{place}/b.txt",
        f"{place}/original",
        f"{place}/thumb/100",
        f"{images}/thumb/200",
        f"{BASE_URL}/file/{'0' * 32}/a.txt",
        f"{BASE_URL}/file/{'0' * 32}/thumb/100",
        f"{BASE_URL}/file/{INCOMING}/raw",
    ):
        assert error_of(await ada.get(url)) == missing, url
    for url in (f"{place}/../../x", f"{place}/a/b", f"{images}/thumb/x", f"{BASE_URL}/file/..%2Fhub.sqlite3/original"):
        assert (await ada.get(url)).status_code == 404, url
    assert (await ada.hub.client.post(file["fileUrl"])).status_code == 405


async def test_files_that_vanished_from_the_disk(ada: Uploader, files_folder: Path) -> None:
    answer = await ada.save(b"x")
    (stored,) = files_in(files_folder)
    (files_folder / stored).unlink()
    assert error_of(await ada.get(answer["fileUrl"])) == (404, "There is no such file.")


async def test_urls_are_of_the_host_by_which_each_came(ada: Uploader) -> None:
    file = (await ada.save(PDF, "a.pdf", "application/pdf"))["fileUrl"]
    body = {"type": 5, "file_url": file, "sender_id": "ada"}
    sent = (await ada.hub.post("/chatroom/send-message", body, chatroomId=ada.room)).json()
    assert (sent["file_url"], sent["file_name"], sent["file_size"]) == (file, "a.pdf", len(PDF))
    for base_url in ("https://blog.example/v1", "http://[::1]:5001/v1"):
        query = {"chatroomId": ada.room, "websiteId": "local"}
        listed = await ada.hub.client.get(
            f"{base_url}/chatroom/messages", params=query, headers={"X-Api-Key": "an-api-key-of-some-length"}
        )
        (message,) = listed.json()["items"]
        assert message["file_url"] == file.replace(BASE_URL, base_url)
        assert (await ada.get(message["file_url"])).content == PDF


async def test_a_public_url_is_for_everybody(make_uploader: MakeUploader) -> None:
    ada = await make_uploader(public_url="https://blog.example/chat/v1")
    answer = await ada.save(image(), "a.png", "image/png")
    assert {url.partition("/file/")[0] for name, url in answer.items() if name.endswith("Url")} == {
        "https://blog.example/chat/v1"
    }
    body = {"type": 4, "original_url": answer["fileUrl"], "sender_id": "ada"}
    sent = (await ada.hub.post("/chatroom/send-message", body, chatroomId=ada.room)).json()
    assert (sent["original_url"], sent["thumb_300_url"]) == (answer["fileUrl"], answer["thumb300Url"])


# The end of files


async def test_files_end_with_their_message(ada: Uploader, files_folder: Path) -> None:
    answer = await ada.save(image(), "a.png", "image/png")
    body = {"type": 4, "original_url": answer["fileUrl"], "sender_id": "ada"}
    sent = (await ada.hub.post("/chatroom/send-message", body, chatroomId=ada.room)).json()
    assert len(files_in(files_folder)) == 3
    await ada.hub.post("/chatroom/delete-message", chatroomId=ada.room, messageId=sent["uuid"])
    for name in ("fileUrl", "thumb100Url", "thumb300Url"):
        assert (await ada.get(answer[name])).status_code == 404
        assert (await ada.get(answer[name], **{"If-None-Match": "*"})).status_code == 404
    assert files_in(files_folder) == []
    # There is no way back.
    again = await ada.hub.post("/chatroom/send-message", body, chatroomId=ada.room)
    assert again.json()["file_url"] is None and again.json()["original_url"] == answer["fileUrl"]


async def test_files_come_back_with_their_chatroom(ada: Uploader) -> None:
    answer = await ada.save(b"x")
    await ada.hub.post("/chatroom/delete", chatroomId=ada.room)
    assert (await ada.get(answer["fileUrl"])).status_code == 404
    await ada.hub.post("/chatroom/restore", chatroomId=ada.room)
    assert (await ada.get(answer["fileUrl"])).content == b"x"


# The disk


async def test_a_full_disk_is_said_before_the_upload(make_uploader: MakeUploader, files_folder: Path) -> None:
    ada = await make_uploader(min_free_bytes=2**62)
    says = "There is no room for more files on the server. Please tell its owner."
    assert await ada.refusal(b"x") == (507, says)
    assert files_in(files_folder) == []


@pytest.mark.parametrize("step", ["begin", "keep"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_a_disk_that_fills_up_meanwhile(
    ada: Uploader, files_folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(UploadFolder, step, fail)
    assert (await ada.refusal(b"x" * 3000))[0] == 507
    assert files_in(files_folder) == []
    monkeypatch.undo()
    await ada.save(b"x" * 3000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
async def test_a_disk_that_takes_no_more(ada: Uploader, files_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "open_private", lambda _: open("/dev/full", "wb"))  # noqa: SIM115 - it is closed there
    for data, media_type in ((b"x" * 3_000_000, "text/plain"), (b"x", "text/plain"), (image(), "image/png")):
        assert (await ada.refusal(data, "a", media_type))[0] == 507
    assert files_in(files_folder) == []


async def test_another_failure_of_the_disk_is_the_hubs(
    ada: Uploader, files_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(UploadFolder, "keep", fail)
    response = await ada.send(files={"formFile": ("a", b"x")})
    assert (response.status_code, response.json()) == (500, {"error": "The hub failed. Please try again."})
    assert files_in(files_folder) == []


async def test_what_a_crash_left_is_cleaned_at_the_start(
    make_config: Callable[..., HubConfig], clock: Clock, files_folder: Path
) -> None:
    (files_folder / INCOMING / "u1").mkdir(parents=True)
    (files_folder / INCOMING / "u1" / "raw").write_bytes(b"half")
    async with Hub.running(make_config(), clock):
        assert files_in(files_folder) == []


# Bodies that do not come


class Body:
    """A request whose body comes by hand."""

    def __init__(self, uploader: Uploader, length: int, content_type: str) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status: int | None = None
        self.answer = b""
        query = f"visitorId={uploader.ticket}&websiteId=local&chatroomId={uploader.room}"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": "POST",
            "scheme": "http",
            "path": "/v1/file/save",
            "raw_path": b"/v1/file/save",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (b"host", b"hub.example:5001"),
                (b"content-type", content_type.encode()),
                (b"content-length", str(length).encode()),
            ],
        }
        self.task = asyncio.create_task(uploader.hub.app(scope, self._to_app.get, self._take))

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.answer += message.get("body", b"")

    def send(self, data: bytes) -> None:
        self._to_app.put_nowait({"type": "http.request", "body": data, "more_body": True})

    def cut(self) -> None:
        self._to_app.put_nowait({"type": "http.disconnect"})


async def test_an_upload_that_is_cut_leaves_nothing(ada: Uploader, files_folder: Path) -> None:
    data, content_type = form_of(b"x" * 3_000_000)
    body = Body(ada, len(data), content_type)
    body.send(data[:2_500_000])
    body.cut()
    await asyncio.wait_for(body.task, 10)
    assert files_in(files_folder) == []
    assert list((files_folder / INCOMING).iterdir()) == []
    await ada.save(b"x")


async def test_an_upload_that_stalls_is_given_up(make_uploader: MakeUploader, files_folder: Path) -> None:
    ada = await make_uploader(idle_s=0.05)
    data, content_type = form_of(b"x" * 3_000_000)
    body = Body(ada, len(data), content_type)
    body.send(data[:100])
    await asyncio.wait_for(body.task, 10)
    assert (body.status, body.answer) == (400, b'{"error":"The upload has come to a halt. Please try again."}')
    assert list((files_folder / INCOMING).iterdir()) == []


async def test_a_refused_body_is_taken_only_so_far(ada: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_DRAINED_BYTES", 1000)
    body = Body(ada, 10**12, "multipart/form-data; boundary=b")
    body.send(b"x" * 900)
    await asyncio.sleep(0)
    assert not body.task.done()
    body.send(b"x" * 101)
    await asyncio.wait_for(body.task, 10)
    assert body.status == 413


async def test_an_upload_that_drips_is_given_up(make_uploader: MakeUploader, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await make_uploader(idle_s=0.2)
    monkeypatch.setattr(intake, "MIN_BYTES_PER_S", 10_000_000)
    data, content_type = form_of(b"x" * 3_000_000)
    body, sent = Body(ada, len(data), content_type), 0
    # Always in time for the next piece, and never fast enough for all of them.
    while not body.task.done():
        body.send(data[sent : sent + 100])
        sent += 100
        await asyncio.wait([body.task], timeout=0.02)
        assert sent < len(data)
    assert body.status == 400


async def test_one_visitors_image_does_not_keep_the_loop(ada: Uploader) -> None:
    noise = BytesIO()
    Image.effect_noise((3000, 2000), 90).save(noise, "PNG")
    upload = asyncio.create_task(ada.save(noise.getvalue(), "a.png", "image/png"))
    answered = 0
    while not upload.done():
        assert (await asyncio.wait_for(ada.hub.client.get("/health"), 2)).status_code == 200
        answered += 1
    assert answered > 3
    assert (await upload)["width"] == 3000
