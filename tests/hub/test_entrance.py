"""get-id and negotiate: the endpoints without a key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import httpx
import pytest

from flask_chatix_comments.errors import ConfigError
from flask_chatix_comments.hub.app import create_hub
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.hub.transports import channels
from tests.hub.support import Clock, Hub, sign_ticket

pytestmark = pytest.mark.anyio


async def negotiate(hub: Hub, **query: str) -> httpx.Response:
    return await hub.client.post("/chat/negotiate", params=query)


def error_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()["error"]


async def test_get_id_answers_a_ticket_as_json_text(hub: Hub) -> None:
    one, two = [await hub.client.get("/visitor/get-id?websiteId=local") for _ in range(2)]
    assert one.headers["content-type"] == "application/json"
    assert one.headers["cache-control"] == "no-store"
    assert one.json() != two.json()
    # chatix-core puts it into query strings as it is.
    assert set(one.json()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert (await negotiate(hub, websiteId="local", visitorId=one.json())).status_code == 200


@pytest.mark.parametrize("query", ["", "?websiteId=", "?websiteId=other", "?websiteid=local"])
async def test_other_websites_are_refused(hub: Hub, query: str) -> None:
    for method, path in (("GET", "/visitor/get-id"), ("POST", "/chat/negotiate")):
        response = await hub.client.request(method, path + query)
        assert error_of(response) == (404, "The hub does not serve this website.")


async def test_negotiate_announces_what_there_is(hub: Hub, clock: Clock) -> None:
    ticket = sign_ticket(clock, "ada")
    old = (await negotiate(hub, websiteId="local", visitorId=ticket)).json()
    assert old["negotiateVersion"] == 0
    assert "connectionToken" not in old
    new = (await negotiate(hub, websiteId="local", visitorId=ticket, negotiateVersion="1")).json()
    assert new["negotiateVersion"] == 1
    assert new["connectionToken"] != new["connectionId"]
    for answer in (old, new):
        assert answer["availableTransports"] == [
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
            {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
            {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
        ]
    secrets = {old["connectionId"], new["connectionToken"], new["connectionId"]}
    assert len(secrets) == 3
    assert all(len(secret) >= 32 for secret in secrets)


@pytest.mark.parametrize("visitor_id", ["", "ada", "a.b", "x" * 5000, "\0"])
async def test_who_has_no_ticket_is_refused(hub: Hub, clock: Clock, visitor_id: str) -> None:
    refused = (401, "The visitor's id is not accepted. Please get a new one.")
    assert error_of(await negotiate(hub, websiteId="local", visitorId=visitor_id)) == refused
    assert error_of(await negotiate(hub, websiteId="local")) == refused


async def test_an_expired_ticket_is_refused(hub: Hub, clock: Clock) -> None:
    ticket = sign_ticket(clock, "ada", lifetime_s=60)
    assert (await negotiate(hub, websiteId="local", visitorId=ticket)).status_code == 200
    clock.advance(60)
    assert (await negotiate(hub, websiteId="local", visitorId=ticket)).status_code == 401


async def test_tickets_of_an_earlier_key_are_accepted(clock: Clock, config: HubConfig) -> None:
    rotated = dataclasses.replace(config, ticket_keys=(b"new key", *config.ticket_keys))
    async with Hub.running(rotated, clock) as hub:
        ticket = sign_ticket(clock, "ada")
        assert (await negotiate(hub, websiteId="local", visitorId=ticket)).status_code == 200


async def test_a_version_that_is_no_number(hub: Hub, clock: Clock) -> None:
    ticket = sign_ticket(clock, "ada")
    response = await negotiate(hub, websiteId="local", visitorId=ticket, negotiateVersion="x")
    assert error_of(response) == (400, "negotiateVersion is not a number.")


async def test_of_several_parameters_the_first_counts(hub: Hub, clock: Clock) -> None:
    ticket = sign_ticket(clock, "ada")
    response = await hub.client.post(f"/chat/negotiate?visitorId={ticket}&websiteId=local&visitorId=x&websiteId=y")
    assert response.status_code == 200


async def test_queries_that_cannot_be_read(hub: Hub) -> None:
    response = await hub.client.post("/chat/negotiate?" + "&".join(f"p{number}=1" for number in range(60)))
    assert error_of(response) == (400, "The query cannot be read.")


async def test_negotiate_is_a_post(hub: Hub) -> None:
    assert (await hub.client.get("/chat/negotiate")).status_code == 405


async def test_who_negotiates_and_never_comes_locks_nobody_out(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "MAX_WAITING", 3)
    for number in range(5):
        answer = await negotiate(hub, websiteId="local", visitorId=sign_ticket(clock, "eve"))
        assert answer.status_code == 200, number
    assert (await negotiate(hub, websiteId="local", visitorId=sign_ticket(clock, "ada"))).status_code == 200


async def test_a_visitor_with_too_many_connections(clock: Clock, config: HubConfig) -> None:
    strict = dataclasses.replace(config, max_connections_per_visitor=2)
    async with Hub.running(strict, clock) as hub:
        ticket = sign_ticket(clock, "ada")
        for _ in range(2):
            assert (await negotiate(hub, websiteId="local", visitorId=ticket)).status_code == 200
        response = await negotiate(hub, websiteId="local", visitorId=ticket)
        assert error_of(response) == (429, "This visitor has too many connections.")
        assert (await negotiate(hub, websiteId="local", visitorId=sign_ticket(clock, "bob"))).status_code == 200


async def test_the_application_refuses_a_database_it_cannot_name(config: HubConfig, clock: Clock) -> None:
    with pytest.raises(ConfigError):
        create_hub(dataclasses.replace(config, database_url="nonsense"), clock=clock)


async def test_an_application_given_a_store_uses_that(config: HubConfig, clock: Clock, tmp_path: Path) -> None:
    elsewhere = SqlStore(f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}")
    async with Hub.running(config, clock, store=elsewhere) as hub:
        response = await hub.post("/chatroom/create", {"title": "A post"})
        assert await elsewhere.find_chatroom(response.json()["id"])
    assert not (tmp_path / "hub.sqlite3").exists()
