"""What the hub asks of its database: ``MessageStore``.

Every method is one transaction, done when it returns. A write that has returned survives a crash of the
process and of the machine. Any of them raises ``StoreError`` when the database cannot do it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ...models import Chatroom, Message, Profile


class Hold(enum.StrEnum):
    """Why a membership lasts, once no connection is open."""

    #: The visitor joined with a site ticket: it ends a grace time after the last connection.
    GRACE = "grace"
    #: The visitor joined with a get-id ticket: it lasts until the visitor leaves.
    LASTING = "lasting"
    #: The API joined the visitor, who has not joined by itself since.
    API = "api"


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a message that was to be stored.

    Attributes:
        message: As it is stored now.
        is_new: False when its client key was known: somebody sends again what was stored before.
    """

    message: Message
    is_new: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader knows a chatroom's changes.

    Attributes:
        change: Number of the last change that all may see.
        whisper_change: The same for whispers, which have numbers of their own: a gap would betray them.
    """

    change: int = 0
    whisper_change: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """A page of messages, oldest first.

    Attributes:
        cursor: What the reader knows once it has read this page and every newer one.
        has_more: Whether there are older ones.
        is_closed: Whether the chatroom is read-only.
        total: How many messages there are in all; whispers do not count.
    """

    messages: Sequence[Message]
    cursor: Cursor
    has_more: bool
    is_closed: bool
    total: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new, edited or deleted, in the order in which it happened.

    Attributes:
        cursor: Where to go on.
        has_more: Whether there is more already.
        is_closed: Whether the chatroom is read-only.
        total: How many messages there are in all; whispers do not count.
    """

    messages: Sequence[Message]
    cursor: Cursor
    has_more: bool
    is_closed: bool
    total: int


class UploadState(enum.StrEnum):
    """What became of an uploaded file."""

    #: No message names it yet.
    WAITING = "waiting"
    POSTED = "posted"
    #: Its message or its chatroom is gone for good, or no message ever came: its files have to go.
    CONDEMNED = "condemned"
    #: Its files are gone.
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a visitor has uploaded to a chatroom.

    Attributes:
        media_type: What it is served as.
        stored_bytes: Of all that is kept of it: an image has small ones beside.
        width_px, height_px: Of an image as it is shown.
    """

    upload_id: str
    chatroom_id: str
    visitor_id: str
    is_image: bool
    media_type: str
    file_name: str
    file_bytes: int
    stored_bytes: int
    width_px: int | None
    height_px: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UploadTotals:
    """What a visitor has uploaded in a time, whatever became of it.

    Attributes:
        first_at: When the first of it came; ``None``: there is nothing.
    """

    count: int
    stored_bytes: int
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Writes that shared a transaction, after its end.

    Attributes:
        writes: How many there were.
        duration_s: From the first statement to the end of the commit.
        cannot_write: Whether the database as such has refused, whatever was written: the disk is full, for example.
    """

    writes: int
    duration_s: float
    cannot_write: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a database is on.

    Attributes:
        used_bytes: By the database.
        free_bytes: For whoever needs it.
    """

    used_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is, and since when."""

    chatroom_id: str
    message_id: str
    sent_at: datetime


class MessageStore(Protocol):
    """Storage only: who may do what is decided by the service."""

    def open(self) -> None:
        """Make the tables where they are missing, bring older ones up to date. Called again, it does nothing."""

    async def close(self) -> None:
        """Finish what was begun, then let go of the database."""

    # How it is

    def watch(self, watcher: Callable[[Batch], None]) -> None:
        """Tell *watcher* of each batch from now on, in the thread that writes; it must not wait."""

    async def try_to_write(self) -> None:
        """Write something that changes nothing, down to the disk.

        Raises:
            StoreError: It cannot be written.
        """

    async def scrub(self) -> bool:
        """Have nothing in the database's files of what was deleted, as far as that is in our hands.

        Returns:
            Whether it could be done; not while others read for long. Then try again later.
        """

    def disk(self) -> Disk | None:
        """Look at the disk, and wait for it; ``None`` where the database is a server's."""

    # Chatrooms. Nobody counts their visitors here: see ``count_members``.

    async def create_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom:
        """Store a new chatroom; return the one that has its ``external_id`` already, if any."""

    async def find_chatroom(self, chatroom_id: str) -> Chatroom | None:
        """Return the chatroom, deleted or not."""

    async def find_chatroom_by_external_id(self, external_id: str) -> Chatroom | None:
        """Return the chatroom, deleted or not."""

    async def update_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom | None:
        """Store title and flags of a chatroom that exists; *now* is since when it is deleted, if that is new."""

    async def purge_chatrooms(self, *, deleted_before: datetime, now: datetime) -> list[str]:
        """Delete for good, with all that is in them, the chatrooms that were deleted before a time; return which.

        Their uploads are condemned. Of a chatroom that does not say since when it is deleted, it is *now*.
        """

    async def name_chatroom(self, chatroom_id: str, external_id: str | None) -> None:
        """Give a chatroom an external id, or none; a chatroom that had it before has none from now on."""

    async def list_chatrooms(
        self, *, page: int, items_per_page: int, include_deleted: bool
    ) -> tuple[list[Chatroom], int]:
        """Return a page of all chatrooms, oldest first, and how many there are."""

    async def list_chatrooms_for(
        self, visitor_id: str, *, page: int, items_per_page: int, mine_only: bool, with_private: bool
    ) -> list[Chatroom]:
        """Return a page of the living chatrooms that a visitor may know of, by title.

        Args:
            mine_only: Whether to list only those where the visitor is a member.
            with_private: Whether to list private chatrooms where the visitor is no member.
        """

    # Messages

    async def append_message(self, draft: Message, *, now: datetime, upload_id: str | None = None) -> Appended | None:
        """Store a message under the chatroom's next number; ``None`` when the chatroom is gone or closed.

        Number and time are taken under the chatroom's row lock: ``sent_at`` is *now*, or the time of the
        previous message if that is later. ``seq``, ``change`` and ``sent_at`` of *draft* do not count.

        Args:
            upload_id: The upload that the message is about. One upload has one message: it is what is
                returned when there is one. ``None`` is returned when the upload is condemned.
        """

    async def find_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """Return the message, deleted or not."""

    async def find_message_anywhere(self, message_id: str) -> Message | None:
        """Return the message, deleted or not, of whatever chatroom it is."""

    async def edit_message(self, chatroom_id: str, message_id: str, content: str, *, now: datetime) -> Message | None:
        """Change the text of a message that lives; ``None`` when there is none."""

    async def delete_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """Delete a message for good, except that it was there; ``None`` when there is none alive.

        Its upload is condemned.
        """

    async def page_before(
        self, chatroom_id: str, before: Message | None, *, limit: int, with_whispers: bool
    ) -> History:
        """Return the living messages just before *before*, or the newest: fewer than *limit* where they are large."""

    async def changes_since(self, chatroom_id: str, cursor: Cursor, *, limit: int, with_whispers: bool) -> Changes:
        """Return what has changed since *cursor*, deleted messages included; fewer where they are large."""

    async def count_messages(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """Return how many living messages, whispers aside, each of the living chatrooms has."""

    async def forget_client_keys(self, *, before: datetime) -> int:
        """Forget the idempotency keys of messages older than *before*; return how many."""

    # Uploads

    async def add_upload(self, upload: Upload) -> None:
        """Store a new upload, which waits for its message."""

    async def find_upload(self, upload_id: str) -> Upload | None:
        """Return the upload, unless it is condemned or its chatroom is deleted."""

    async def upload_totals(self, visitor_id: str, *, since: datetime) -> UploadTotals:
        """Return what the visitor has uploaded since a time."""

    async def condemn_uploads(self, *, unposted_before: datetime) -> int:
        """Condemn what was uploaded before a time and never posted; return how many."""

    async def condemned_uploads(self) -> list[str]:
        """Return the ids of all whose files have to go."""

    async def uploads_removed(self, upload_ids: Collection[str]) -> None:
        """Note that the files of these are gone."""

    async def forget_uploads(self, *, before: datetime) -> int:
        """Forget those without files that came before a time; return how many."""

    # Members

    async def put_member(
        self, chatroom_id: str, visitor_id: str, hold: Hold, *, is_manager: bool, now: datetime | None = None
    ) -> None:
        """Make the visitor a member, or change what holds its membership; *now* is when it was last here."""

    async def remove_member(self, chatroom_id: str, visitor_id: str) -> bool:
        """End a membership; return whether there was one."""

    async def memberships(self, visitor_id: str) -> dict[str, Hold]:
        """Return the chatrooms of which the visitor is a member."""

    async def members_on_grace(self) -> list[tuple[str, str]]:
        """Return the memberships that end without a connection: visitor and chatroom."""

    async def count_members(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """Return how many members, managers aside, each of the chatrooms has; those with none are left out."""

    async def list_members(
        self, chatroom_id: str, *, page: int, items_per_page: int, posted_only: bool
    ) -> list[Profile]:
        """Return a page of members with what is stored about them.

        Args:
            posted_only: Whether to leave out those who have not written in this chatroom.
        """

    async def managers_in(self, chatroom_ids: Collection[str], *, posted_only: bool) -> dict[str, list[Profile]]:
        """Return the managers who are members of each of the chatrooms."""

    async def chatrooms_posted_in(self, visitor_id: str, chatroom_ids: Collection[str]) -> set[str]:
        """Return those of the chatrooms where the visitor has written what all may see."""

    # Visitors

    async def find_visitor(self, visitor_id: str) -> tuple[Profile, datetime] | None:
        """Return what is stored about a visitor, and when the site said it (1970: never)."""

    async def save_visitor(
        self,
        profile: Profile,
        *,
        said_at: datetime | None,
        protect: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Store what is known about a visitor.

        Args:
            now: When it was last here.
            said_at: When the site said it; ``None`` when the news is the visitor's own.
            protect: The keys of its name (``hub.names``) from now on; ``None`` leaves them as they are.
        """

    async def bearers_of(self, name_keys: Collection[str]) -> set[str]:
        """Return the visitors whose name is protected by any of these keys."""

    async def list_managers(self) -> list[Profile]:
        """Return all visitors who are managers, by name."""

    async def note_visit(self, visitor_id: str, *, now: datetime) -> None:
        """Note that a visitor has come, unless that was noted within a day."""

    # Forgetting

    async def messages_of(self, visitor_id: str, *, limit: int) -> list[Place]:
        """Return living messages of a visitor, whispers too."""

    async def messages_before(self, moment: datetime, *, files_only: bool, after: datetime, limit: int) -> list[Place]:
        """Return living messages of chatrooms that are not deleted, sent between two moments, oldest first."""

    async def quiet_chatrooms(self, *, before: datetime, limit: int) -> list[str]:
        """Return the living chatrooms where nobody has written since a time, and that are as old."""

    async def stale_memberships(self, *, before: datetime, limit: int) -> list[tuple[str, str]]:
        """Return the lasting memberships of visitors who have not come since a time: visitor and chatroom."""

    async def condemn_uploads_of(self, visitor_id: str) -> int:
        """Condemn all that a visitor has uploaded and that is there; return how many that are."""

    async def forget_visitor(self, visitor_id: str) -> bool:
        """Forget what is stored about a visitor, and that it was who wrote what is deleted.

        Returns:
            Whether there was anything about it but deleted messages.
        """

    async def forget_visitors(self, *, before: datetime, with_names: bool, limit: int) -> int:
        """Forget visitors who have not come since a time, are no managers, have no messages and are in no chatroom.

        Args:
            with_names: Whether those are forgotten, too, whose name no guest may take.
        """
