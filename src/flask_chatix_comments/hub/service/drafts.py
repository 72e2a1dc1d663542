"""What somebody wants to post: taken from the wire, and made into what a message says of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidArgumentError
from ...models import MessageType
from ..addresses import THUMB_SIDES_PX, file_path, thumb_path
from ..limits import check_url
from ..store.base import Upload

_TYPES = {int(type): type for type in MessageType}


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to post, as it came: nothing is checked yet.

    Attributes:
        client_key: The sender's idempotency key.
    """

    type: Any = MessageType.TEXT
    content: Any = None
    client_key: Any = None
    thumb_100_url: Any = None
    thumb_300_url: Any = None
    original_url: Any = None
    file_url: Any = None


def draft_from(data: Mapping[str, Any], *, default_type: MessageType | None = None) -> Draft:
    """Take from a Message object what a sender may decide; its ``uuid`` is an idempotency key."""
    return Draft(
        type=data.get("type", default_type),
        content=data.get("content"),
        client_key=data.get("uuid"),
        thumb_100_url=data.get("thumb_100_url"),
        thumb_300_url=data.get("thumb_300_url"),
        original_url=data.get("original_url"),
        file_url=data.get("file_url"),
    )


def type_of(draft: Draft) -> MessageType:
    """Return what kind of message is wanted."""
    is_number = isinstance(draft.type, int) and not isinstance(draft.type, bool)
    found = _TYPES.get(draft.type) if is_number else None
    if found is None:
        raise InvalidArgumentError("type is 0 for text, 4 for an image, 5 for a file.")
    return found


def url_of(draft: Draft) -> str:
    """Return the URL of the file that a draft is about."""
    url = check_url(draft.original_url if draft.type == MessageType.IMAGE else draft.file_url)
    if url is None:
        raise InvalidArgumentError("The URL of the file is missing.")
    return url


def links_of(draft: Draft) -> dict[str, str | None]:
    """Return what the site says of a file elsewhere."""
    if draft.type == MessageType.FILE:
        return {"file_url": url_of(draft)}
    thumbs = {name: check_url(getattr(draft, name)) for name in ("thumb_100_url", "thumb_300_url")}
    return {"original_url": url_of(draft), **thumbs}


def facts_of(upload: Upload, type: MessageType) -> dict[str, Any]:
    """Return what the hub itself knows of a file."""
    if upload.is_image != (type is MessageType.IMAGE):
        raise InvalidArgumentError("An uploaded image is posted as type 4, every other file as type 5.")
    facts = {
        "file_name": upload.file_name,
        "file_bytes": upload.file_bytes,
        "width_px": upload.width_px,
        "height_px": upload.height_px,
    }
    path = file_path(upload.upload_id, upload.file_name)
    if not upload.is_image:
        return {"file_url": path, **facts}
    thumbs = {f"thumb_{side_px}_url": thumb_path(upload.upload_id, side_px) for side_px in THUMB_SIDES_PX}
    return {"original_url": path, **thumbs, **facts}
