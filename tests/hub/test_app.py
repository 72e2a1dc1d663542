"""What the application does from time to time, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import Clock, Hub, until

pytestmark = pytest.mark.anyio


async def test_a_tick_that_fails_is_logged_and_not_the_last(
    make_config: Callable[..., HubConfig],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[Any] = []

    async def fail(*_: Any, **__: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the first time")

    monkeypatch.setattr(SqlStore, "forget_client_keys", fail)
    async with Hub.running(make_config(presence_interval_s=0.01), clock):
        await until(lambda: len(calls) == 1, "the first cleaning")
        clock.advance(3600)
        await until(lambda: len(calls) == 2, "the second cleaning")
    assert "the first time" in caplog.text


@pytest.mark.parametrize("path", ["/chat/negotiate/", "/health/", "/visitor/get-id/", ""])
async def test_no_address_leads_elsewhere(hub: Hub, path: str) -> None:
    """A redirect would carry the ticket to the host that the request names."""
    for method in ("GET", "POST"):
        response = await hub.client.request(method, path, params={"visitorId": "x"}, headers={"Host": "evil.example"})
        assert response.status_code == 404
        assert "location" not in response.headers
