"""A comment told to a room of 1,000, stored first, beside the same server without a hub; exit status 1 when a limit is
missed.

Run by ``make bench``. Linux only, since it asks /proc. Everything is measured in turns, and only ratios have limits:
the machine may have other things to do. Clients and servers are on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fleet import MARK, Fleet, open_socket, wait_for
from report import Report

from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets

MEMBERS = 1000
POSTERS = 16
ROUNDS = 3
TICKET_KEY = b"k" * 32
API_KEY = secrets.token_hex(16)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
COMMENT = "A remark about swifts, which sleep on the wing. " * 4
HUB = """
import sys
from pathlib import Path
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import run_hub

folder = Path(sys.argv[1])
config = HubConfig(
    website_id="bench",
    database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
    ticket_keys=(b"k" * 32,),
    api_keys=(sys.argv[2],),
    presence="off",
    rates=RateConfig.same(1_000_000),
)
run_hub(
    config, host="127.0.0.1", port=0, lock_path=folder / "hub.lock",
    when_listening=lambda url: print(url.split(":")[2].split("/")[0], flush=True),
)
"""


class Server:
    """A server in a process of its own, and those who are connected to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.port = int(process.stdout.readline())

    def cpu_s(self) -> float:
        """Return the processor's time of all its threads."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[0])


@contextmanager
def run(*command: str, text: str = "") -> Iterator[Server]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        try:
            yield Server(process)
        finally:
            process.kill()


class Visitors:
    """Connections to a hub, each of a visitor of its own, in one room."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", params={"websiteId": "bench"})
        created = self._http.post("/chatroom/create", json={"title": "x"}, headers={"X-Api-Key": API_KEY})
        self._room = created.json()["id"]
        self._count = 0

    def connect(self, count: int) -> Iterator[socket.socket]:
        for _ in range(count):
            yield self._connect()

    def _connect(self) -> socket.socket:
        self._count += 1
        now = time.time()
        ticket = VisitorTicket(visitor_id=f"visitor-{self._count}", issued_at=now, expires_at=now + 3600)
        signed = VisitorTickets((TICKET_KEY,), website_id="bench").sign(ticket)
        query = {"visitorId": signed, "negotiateVersion": "1"}
        token = self._http.post("/chat/negotiate", params=query).json()["connectionToken"]
        path = f"/v1/chat?visitorId={signed}&websiteId=bench&id={token}"
        raw = open_socket(self._port, path, HANDSHAKE, self._call("ConnectToChatroom", self._room))
        wait_for(raw, b'"is_success":true')
        return raw

    def post(self) -> str:
        return self._call("SaveChatroomMessage", {"type": 0, "content": COMMENT}, self._room)

    def _call(self, target: str, *arguments: object) -> str:
        return json.dumps({"type": 1, "invocationId": "1", "target": target, "arguments": arguments}) + "\x1e"


def join_hub(report: Report, server: Server) -> tuple[Fleet, str]:
    """Return the hub's members, and what one of them is told."""
    visitors = Visitors(server.port)
    fleet = Fleet(visitors.post)
    fleet.take_in(visitors.connect(POSTERS), are_members=False)
    before = server.memory_kib()
    fleet.take_in(visitors.connect(MEMBERS), are_members=True)
    report.most("memory for each connection", (server.memory_kib() - before) / MEMBERS, "KiB", 26)
    heard = b""
    while MARK not in heard:
        fleet.post_once()
        heard = fleet.last_heard
    start = heard.rindex(b'{"type":1', 0, heard.index(MARK))
    return fleet, heard[start : heard.index(b"\x1e", start) + 1].decode()


def join_bare(report: Report, server: Server) -> Fleet:
    fleet = Fleet(lambda: "post")
    fleet.take_in((open_socket(server.port, "/") for _ in range(POSTERS)), are_members=False)
    before = server.memory_kib()
    fleet.take_in((open_socket(server.port, "/") for _ in range(MEMBERS)), are_members=True)
    report.note("the same without a hub", (server.memory_kib() - before) / MEMBERS, "KiB")
    return fleet


def cpu_for(server: Server, fleet: Fleet, posts: int) -> float:
    """Return the server's microseconds for each delivery."""
    before = server.cpu_s()
    fleet.post_one_by_one(posts)
    return (server.cpu_s() - before) / posts / MEMBERS * 1e6


def in_flight(server: Server, fleet: Fleet, posts: int) -> tuple[float, float]:
    """Return deliveries for each second, and for each second of the server's processor."""
    before = server.cpu_s()
    rate = fleet.post_in_flight(posts)
    return rate, posts * MEMBERS / (server.cpu_s() - before)


def p99_ms(fleet: Fleet, posts: int) -> float:
    return statistics.quantiles(fleet.post_at_a_rate(10, posts), n=100)[98] * 1000


def measure(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder, run("-c", HUB, folder, API_KEY) as hub:
        report.title(f"A room of {MEMBERS:,} members")
        ours, text = join_hub(report, hub)
        with run(str(Path(__file__).with_name("bare_server.py")), text=text) as bare:
            theirs = join_bare(report, bare)
            for fleet in (ours, theirs):
                fleet.post_one_by_one(3)
            compare(report, (hub, ours), (bare, theirs))


def compare(report: Report, us: tuple[Server, Fleet], them: tuple[Server, Fleet]) -> None:
    report.title("One comment after the other, stored before it is told")
    cpu = [[cpu_for(*one, posts=10) for one in (us, them)] for _ in range(ROUNDS)]
    report.note("processor for each delivery", statistics.median(ours for ours, _ in cpu), "µs")
    report.note("without a hub", statistics.median(theirs for _, theirs in cpu), "µs")
    report.most("processor, ratio", statistics.median(ours / theirs for ours, theirs in cpu), "x", 1.15)
    report.title("10 comments a second")
    delays = [[p99_ms(fleet, 10) for _, fleet in (us, them)] for _ in range(ROUNDS)]
    report.note("99 of 100 deliveries within", statistics.median(ours for ours, _ in delays), "ms")
    report.note("without a hub", statistics.median(theirs for _, theirs in delays), "ms")
    report.most("99 of 100 deliveries, ratio", statistics.median(ours / theirs for ours, theirs in delays), "x", 1.3)
    report.title(f"{POSTERS} comments on their way at any time")
    busy = [[in_flight(*us, posts=160), in_flight(*them, posts=32)] for _ in range(ROUNDS)]
    report.note("deliveries a second", statistics.median(ours[0] for ours, _ in busy), "")
    report.note("without a hub, and without joining what waits", statistics.median(theirs[0] for _, theirs in busy), "")
    report.note("deliveries a second, ratio", statistics.median(ours[0] / theirs[0] for ours, theirs in busy), "x")
    ratio = statistics.median(ours[1] / theirs[1] for ours, theirs in busy)
    report.least("deliveries for each second of the processor, ratio", ratio, "x", 5)


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    report = Report()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    measure(report)
    if report.missed:
        print(f"\nMissed: {', '.join(report.missed)}.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
