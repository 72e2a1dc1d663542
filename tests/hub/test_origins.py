"""Which pages may use the hub, and what browsers are told (Fetch, "CORS protocol")."""

from __future__ import annotations

import pytest

from flask_chatix_comments.hub.origins import OriginPolicy
from flask_chatix_comments.hub.web_log import QUIET_S, Seldom
from tests.hub.support import Clock, Hub

POLICY = OriginPolicy(["https://blog.example", "https://Other.example:8443"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "hub.example"),
        (None, None),
        ("https://blog.example", "hub.example"),
        ("https://other.example:8443", None),
        ("http://hub.example", "hub.example:5001"),
        ("http://HUB.example:5000", "hub.example:5001"),
        ("http://127.0.0.1:5000", "127.0.0.1:5001"),
        ("http://[::1]:5000", "[::1]:5001"),
    ],
)
def test_allowed(origin: str | None, host: str | None) -> None:
    assert POLICY.is_allowed(headers(origin, host))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "hub.example"),
        ("http://blog.example", "hub.example"),
        ("https://blog.example:444", "hub.example"),
        ("null", "hub.example"),
        ("null", None),
        ("", "hub.example"),
        ("http://[", "hub.example"),
        ("http://hub.example.evil.example", "hub.example"),
        ("http://hub.example", "["),
        # Extensions and apps name hosts of their own.
        ("chrome-extension://hub.example", "hub.example"),
        ("ftp://hub.example", "hub.example"),
        ("//hub.example", "hub.example"),
    ],
)
def test_refused(origin: str, host: str | None) -> None:
    assert not POLICY.is_allowed(headers(origin, host))


def test_repeated_headers_are_refused() -> None:
    twice = [(b"origin", b"https://blog.example"), (b"origin", b"https://blog.example")]
    assert not POLICY.is_allowed(twice)
    assert not POLICY.is_allowed([(b"origin", b"http://a"), (b"host", b"a"), (b"host", b"b")])


def headers(origin: str | None, host: str | None) -> list[tuple[bytes, bytes]]:
    pairs = ((b"origin", origin), (b"host", host))
    return [(name, value.encode()) for name, value in pairs if value is not None]


@pytest.mark.anyio
async def test_a_preflight(hub: Hub) -> None:
    response = await hub.client.options(
        "/chat/negotiate",
        headers={
            "Origin": "http://hub.example:5000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-requested-with,x-signalr-user-agent",
        },
    )
    assert response.status_code == 204
    assert response.content == b""
    assert response.headers["access-control-allow-origin"] == "http://hub.example:5000"
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["vary"] == "Origin"
    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"x-requested-with", "x-signalr-user-agent", "content-type", "authorization"} == set(allowed)


@pytest.mark.anyio
async def test_answers_name_the_page_that_asked(hub: Hub) -> None:
    response = await hub.client.get("/visitor/get-id?websiteId=local", headers={"Origin": "http://hub.example:5000"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://hub.example:5000"
    refusal = await hub.client.get("/visitor/get-id?websiteId=x", headers={"Origin": "http://hub.example:5000"})
    assert refusal.status_code == 404
    assert refusal.headers["access-control-allow-origin"] == "http://hub.example:5000"


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
async def test_other_pages_are_refused(hub: Hub, method: str) -> None:
    response = await hub.client.request(
        method, "/visitor/get-id?websiteId=local", headers={"Origin": "https://evil.example"}
    )
    assert response.status_code == 403
    assert response.json() == {"error": "Pages of this origin may not use the hub."}
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.anyio
async def test_without_an_origin_there_is_no_cors(hub: Hub) -> None:
    response = await hub.client.get("/visitor/get-id?websiteId=local")
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


def test_the_log_is_told_once_in_a_while_with_the_settings_to_change(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    policy = OriginPolicy([], Seldom(clock))
    assert policy.is_allowed(headers("http://127.0.0.1:5000", "127.0.0.1:5001"))
    for origin in ("http://localhost:5000", "http://another.example"):
        assert not policy.is_allowed(headers(origin, "127.0.0.1:5001"))
    (line,) = caplog.messages
    assert line.startswith(
        "A page of 'http://localhost:5000' is refused at the hub, which it reached as '127.0.0.1:5001'."
    )
    assert "CHATIX_HUB_ALLOWED_ORIGINS" in line
    assert "CHATIX_HUB_URL" in line
    clock.advance(QUIET_S)
    assert not policy.is_allowed(headers("x\n\x1b[2J" + "y" * 10_000, None))
    second = caplog.messages[1]
    assert len(caplog.messages) == 2
    assert second.startswith(r"A page of 'x\n\x1b[2Jyyy")
    assert len(second) < 500


@pytest.mark.anyio
async def test_no_ticket_is_told_to_the_log(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    query = "websiteId=local&visitorId=a-ticket-that-is-secret"
    answer = await hub.client.post(f"/chat/negotiate?{query}", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "A page of 'https://evil.example' is refused" in caplog.text
    assert "a-ticket-that-is-secret" not in "\n".join(caplog.messages)
