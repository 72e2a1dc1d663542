"""The table of the REST API's operations, and how a site changes rows of it.

The vendor publishes neither paths nor bodies. The rows here are what our hub serves; on the hosted
service they are a guess that ``CHATIX_API_OPERATIONS`` corrects. Apart from ``api``, so that settings
can be checked without an HTTP client.
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .errors import ConfigError

SETTING = "CHATIX_API_OPERATIONS"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What every call of its row has; only these can stand in a path.
_ALWAYS_GIVEN = frozenset({"website_id", "chatroom_id", "visitor_id", "message_id"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: how a method of ``ChatixApi`` becomes an HTTP request.

    Attributes:
        path: Behind the API's base; may hold ``{chatroom_id}``, ``{visitor_id}``, ``{message_id}`` or
            ``{website_id}``.
        query: Our argument's name to the name in the query string. What stands neither there nor in
            *body* nor in *path* is not sent.
        body: Our argument's name to the key in the JSON body.
        result: The key under which an answer wraps the result; dots go deeper. ``None``: the answer
            is the result.
        is_idempotent: Whether to do it twice is as good as once, so that it may be tried again.
    """

    name: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None
    is_idempotent: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be tried again when the fate of the first try is not known."""
        return self.is_idempotent or self.method == "GET"

    @property
    def arguments(self) -> frozenset[str]:
        """The names of our arguments that the row sends."""
        return frozenset(self.query) | frozenset(self.body) | frozenset(_placeholders(self.path))


def _placeholders(path: str) -> Iterable[str]:
    """Return the names in braces; raises ``ValueError`` when the braces do not match."""
    return [name for _, name, _, _ in string.Formatter().parse(path) if name is not None]


_WEBSITE = {"website_id": "websiteId"}
_ROOM = _WEBSITE | {"chatroom_id": "chatroomId"}
_MESSAGE = _ROOM | {"message_id": "messageId"}
_VISITOR = _WEBSITE | {"visitor_id": "visitorId"}
_PAGE = {"page": "page", "items_per_page": "itemsPerPage"}

_MESSAGE_PARTS = (
    *("type", "content", "thumb_100_url", "thumb_300_url", "original_url", "file_url", "sender_flag", "sender_id"),
)


def _get(name: str, path: str, query: Mapping[str, str]) -> Operation:
    return Operation(name, "GET", path, query)


def _post(name: str, path: str, query: Mapping[str, str], *body: str, is_idempotent: bool = True) -> Operation:
    return Operation(name, "POST", path, query, {key: key for key in body}, is_idempotent=is_idempotent)


_ROWS = (
    _post("create_chatroom", "/chatroom/create", _WEBSITE, "title", "is_private", "external_id", is_idempotent=False),
    _get("get_chatroom", "/chatroom/get", _ROOM),
    _get(
        "list_chatrooms",
        "/chatroom/list",
        _WEBSITE | _PAGE | {"include_deleted": "includeDeleted", "external_id": "externalId"},
    ),
    _post("update_chatroom", "/chatroom/update", _ROOM, "title", "is_private", "is_closed", "external_id"),
    _post("delete_chatroom", "/chatroom/delete", _ROOM),
    _post("restore_chatroom", "/chatroom/restore", _ROOM),
    _post("connect_visitor", "/chatroom/connect-visitor", _ROOM | _VISITOR),
    _post(
        "disconnect_visitor",
        "/chatroom/disconnect-visitor",
        _ROOM | _VISITOR | {"connection_id": "connectionId", "only_offline": "onlyOffline"},
    ),
    _get("list_visitors", "/chatroom/visitors", _ROOM | _PAGE),
    _get("list_messages", "/chatroom/messages", _ROOM | {"before_id": "lastMessageId", "limit": "count"}),
    _get("list_changes", "/chatroom/changes", _ROOM | {"cursor": "cursor", "limit": "count"}),
    _get("find_message", "/chatroom/find-message", _WEBSITE | {"message_id": "messageId"}),
    Operation(
        "send_message",
        "POST",
        "/chatroom/send-message",
        _ROOM,
        {key: key for key in _MESSAGE_PARTS} | {"client_key": "uuid"},
    ),
    _post("update_message", "/chatroom/update-message", _MESSAGE, "content"),
    _post("delete_message", "/chatroom/delete-message", _MESSAGE),
    _post("send_whisper", "/chatroom/send-whisper", _ROOM, "content", "sender_id", is_idempotent=False),
    _post("counts", "/chatroom/counts", _WEBSITE, "chatroom_ids"),
    _get("new_visitor_id", "/visitor/get-id", _WEBSITE),
    _get("get_visitor", "/visitor/get", _VISITOR),
    _post("update_visitor", "/visitor/update", _VISITOR, "name", "email", "fields", "is_persistent", "is_manager"),
    _post("forget_visitor", "/visitor/forget", _VISITOR),
    _get("get_crowd", "/visitor/crowd", _WEBSITE),
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})

#: What no service but our hub has promised to take: in the query of these rows, and in the body of those.
_EXTRAS = (("query", "list_chatrooms", "external_id"), ("body", "send_message", "client_key"))


def merge_operations(overrides: Mapping[str, Mapping[str, Any]], *, is_hosted: bool = False) -> Mapping[str, Operation]:
    """Return the table with the rows of *overrides* laid over it.

    A row of *overrides* names only what differs. ``query`` and ``body`` are laid over the row's own,
    where ``None`` takes a name out: ``{"query": {"chatroom_id": None}, "path": "/rooms/{chatroom_id}"}``.

    Args:
        is_hosted: Whether the service is another than our hub. It is then asked for chatrooms by their
            external ID, and told a message's key, only if *overrides* says so.

    Raises:
        ConfigError: A row or a part of one is unknown or malformed.
    """
    if not isinstance(overrides, Mapping):
        raise ConfigError(SETTING, "It is a table: the name of an operation to what differs in its row.")
    table = dict(OPERATIONS)
    for name, changes in overrides.items():
        if name not in table:
            raise ConfigError(SETTING, f"There is no operation {name!r}.{_did_you_mean(name, table)}")
        if not isinstance(changes, Mapping):
            raise ConfigError(SETTING, f"{name}: what differs is a table such as {{'path': '/rooms/create'}}.")
        table[name] = _changed(table[name], changes)
    if is_hosted:
        for part, name, extra in _EXTRAS:
            if extra not in overrides.get(name, {}).get(part, {}):
                names = {ours: theirs for ours, theirs in getattr(table[name], part).items() if ours != extra}
                narrowed: dict[str, Any] = {part: names}
                table[name] = replace(table[name], **narrowed)
    return MappingProxyType(table)


def _did_you_mean(name: object, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(sorted(known))}."


def _changed(row: Operation, changes: Mapping[str, Any]) -> Operation:
    values: dict[str, Any] = {}
    for part, value in changes.items():
        if part not in _CHECKS:
            raise ConfigError(SETTING, f"{row.name}: a row has no {part!r}.{_did_you_mean(part, _CHECKS)}")
        values[part] = _CHECKS[part](row, value)
    changed = replace(row, **values)
    if changed.method == "GET" and changed.body:
        raise ConfigError(SETTING, f"{row.name}: GET has no body; move its names to 'query' or change 'method'.")
    return changed


def _check_method(row: Operation, value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in _METHODS:
        raise ConfigError(SETTING, f"{row.name}: 'method' is one of {', '.join(_METHODS)}.")
    return value.upper()


def _check_path(row: Operation, value: Any) -> str:
    usable = sorted(_ALWAYS_GIVEN & (row.arguments | {"website_id"}))
    try:
        if not value.startswith("/") or set(value) & set("?# \\") or not set(_placeholders(value)) <= set(usable):
            raise ValueError
        value.format(**dict.fromkeys(usable, ""))
    except (AttributeError, ValueError, LookupError):
        names = ", ".join(f"{{{name}}}" for name in usable)
        raise ConfigError(
            SETTING, f"{row.name}: 'path' starts with / and has no query; in braces it can have {names}."
        ) from None
    return str(value)


def _check_names(row: Operation, part: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError(SETTING, f"{row.name}: {part!r} is a table: our name to the API's, or to null.")
    known = row.arguments | {"website_id"}
    for ours, theirs in value.items():
        if ours not in known:
            raise ConfigError(SETTING, f"{row.name}: {part!r} cannot send {ours!r}.{_did_you_mean(ours, known)}")
        if theirs is not None and (not isinstance(theirs, str) or not theirs):
            raise ConfigError(SETTING, f"{row.name}: {part!r} needs a name or null for {ours!r}.")
    merged = {**getattr(row, part), **value}
    return MappingProxyType({ours: theirs for ours, theirs in merged.items() if theirs is not None})


def _check_query(row: Operation, value: Any) -> Mapping[str, str]:
    return _check_names(row, "query", value)


def _check_body(row: Operation, value: Any) -> Mapping[str, str]:
    return _check_names(row, "body", value)


def _check_result(row: Operation, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not all(value.split("."))):
        raise ConfigError(SETTING, f"{row.name}: 'result' is a key of the answer such as 'data', or null.")
    return value


def _check_is_idempotent(row: Operation, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(SETTING, f"{row.name}: 'is_idempotent' is true or false.")
    return value


_CHECKS = {
    "method": _check_method,
    "path": _check_path,
    "query": _check_query,
    "body": _check_body,
    "result": _check_result,
    "is_idempotent": _check_is_idempotent,
}
