"""How near a backfill comes to what the API allows, and whether its memory grows with the number of posts."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from report import Report

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.backfill import backfill
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
from flask_chatix_comments.rooms import RoomService

IN_FLIGHT = 32
DELAY_S = 0.02
CEILING = IN_FLIGHT / DELAY_S
POSTS = 6_000
MANY_POSTS = 100_000
MEBIBYTE = 1024 * 1024


@contextlib.contextmanager
def slow_api(delay_s: float) -> Iterator[str]:
    """Run the API that takes so long for everything; yield its URL."""
    command = [sys.executable, str(Path(__file__).with_name("slow_api.py")), str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.terminate()


@contextlib.contextmanager
def rooms_at(url: str) -> Iterator[RoomService]:
    with tempfile.TemporaryDirectory() as folder:
        registry = RoomRegistry(create_registry_engine(f"sqlite:///{folder}/registry.sqlite"))
        api = ChatixApi(url, website_id="bench", api_key="k" * 20)
        yield RoomService(registry, lambda: api)
        api.close()
        registry.close()


def posts(count: int) -> Iterator[Post]:
    return (Post(number, f"Post {number}") for number in range(count))


def rate_of(deed: Callable[[], object], count: int) -> tuple[float, float]:
    """Return what share of the ceiling *deed* reaches, in percent, and the processor's microseconds for each post."""
    began, cpu = time.perf_counter(), time.process_time()
    deed()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return 100 * count / took / CEILING, cpu / count * 1e6


def by_httpx(url: str, count: int) -> None:
    """What threads with an httpx client each reach, which do nothing but call."""
    local = threading.local()

    def call(number: int) -> None:
        client = getattr(local, "client", None)
        if client is None:
            client = local.client = httpx.Client()
        body = {"title": f"Post {number}", "external_id": str(number)}
        client.post(f"{url}/chatroom/create", json=body).json()

    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        for future in [threads.submit(call, number) for number in range(count)]:
            future.result()


def run(rooms: RoomService, count: int) -> None:
    for result in backfill(rooms, posts(count), concurrency=IN_FLIGHT):
        assert result.error is None, result.error


def measure(report: Report) -> None:
    report.title(f"A backfill: an API of {DELAY_S * 1000:.0f} ms, {IN_FLIGHT} in flight, {CEILING:.0f} posts/s at most")
    with slow_api(DELAY_S) as url, rooms_at(url) as rooms:
        share, cpu = rate_of(lambda: by_httpx(url, POSTS // 3), POSTS // 3)
        report.note("threads with httpx, calls alone", share, f"%   ({cpu:.0f} µs of the processor for each)")
        share, cpu = rate_of(lambda: run(rooms, POSTS), POSTS)
        report.least("the backfill, of the ceiling", share, "%", 88)
        # With more, no machine could keep the limit above; with less, a busy one may still miss it.
        report.most("the processor for each post, registry included", cpu, "µs", 1e6 / CEILING / 0.88)
        share, _ = rate_of(lambda: run(rooms, POSTS), POSTS)
        report.note("the same again, all there: posts/s", share * CEILING / 100, "")


def measure_memory(report: Report) -> None:
    """The API answers at once here: the number of posts is what counts."""
    report.title(f"The memory of a backfill of {MANY_POSTS:,} posts")
    with slow_api(0) as url, rooms_at(url) as rooms:
        run(rooms, 5_000)
        before = peak_mb()
        results = backfill(rooms, posts(MANY_POSTS), concurrency=IN_FLIGHT)
        for _ in results:
            pass
        report.note("after 5,000 posts", before, "MB")
        report.most("more after all of them", peak_mb() - before, "MB", 8)


def peak_mb() -> float:
    """Return the most memory that this process has had. Linux only, since it asks /proc."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[0]) * 1024 / MEBIBYTE
