"""Uploads to hubs on real sockets: whole, slow, cut, refused while they are sent, 20 MB in little memory."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.folder import INCOMING
from flask_chatix_comments.hub.server import HubThread
from tests.hub.processes import HubProcess
from tests.hub.support import DEADLINE_S, rest_client

MEBIBYTE = 1024 * 1024
BOUNDARY = "----a-boundary"


class Place:
    """A room on a hub, and somebody who is in it."""

    def __init__(self, url: str, rest: httpx.Client) -> None:
        self.url = url
        self.room = str(rest.post("/chatroom/create", json={"title": "A post"}).json()["id"])
        self.ticket = str(rest.get("/visitor/get-id").json())
        rest.post("/chatroom/connect-visitor", params={"chatroomId": self.room, "visitorId": self.ticket})

    def save(self, data: bytes, name: str = "a.bin") -> httpx.Response:
        files = {"formFile": (name, data, "application/octet-stream")}
        return httpx.post(f"{self.url}/file/save", params=self.query, files=files, timeout=60)

    @property
    def query(self) -> dict[str, str]:
        return {"visitorId": self.ticket, "websiteId": "local", "chatroomId": self.room}

    @contextmanager
    def begin(self, size: int) -> Iterator[socket.socket]:
        """Send the head of an upload of so many bytes, and the beginning of its body."""
        parts = urlsplit(self.url)
        before = (
            f"--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="formFile"; filename="a.bin"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self.after = f"\r\n--{BOUNDARY}--\r\n".encode()
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        length = len(before) + size + len(self.after)
        raw = socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=DEADLINE_S)
        with closing(raw):
            raw.sendall(
                f"POST {parts.path}/file/save?{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n"
                f"Connection: close\r\n\r\n{before}".encode()
            )
            yield raw


def answer_on(raw: socket.socket) -> tuple[int, str]:
    data = b""
    while piece := raw.recv(65_536):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@pytest.fixture
def place(hub_thread: HubThread) -> Iterator[Place]:
    with rest_client(hub_thread.url) as rest:
        yield Place(hub_thread.url, rest)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def incoming_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in (folder / INCOMING).rglob("*") if path.is_file())
    except FileNotFoundError:
        # One of them went while we looked.
        return -1


def test_twenty_megabytes(place: Place) -> None:
    data = os.urandom(MEBIBYTE) * 20
    response = place.save(data)
    assert response.status_code == 200, response.text
    assert response.json()["fileSize"] == 20 * MEBIBYTE
    assert httpx.get(response.json()["fileUrl"], timeout=60).content == data


def test_the_host_by_which_the_reader_came(place: Place, hub_thread: HubThread) -> None:
    assert place.save(b"x").json()["fileUrl"].startswith(f"http://127.0.0.1:{hub_thread.port}/v1/file/")
    place.url = f"http://localhost:{hub_thread.port}/v1"
    assert place.save(b"x").json()["fileUrl"].startswith(f"http://localhost:{hub_thread.port}/v1/file/")


def test_a_browser_that_is_refused_early_reads_why(place: Place) -> None:
    # Far too large: the hub says so at the first byte, and the client goes on sending all the same.
    size = 60 * MEBIBYTE
    with place.begin(size) as raw:
        for _ in range(size // MEBIBYTE):
            raw.sendall(bytes(MEBIBYTE))
        raw.sendall(place.after)
        status, body = answer_on(raw)
    assert (status, body) == (413, '{"error":"A file has at most 20 MB."}')


def test_a_slow_upload_comes_through(place: Place, files_folder: Path) -> None:
    size = 2 * MEBIBYTE + 5
    with place.begin(size) as raw:
        raw.sendall(bytes(2 * MEBIBYTE))
        # It is on the disk already, all but what is gathered for the next write.
        wait_until(lambda: incoming_bytes(files_folder) >= MEBIBYTE, "the first megabyte")
        for _ in range(5):
            raw.sendall(b"x")
            # The hub serves others meanwhile.
            assert httpx.get(f"{place.url}/health").status_code == 200
        raw.sendall(place.after)
        status, body = answer_on(raw)
    assert status == 200, body
    assert incoming_bytes(files_folder) == 0


@pytest.mark.parametrize("how", ["shut", "reset"])
def test_an_upload_that_is_cut_leaves_nothing(place: Place, files_folder: Path, how: str) -> None:
    with place.begin(10 * MEBIBYTE) as raw:
        raw.sendall(bytes(5 * MEBIBYTE))
        wait_until(lambda: incoming_bytes(files_folder) >= 4 * MEBIBYTE, "the first half")
        if how == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: not any((files_folder / INCOMING).iterdir()), "the half to be removed")
    assert [path.name for path in files_folder.iterdir()] == [INCOMING]
    assert place.save(b"x").status_code == 200


def test_an_upload_that_stalls_is_given_up(
    make_hub_thread: Callable[..., HubThread], make_config: Callable[..., HubConfig], files_folder: Path
) -> None:
    hub = make_hub_thread(config=make_config(uploads={"idle_s": 0.3}))
    hub.start()
    assert hub.wait_ready(20), hub.error
    with rest_client(hub.url) as rest, Place(hub.url, rest).begin(10 * MEBIBYTE) as raw:
        raw.sendall(bytes(MEBIBYTE))
        status, body = answer_on(raw)
    assert (status, body) == (400, '{"error":"The upload has come to a halt. Please try again."}')
    assert not any((files_folder / INCOMING).iterdir())


def test_a_hub_that_stops_waits_for_no_upload(place: Place, hub_thread: HubThread, files_folder: Path) -> None:
    with place.begin(10 * MEBIBYTE) as raw:
        raw.sendall(bytes(2 * MEBIBYTE))
        wait_until(lambda: incoming_bytes(files_folder) >= MEBIBYTE, "the first megabyte")
        started = time.monotonic()
        hub_thread.stop(timeout_s=DEADLINE_S)
        assert time.monotonic() - started < DEADLINE_S
    assert not hub_thread.wait_ready(0)


def test_a_folder_that_cannot_be_used(make_hub_thread: Callable[..., HubThread], files_folder: Path) -> None:
    files_folder.write_text("this is no folder")
    hub = make_hub_thread()
    hub.start()
    assert not hub.wait_ready(DEADLINE_S)
    assert str(hub.error).startswith(
        f"The built-in hub cannot start. Its folder of files cannot be used: {files_folder}"
    )
    assert str(hub.error).endswith("The setting is CHATIX_HUB_FILES.")


# A process of its own


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_kill_9_leaves_half_done_is_gone_after_the_start(
    run_process: Callable[[], HubProcess], tmp_path: Path
) -> None:
    files = tmp_path / "hub.files"
    hub = run_process().wait()
    with rest_client(hub.url) as rest:
        place = Place(hub.url, rest)
        kept = place.save(b"kept").json()["fileUrl"]
        with place.begin(10 * MEBIBYTE) as raw:
            raw.sendall(bytes(5 * MEBIBYTE))
            wait_until(lambda: incoming_bytes(files) >= 4 * MEBIBYTE, "the first half")
            hub.end(signal.SIGKILL)
    assert incoming_bytes(files) >= 4 * MEBIBYTE
    hub = run_process().wait()
    assert incoming_bytes(files) == 0
    assert httpx.get(kept).content == b"kept"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say how much memory is used")
def test_twenty_megabytes_need_little_memory(run_process: Callable[[], HubProcess]) -> None:
    hub = run_process().wait()

    def peak_kib() -> int:
        status = Path(f"/proc/{hub.process.pid}/status").read_text()
        return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[0])

    with rest_client(hub.url) as rest:
        place = Place(hub.url, rest)
        assert place.save(b"x").status_code == 200
        before = peak_kib()
        for _ in range(3):
            url = place.save(bytes(20 * MEBIBYTE)).json()["fileUrl"]
            assert len(httpx.get(url, timeout=60).content) == 20 * MEBIBYTE
        grown = peak_kib() - before
    # A whole file was never in it.
    assert grown < 16 * 1024, f"{grown} KiB"
