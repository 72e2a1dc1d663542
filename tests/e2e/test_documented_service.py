"""The stand-in for the hosted service lets through what is documented, and notes what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.errors import ApiStatusError
from tests.e2e.documented_service import is_of_the_sdk, running_service
from tests.e2e.support import HOSTED_API_KEY, HOSTED_WEBSITE_ID


def test_rest_calls_of_ours_are_refused(tmp_path: Path) -> None:
    noted = r"GET /chatroom/list with .*externalId.*POST /chatroom/update with .*is_closed.*POST /chatroom/counts"
    with pytest.raises(AssertionError, match=noted), running_service(tmp_path) as service:
        api = ChatixApi(service.url, website_id=HOSTED_WEBSITE_ID, api_key=HOSTED_API_KEY)
        room = api.create_chatroom("A room").chatroom_id
        assert api.update_chatroom(room, title="Another").title == "Another"
        for extra in (
            lambda: api.find_chatroom_by_external_id("a post"),
            lambda: api.update_chatroom(room, is_closed=True),
            lambda: api.counts([room]),
        ):
            with pytest.raises(ApiStatusError):
                extra()
        api.close()


DRAFT = {"type": 0, "content": "Hello", "uuid": None, "file_url": None}


@pytest.mark.parametrize(
    ("target", "arguments", "is_documented"),
    [
        ("GetChatroomHistory", ["room", None, 30], True),
        ("GetChatroomHistory", ["room", None, 30, "more"], False),
        ("SaveChatroomMessage", [DRAFT, None], True),
        ("SaveChatroomMessage", [DRAFT | {"uuid": "a key of ours"}, "room"], False),
        ("SaveChatroomMessage", [DRAFT | {"is_whisper": True}, "room"], False),
        ("GetChatroomChanges", ["room", None, 100], False),
        ("UpdateChatroomMessage", ["message", "text", "room"], False),
    ],
)
def test_hub_methods_of_ours_are_known(target: str, arguments: list[Any], is_documented: bool) -> None:
    assert is_of_the_sdk(target, arguments) is is_documented
