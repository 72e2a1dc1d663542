"""What the commands that look after many posts take: time, and memory of the process, for few posts and for many.

python benchmarks/upkeep.py [POSTS]
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from flask_chatix_comments.database import chatrooms as registered
from flask_chatix_comments.database import create_registry_engine, metadata
from flask_chatix_comments.hub.store.migrations import prepare
from flask_chatix_comments.hub.store.tables import chatrooms

FEW = 1_000
RENAMED = 200
MORE_RENAMED = 1_000
AT_ONCE = 5_000
BLOG = """
import os
from flask import Flask
from flask_chatix_comments import ChatixComments, Post

app = Flask(__name__, instance_path=os.environ["BENCH_FOLDER"])
app.config.from_prefixed_env()
comments = ChatixComments(app)

@comments.posts_loader
def posts():
    renamed = int(os.environ["BENCH_RENAMED"])
    for n in range(int(os.environ["BENCH_POSTS"])):
        yield Post(f"post-{n}", f"Title {n}" + (" anew" if n < renamed else ""))
"""


def rows(count: int) -> Iterator[list[int]]:
    for first in range(0, count, AT_ONCE):
        yield list(range(first, min(count, first + AT_ONCE)))


def fill(folder: Path, count: int) -> None:
    """Make hub and registry with *count* posts, as if they had come about."""
    hub = sa.create_engine(f"sqlite:///{folder / 'chatix_hub.sqlite3'}")
    registry = create_registry_engine(f"sqlite:///{folder / 'chatix_comments.sqlite3'}")
    zeros = dict.fromkeys(
        ("message_count", "last_seq", "last_sub", "last_change", "last_whisper_change", "last_sent_ms"), 0
    )
    flags = dict.fromkeys(("is_private", "is_deleted", "is_closed"), False)
    with hub.begin() as connection:
        prepare(connection)
        for numbers in rows(count):
            connection.execute(
                chatrooms.insert(),
                [
                    {"id": f"room-{n}", "external_id": f"post-{n}", "title": f"Title {n}", "created_ms": n}
                    | zeros
                    | flags
                    for n in numbers
                ],
            )
    with registry.begin() as connection:
        metadata.create_all(connection)
        now = {"claim_number": 1, "created_at": 1_795_000_000_000_000, "updated_at": 1_795_000_000_000_000}
        for numbers in rows(count):
            connection.execute(
                registered.insert(),
                [
                    {"post_id": f"post-{n}", "chatroom_id": f"room-{n}", "title": f"Title {n}", "is_private": False}
                    | {"state": "open"}
                    | now
                    for n in numbers
                ],
            )
    hub.dispose()
    registry.dispose()


class Site:
    """A blog with its hub, in processes of their own."""

    def __init__(self, folder: Path, count: int) -> None:
        fill(folder, count)
        (folder / "blog.py").write_text(BLOG)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.folder = folder
        self.environment = os.environ | {
            "FLASK_SECRET_KEY": "a key of the benchmark, 32 bytes or so",
            "FLASK_CHATIX_HUB_PORT": str(port),
            "BENCH_FOLDER": str(folder),
            "BENCH_POSTS": str(count),
            "BENCH_RENAMED": "0",
        }
        self.hub = self.start("hub", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._answers(port):
            if time.monotonic() > deadline:
                raise SystemExit("The hub does not start.")
            time.sleep(0.05)

    def _answers(self, port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v1/health").status_code == 200
        except httpx.TransportError:
            return False

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flask", "--app", "blog", "chatix", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **options)

    def run(self, *arguments: str, interrupt_at: int | None = None, **own: str) -> tuple[float, int, int, str]:
        """Return seconds, most memory in MB, exit status and standard output.

        Args:
            interrupt_at: Press Ctrl-C when so many posts are renamed.
        """
        self.environment |= own
        started = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = self.start(*arguments, stdout=output, stderr=subprocess.DEVNULL)
            if interrupt_at is not None:
                while self.count_renamed() < interrupt_at and process.poll() is None:
                    time.sleep(0.1)
                process.send_signal(signal.SIGINT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read().decode()
        return time.monotonic() - started, usage.ru_maxrss // 1024, process.returncode, text

    def count_renamed(self) -> int:
        """Return how many posts have their new title in the registry."""
        engine = create_registry_engine(f"sqlite:///{self.folder / 'chatix_comments.sqlite3'}")
        with engine.connect() as connection:
            is_renamed = registered.c.title.like("% anew")
            count = connection.execute(sa.select(sa.func.count()).where(is_renamed)).scalar_one()
        engine.dispose()
        return count

    def close(self) -> None:
        self.hub.terminate()
        self.hub.wait()


def measure(count: int) -> None:
    """Run everything for *count* posts; print seconds and most memory of each."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), count)

        def note(label: str, *arguments: str, expected: int = 0, **own: str) -> str:
            seconds, megabytes, status, text = site.run(*arguments, **own)
            assert status == expected, (label, status, text[-500:])
            print(f"{count:7} {label:32} {seconds:8.1f} s {megabytes:4} MB", flush=True)
            return text

        try:
            note("check", "check")
            note("sync, nothing to do", "sync")
            note(f"sync, {RENAMED} renamed", "sync", BENCH_RENAMED=str(RENAMED))
            export = str(site.folder / "export.jsonl")
            note("export", "export", "--output", export)
            empty = f"sqlite:///{site.folder / 'empty.sqlite3'}"
            note("import", "import", export, FLASK_CHATIX_DATABASE_URL=empty)
            note("import again", "import", export)
            site.environment.pop("FLASK_CHATIX_DATABASE_URL")
            # The registry loses some, and finds them again.
            registry = create_registry_engine(f"sqlite:///{site.folder / 'chatix_comments.sqlite3'}")
            with registry.begin() as connection:
                connection.exec_driver_sql(
                    f"DELETE FROM chatix_chatrooms WHERE CAST(substr(post_id, 6) AS INTEGER) < {RENAMED}"
                )
            registry.dispose()
            note(f"check --repair, {RENAMED} lost", "check", "--repair")
            if count > FEW:
                _interrupt(site)
        finally:
            site.close()


def _interrupt(site: Site) -> None:
    """Interrupt a sync of more renamed posts, and take it up again."""
    site.environment["BENCH_RENAMED"] = str(MORE_RENAMED)
    wanted = MORE_RENAMED - RENAMED
    _, _, status, text = site.run("sync", "--json", interrupt_at=RENAMED + wanted // 3)
    first = json.loads(text)
    _, _, again, text = site.run("sync", "--json")
    second = json.loads(text)
    print(
        f"interrupted: exit status {status}, {first['retitled']} of {wanted} renamed; taken up: exit status {again},"
        f" {second['retitled']} renamed, {second['unchanged']} unchanged",
        flush=True,
    )


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for count in (FEW, many):
        measure(count)


if __name__ == "__main__":
    main()
