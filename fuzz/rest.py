"""The REST API against its description: requests of all kinds that schemathesis makes of docs/hub-openapi.json.

Whatever is asked, the answer is one that the description names, of the form that it names, and no failure of the hub's
own; and the hub takes no more memory for it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import HubThread

DESCRIPTION = json.loads((Path(__file__).parents[1] / "docs/hub-openapi.json").read_text())
API_KEY = "an-api-key-of-some-length"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
#: By so much a hub may grow: databases keep pages, and logs lines.
MAX_GROWTH_MB = 200
EXAMPLES_OF_A_ROUND = 50


class Rest:
    """A hub on a real socket, with something in it, and who asks it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["X-Api-Key"] = API_KEY
        self._session.params = {"websiteId": "local"}
        self.known = self._fill()
        self.count = 0

    def _fill(self) -> dict[str, str]:
        room = self._post("/chatroom/create", {"title": "A post", "external_id": "post"})["id"]
        message = self._post(f"/chatroom/send-message?chatroomId={room}", {"content": "Hello", "sender_id": "ada"})
        return {"websiteId": "local", "chatroomId": room, "messageId": message["uuid"], "visitorId": "ada"}

    def _post(self, path: str, body: dict[str, str]) -> Any:
        return self._session.post(self._url + path, json=body).json()

    def ask(self, case: Any, names: set[str]) -> None:
        """Send a request, those of its parameters that are named replaced by what there is, and look at the answer."""
        for name in names & set(self.known) & set(case.query or {}):
            case.query[name] = self.known[name]
        case.call_and_validate(base_url=self._url, headers={"X-Api-Key": API_KEY}, session=self._session, checks=CHECKS)
        self.count += 1


def operations() -> list[Any]:
    """Return what is described."""
    found = list(schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations())
    return [one.ok() for one in found if isinstance(one, Ok)]


def fuzz(rest: Rest, operation: Any, mode: GenerationMode, *, examples: int) -> None:
    """Ask for one operation in many ways; raise what is wrong with an answer."""
    if mode is GenerationMode.NEGATIVE and not {"parameters", "requestBody"} & set(operation.definition.raw):
        # Where nothing is asked for, nothing can be wrong.
        return

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode), names=st.sets(st.sampled_from(sorted(rest.known))))
    def run(case: Any, names: set[str]) -> None:
        rest.ask(case, names)

    run()


def with_hub(folder: Path, use: Callable[[Rest], None]) -> None:
    """Run a hub of one's own for *use*."""
    config = HubConfig(
        website_id="local",
        database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
        ticket_keys=(b"k" * 32,),
        api_keys=(API_KEY,),
        rates=RateConfig.same(1_000_000),
    )
    thread = HubThread(config, host="127.0.0.1", port=0, lock_path=folder / "hub.lock")
    thread.start()
    try:
        if not thread.wait_ready(20):
            raise RuntimeError(f"The hub did not start: {thread.error}")
        use(Rest(thread.url))
    finally:
        thread.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.rest")
    parser.add_argument("--seconds", type=int, default=60)
    end = time.monotonic() + parser.parse_args().seconds

    def use(rest: Rest) -> None:
        before = 0
        while not before or time.monotonic() < end:
            for operation in operations():
                for mode in MODES:
                    fuzz(rest, operation, mode, examples=EXAMPLES_OF_A_ROUND)
            # The first round brings in all that is imported late.
            before = before or memory_mb()
        growth = memory_mb() - before
        print(f"{rest.count} requests, {growth} MB more")
        if growth > MAX_GROWTH_MB:
            raise RuntimeError(f"The hub has grown by {growth} MB.")

    with tempfile.TemporaryDirectory() as folder:
        with_hub(Path(folder), use)
    return 0


def memory_mb() -> int:
    """Return the most memory that this process, with the hub in it, has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
