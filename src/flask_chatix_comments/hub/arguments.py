"""The arguments of hub methods: each parser returns what the service takes, or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidArgumentError
from .limits import MAX_PAGE, MAX_PAGE_ITEMS, check_id, check_number, dict_of


def chatroom_id(value: Any) -> str:
    """Take the id of a chatroom."""
    return check_id(value, name="The chatroom's id")


def chatroom_id_or_none(value: Any) -> str | None:
    """Take the id of a chatroom, or null."""
    return None if value is None else chatroom_id(value)


def message_id(value: Any) -> str:
    """Take the id of a message."""
    return check_id(value, name="The message's id")


def message_id_or_none(value: Any) -> str | None:
    """Take the id of a message, or null."""
    return None if value is None else message_id(value)


def person_id(value: Any) -> str:
    """Take a public id of a visitor or manager, or a visitor's ticket."""
    if not isinstance(value, str):
        raise InvalidArgumentError("The visitor's id is missing.")
    return value


def items_per_page(value: Any) -> int:
    """Take the size of a page."""
    return check_number(value, name="itemsPerPage", largest=MAX_PAGE_ITEMS)


def page(value: Any) -> int:
    """Take the number of a page, counted from 1."""
    return check_number(value, name="page", largest=MAX_PAGE)


def count(value: Any) -> int:
    """Take how many messages are wanted."""
    return check_number(value, name="count", largest=MAX_PAGE_ITEMS)


def json_object(value: Any) -> Mapping[str, Any]:
    """Take an object."""
    return dict_of(value, name="The argument")


def anything(value: Any) -> Any:
    """Take whatever comes: it is checked later, or of no interest."""
    return value
