"""WebSockets go past the framework; all else goes through it."""

from __future__ import annotations

from typing import Any

import pytest

from flask_chatix_comments.hub.front import Front, scope_below

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("kind", "root_path", "path", "whose"),
    [
        ("websocket", "", "/v1/chat", "websockets"),
        ("websocket", "/comments", "/comments/v1/chat", "websockets"),
        ("websocket", "", "/v1/chat/", "rest"),
        ("websocket", "", "/v1/other", "rest"),
        ("websocket", "/comments", "/v1/other", "rest"),
        ("http", "", "/v1/chat", "rest"),
        ("lifespan", "", None, "rest"),
    ],
)
async def test_who_serves_what(kind: str, root_path: str, path: str | None, whose: str) -> None:
    served: list[tuple[str, Any]] = []

    def app(name: str) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            served.append((name, scope))

        return serve

    scope = {"type": kind, "root_path": root_path} | ({} if path is None else {"path": path})
    front = Front(app("rest"), app("websockets"), base_path="/v1", path="/chat")
    await front(scope, None, None)  # type: ignore[arg-type]  # nobody asks for them
    assert served == [(whose, scope)]
    assert served[0][1] is scope


@pytest.mark.parametrize(("scope", "root_path"), [({}, "/v1"), ({"root_path": "/comments"}, "/comments/v1")])
def test_a_scope_as_it_is_seen_below(scope: dict[str, Any], root_path: str) -> None:
    assert scope_below(scope | {"path": "/x"}, "/v1") == {"path": "/x", "root_path": root_path}
