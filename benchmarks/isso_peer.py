"""Isso beside the hub: installed into an environment that is thrown away, and served by its own server."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 30.0
SETTINGS = """\
[general]
dbpath = {folder}/comments.db
host = http://127.0.0.1:9/
notify =
[server]
listen = http://127.0.0.1:{port}/
[guard]
enabled = false
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def install_isso(folder: Path, *options: str) -> Path:
    """Install Isso into an environment below *folder*; return the folder of its package.

    Args:
        options: More of them for pip.
    """
    venv.create(folder / "venv", with_pip=True)
    quiet = ("--quiet", "--disable-pip-version-check")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", *quiet, *options, "isso"]
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    return next(folder.glob("venv/lib/python*/site-packages/isso"))


@contextmanager
def running_isso(folder: Path) -> Iterator[Isso]:
    """Install Isso below *folder*, and run it."""
    install_isso(folder)
    port = free_port()
    settings = folder / "isso.cfg"
    settings.write_text(SETTINGS.format(folder=folder, port=port))
    with (folder / "isso.log").open("wb") as log:
        process = subprocess.Popen([folder / "venv/bin/isso", "-c", settings, "run"], stdout=log, stderr=log)
        try:
            isso = Isso(port)
            isso.wait(process)
            yield isso
        finally:
            process.terminate()
            process.wait()


class Isso:
    """Isso's HTTP API. Its server closes each connection after an answer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("Isso does not start.")

    async def post(self, thread: int, content: str) -> None:
        """Post a comment; it is acknowledged when this returns."""
        body = json.dumps({"text": content, "author": "Ada", "title": "A post"}).encode()
        await self._ask(f"POST /new?uri=%2Fpost-{thread}%2F", 201, body)

    async def history(self, thread: int) -> int:
        """Read all comments of a thread; return how many bytes they are."""
        return len(await self._ask(f"GET /?uri=%2Fpost-{thread}%2F", 200))

    async def _ask(self, what: str, status: int, body: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = (
            f"{what} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nOrigin: http://127.0.0.1:9\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        if answer.split(b" ", 2)[1] != str(status).encode():
            raise RuntimeError(f"Isso answers: {answer[:200]!r}")
        return answer
