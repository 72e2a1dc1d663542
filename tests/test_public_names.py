"""The public surface is this list: a change here is one that users notice."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

import flask_chatix_comments
from flask_chatix_comments import asgi
from flask_chatix_comments.cli import chatix

NAMES = [
    "ApiConnectionError",
    "ApiError",
    "ApiPausedError",
    "ApiPayloadError",
    "ApiStatusError",
    "ApiTimeoutError",
    "BackfillResult",
    "ChatixComments",
    "ChatixCommentsError",
    "Chatroom",
    "ChatroomTakenError",
    "ConfigError",
    "DeletedMessage",
    "HubError",
    "HubStartError",
    "Message",
    "Outcome",
    "Post",
    "PostError",
    "PostNotRegisteredError",
    "RegistryError",
    "RoomChange",
    "RoomError",
    "RoomInfo",
    "RoomMissingError",
    "RoomState",
    "SchemaError",
    "SchemaState",
    "SweepFailure",
    "SweepResult",
    "SyncOutcome",
    "SyncResult",
    "TokenError",
    "TransferError",
    "TransferResult",
    "Trouble",
    "TroubleKind",
    "Visitor",
]


def test_all_lists_the_public_names() -> None:
    assert flask_chatix_comments.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_exists_and_is_described(name: str) -> None:
    assert getattr(flask_chatix_comments, name).__doc__


def test_the_package_is_typed_and_has_a_version() -> None:
    assert files(flask_chatix_comments).joinpath("py.typed").is_file()
    assert re.fullmatch(r"\d+\.\d+\.\d+", flask_chatix_comments.__version__)


def test_every_public_exception_has_the_one_root() -> None:
    errors = [getattr(flask_chatix_comments, name) for name in NAMES if name.endswith("Error")]
    assert all(issubclass(error, flask_chatix_comments.ChatixCommentsError) for error in errors)


PUBLIC_METHODS = [
    "access_loader",
    *("announce", "api", "backfill", "init_app", "list_rooms", "load_posts", "load_visitor", "lookup"),
    *("posts_loader", "prefetch", "rooms"),
]
METHODS_BY_HAND = [
    *("close", "delete", "delete_message", "link", "make_private", "make_public", "messages", "reopen", "restore"),
    *("sweep", "unlink"),
]

UPKEEP_METHODS = ["check", "export_registry", "forget_visitor", "import_registry", "move", "sync", "upgrade_registry"]


def test_what_the_extension_offers() -> None:
    names = [name for name in dir(flask_chatix_comments.ChatixComments) if not name.startswith("_")]
    assert names == sorted([*PUBLIC_METHODS, *METHODS_BY_HAND, *UPKEEP_METHODS, "show", "visitor_loader"])


def test_every_command_is_a_method_too() -> None:
    longer = {
        "export": "export_registry",
        "import": "import_registry",
        "db": "upgrade_registry",
        "visitor": "forget_visitor",
    }
    in_python = {longer.get(name, name.replace("-", "_")) for name in chatix.commands}
    # A server is not called, but run.
    assert in_python - {"list", "hub"} <= {*PUBLIC_METHODS, *METHODS_BY_HAND, *UPKEEP_METHODS, "show"}


def test_what_else_may_be_imported() -> None:
    assert asgi.__all__ == ["mount"]
    assert asgi.mount.__doc__
