"""What ``ChatixComments`` does to keep registry, service and site together: the commands' counterparts in Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from . import registry_schema
from .models import Forgotten, Post, PostIdLike, normalize_post_id
from .registry_schema import SchemaState
from .registry_transfer import RegistryImport, TransferResult, export_lines
from .room_check import Inspector, unchanged
from .room_findings import Trouble
from .room_keeper import RoomChange
from .room_mover import RoomMover
from .room_repair import Repairer
from .room_sync import CONCURRENCY, Synchronizer, SyncResult, sync_all
from .state import AppState, get_state


def repairer_of(state: AppState, inspector: Inspector, *, replace_all: bool) -> Repairer:
    """Return what repairs what *inspector* finds."""
    return Repairer(
        state.registry,
        state.api(),
        state.rooms,
        state.room_keeper,
        is_hosted=state.config.is_hosted,
        title_of=inspector.title_of,
        may_replace=lambda: replace_all or not inspector.are_most_missing,
    )


class UpkeepMethods:
    """Keeps chatrooms and posts of the current application together."""

    def move(self, old_id: PostIdLike, new_id: PostIdLike) -> RoomChange:
        """Give a post's chatroom to another post ID: the post's own ID has changed.

        Raises:
            PostError: There can be no such post.
            PostNotRegisteredError: The old ID has no chatroom.
            RoomError: The new ID has comments of its own, or another reason, which the message tells.
            ApiError, RegistryError: A failure on the way; the same call again ends what was begun.
        """
        state = get_state()
        mover = RoomMover(state.registry, state.api, is_hosted=state.config.is_hosted)
        return mover.move(normalize_post_id(old_id), normalize_post_id(new_id))

    def check(
        self,
        posts: Iterable[Post] | None = None,
        *,
        repair: bool = False,
        replace_all: bool = False,
        ignore_unmarked: bool = False,
        concurrency: int = CONCURRENCY,
    ) -> Iterator[Trouble]:
        """Hold registry, service and site against each other, and yield what does not fit.

        Nothing happens until the result is iterated. A chatroom that is being made at this moment is no trouble.

        Args:
            posts: The site's, for their titles; by default what ``posts_loader`` yields, if there is one.
            repair: Whether to repair what can be repaired without a loss.
            replace_all: Whether to make new chatrooms for those that have vanished even where most have.
            ignore_unmarked: Whether to leave out chatrooms that no post has and nothing shows to be ours: an account
                of the hosted service may have group chats for other purposes.

        Raises:
            ApiError: The service does not list its chatrooms.
            RegistryError: The registry cannot be read.
        """
        state = get_state()
        if posts is None and state.loaders.posts is not None:
            posts = state.loaders.load_posts()
        with Inspector(
            state.registry, state.api(), is_hosted=state.config.is_hosted, ignores_unmarked=ignore_unmarked
        ) as inspector:
            inspector.fetch(posts)
            mend = repairer_of(state, inspector, replace_all=replace_all).repair if repair else unchanged
            yield from inspector.run(repair=mend, concurrency=concurrency)

    def sync(self, posts: Iterable[Post] | None = None, *, concurrency: int = CONCURRENCY) -> Iterator[SyncResult]:
        """Let the chatrooms of *posts* have the posts' titles, and the registry know whether they are deleted.

        Nothing happens until the result is iterated. One post's failure does not stop the others.

        Args:
            posts: By default all that ``posts_loader`` yields. For those of a call, such as one that was just renamed,
                the service is asked one by one; for the whole site its chatrooms are fetched first.

        Raises:
            ConfigError: No posts are given and there is no ``posts_loader``.
            ApiError: The service does not list its chatrooms.
        """
        state = get_state()
        is_hosted = state.config.is_hosted
        if posts is not None:
            return Synchronizer(state.registry, state.api(), is_hosted=is_hosted).run(posts, concurrency=concurrency)
        return sync_all(
            state.registry, state.api(), state.loaders.load_posts(), is_hosted=is_hosted, concurrency=concurrency
        )

    def export_registry(self) -> Iterator[str]:
        """Yield the registry as JSON lines, as it is at one moment: which post has which chatroom, which user which ID.

        Raises:
            RegistryError: It cannot be read; nothing has been yielded then.
        """
        state = get_state()
        return export_lines(state.registry, website_id=state.config.website_id)

    def import_registry(self, lines: Iterable[str]) -> TransferResult:
        """Read in what ``export_registry`` has yielded; what is there already is no error.

        Raises:
            TransferError: A line is wrong, or contradicts the registry; ``problems`` has all of them, and nothing has
                been written.
            RegistryError: The database failed; the same import again does the rest.
        """
        state = get_state()
        with RegistryImport(state.registry, website_id=state.config.website_id) as transfer:
            transfer.read(lines)
            return transfer.write()

    def forget_visitor(self, visitor_id: str) -> Forgotten:
        """Delete all that a visitor has written, with its files, and all that is known about it, also here.

        Readers who are there see it go. Once more, it does no harm: it finds what came since, or was not deleted
        because of a failure on the way.

        Args:
            visitor_id: The public id, as in messages; ``comments.visitor_id_for(user_key)`` tells that of a user.

        Raises:
            ApiError: The hub cannot do it. Nothing is forgotten here then.
        """
        state = get_state()
        forgotten = state.api().forget_visitor(visitor_id)
        rows = state.forget_visitor(visitor_id)
        return replace(forgotten, was_known=forgotten.was_known or rows > 0)

    def upgrade_registry(self) -> SchemaState:
        """Bring the registry's tables up to date, or make them; needs Alembic, the extra ``migrations``.

        Raises:
            SchemaError: The site's own migrations have them, Alembic is not installed, or the database fails.
        """
        return registry_schema.upgrade(get_state().registry.database)[1]
