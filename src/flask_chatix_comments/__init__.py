"""A live comment section for each post of a Flask blog, on Chatix or on its own hub."""

from .backfill import BackfillResult, Outcome
from .errors import (
    ApiConnectionError,
    ApiError,
    ApiPayloadError,
    ApiStatusError,
    ApiTimeoutError,
    ChatixCommentsError,
    ConfigError,
    HubError,
    HubStartError,
    PostError,
    PostNotRegisteredError,
    RegistryError,
    TokenError,
)
from .extension import ChatixComments
from .models import Chatroom, Message, Post, Visitor
from .room_info import RoomInfo

__version__ = "0.1.0"

__all__ = [
    "ApiConnectionError",
    "ApiError",
    "ApiPayloadError",
    "ApiStatusError",
    "ApiTimeoutError",
    "BackfillResult",
    "ChatixComments",
    "ChatixCommentsError",
    "Chatroom",
    "ConfigError",
    "HubError",
    "HubStartError",
    "Message",
    "Outcome",
    "Post",
    "PostError",
    "PostNotRegisteredError",
    "RegistryError",
    "RoomInfo",
    "TokenError",
    "Visitor",
]
