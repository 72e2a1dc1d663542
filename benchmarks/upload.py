"""What an upload costs the hub: time, and memory of its process. Linux only, since it asks /proc."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import httpx
from PIL import Image

MEBIBYTE = 1024 * 1024
API_KEY = secrets.token_hex(16)
HUB = """
import sys
from pathlib import Path
from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import run_hub

folder = Path(sys.argv[1])
config = HubConfig(
    website_id="bench",
    database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
    ticket_keys=(b"k" * 32,),
    api_keys=(sys.argv[2],),
    uploads=UploadConfig(folder=folder / "files", bytes_per_hour=2**40, files_per_hour=10_000),
    rates=RateConfig.same(1_000_000),
)
run_hub(config, host="127.0.0.1", port=int(sys.argv[3]), lock_path=folder / "hub.lock")
"""


class Hub:
    """A hub in a process of its own, and a visitor in a room."""

    def __init__(self, folder: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.process = subprocess.Popen([sys.executable, "-c", HUB, folder, API_KEY, str(port)])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", params={"websiteId": "bench"}, timeout=300)
        while not self._answers():
            time.sleep(0.05)
        key = {"X-Api-Key": API_KEY}
        room = self.client.post("/chatroom/create", json={"title": "x"}, headers=key).json()["id"]
        self.query = {"visitorId": self.client.get("/visitor/get-id").json(), "chatroomId": room}
        self.client.post("/chatroom/connect-visitor", params=self.query, headers=key)

    def _answers(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def save(self, data: bytes, name: str, media_type: str) -> float:
        started = time.perf_counter()
        answer = self.client.post("/file/save", params=self.query, files={"formFile": (name, data, media_type)})
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - started

    def measure(self, what: str, data: bytes, name: str, media_type: str, times: int) -> None:
        self.forget_peak()
        before = self.memory_mb("VmRSS")
        best_s = min(self.save(data, name, media_type) for _ in range(times))
        peak, size = self.memory_mb("VmHWM"), len(data) / MEBIBYTE
        print(
            f"{what:34} {size:6.1f} MB  {best_s:6.2f} s  {size / best_s:7.1f} MB/s   before {before:5.0f} MB,"
            f" peak {peak:5.0f} MB, after {self.memory_mb('VmRSS'):5.0f} MB"
        )


def photo(width: int, height: int, media_type: str, **options: object) -> bytes:
    """Return an image with something to see in it, so that it has a photograph's size."""
    grain = Image.effect_noise((width // 4, height // 4), 60).resize((width, height))
    picture = Image.merge("RGB", [grain, grain.transpose(Image.Transpose.ROTATE_180), grain])
    buffer = BytesIO()
    picture.save(buffer, media_type, **options)
    return buffer.getvalue()


def main() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(folder)
        try:
            hub.measure("one byte", b"x", "a.txt", "text/plain", 3)
            hub.measure("a file", os.urandom(20 * MEBIBYTE), "a.bin", "application/octet-stream", 5)
            hub.measure("a photograph, 12 megapixels", photo(4000, 3000, "JPEG", quality=92), "a.jpg", "image/jpeg", 3)
            turned = photo(7300, 5450, "JPEG", quality=92, exif=exif)
            hub.measure("the largest, 40 megapixels, turned", turned, "a.jpg", "image/jpeg", 2)
            hub.measure("a PNG, 6 megapixels", photo(3000, 2000, "PNG"), "a.png", "image/png", 2)
        finally:
            hub.process.terminate()
            hub.process.wait()


if __name__ == "__main__":
    main()
