"""A live comment section for each post of a Flask blog, on Chatix or on its own hub."""

from .backfill import BackfillResult, Outcome
from .errors import (
    ApiConnectionError,
    ApiError,
    ApiPausedError,
    ApiPayloadError,
    ApiStatusError,
    ApiTimeoutError,
    ChatixCommentsError,
    ChatroomTakenError,
    ConfigError,
    HubError,
    HubStartError,
    PostError,
    PostNotRegisteredError,
    RegistryError,
    RoomError,
    RoomMissingError,
    SchemaError,
    TokenError,
    TransferError,
)
from .extension import ChatixComments
from .models import Chatroom, Message, Post, Visitor
from .registry import RoomState
from .registry_schema import SchemaState
from .registry_transfer import TransferResult
from .room_findings import Trouble, TroubleKind
from .room_info import RoomInfo
from .room_keeper import RoomChange
from .room_messages import DeletedMessage
from .room_sync import SyncOutcome, SyncResult
from .sweep import SweepFailure, SweepResult

__version__ = "0.1.0"

__all__ = [
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
