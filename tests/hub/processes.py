"""Hubs in processes of their own, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.hub.support import API_KEY, DEADLINE_S

SOURCES = Path(__file__).parents[2] / "src"

RUN_HUB = """
import sys
from pathlib import Path
from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import run_hub

folder, port = Path(sys.argv[1]), int(sys.argv[2])
config = HubConfig(
    website_id="local",
    database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
    ticket_keys=(b"k" * 32,),
    api_keys=(sys.argv[3],),
    uploads=UploadConfig(folder=folder / "hub.files"),
    # A storm does in seconds what readers do in hours.
    rates=RateConfig.same(1_000_000),
)
run_hub(config, host="127.0.0.1", port=port, lock_path=folder / "hub.lock")
"""


class HubProcess:
    """A hub on a database and a port.

    Args:
        prelude: Code that runs first.
    """

    def __init__(self, folder: Path, port: int, prelude: str = "") -> None:
        environment = os.environ | {"PYTHONPATH": str(SOURCES)}
        command = [sys.executable, "-W", "error", "-c", prelude + RUN_HUB, str(folder), str(port), API_KEY]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        self.url = f"http://127.0.0.1:{port}/v1"

    async def ready(self) -> HubProcess:
        return await asyncio.to_thread(self.wait)

    def wait(self) -> HubProcess:
        """Wait until the hub answers."""
        deadline = time.monotonic() + 3 * DEADLINE_S
        with httpx.Client() as client:
            while True:
                assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
                try:
                    assert client.get(f"{self.url}/health").status_code == 200
                except httpx.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                else:
                    return self

    def end(self, how: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors.decode()
