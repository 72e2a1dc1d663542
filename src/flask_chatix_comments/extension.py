"""``ChatixComments``: wires the parts for an application and is what a site's code talks to.

The extension keeps no application. What belongs to one is an ``AppState`` under
``app.extensions["chatix_comments"]``; only the loaders belong to the extension object.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from flask import Flask

from . import cli, plain_views, templating, views  # noqa: F401 - those of plain_views are of the same blueprint
from .access import AccessLoader
from .backfill import BackfillResult, backfill
from .config import ChatixConfig
from .errors import ConfigError
from .models import Post, PostIdLike, Visitor, normalize_post_id
from .neighbours import Neighbours
from .registry_upkeep import follow_moves
from .room_batches import PATIENCE_S
from .room_info import RoomInfo, all_rooms, listed_rooms, one_room
from .room_methods import RoomMethods
from .rooms import RoomService
from .state import EXTENSION_KEY, AppState, Loaders, PostsLoader, VisitorLoader, get_state
from .upkeep_methods import UpkeepMethods

if TYPE_CHECKING:
    import httpx

    from .api import ChatixApi

__all__ = ["ChatixComments", "get_state"]

VisitorLoaderT = TypeVar("VisitorLoaderT", bound=VisitorLoader)
AccessLoaderT = TypeVar("AccessLoaderT", bound=AccessLoader)
PostsLoaderT = TypeVar("PostsLoaderT", bound=PostsLoader)

logger = logging.getLogger(__name__)


class ChatixComments(RoomMethods, UpkeepMethods):
    """A live comment section for each post of a Flask blog.

    ::

        comments = ChatixComments(app)

        @comments.visitor_loader
        def load_visitor() -> Visitor | None: ...

    Args:
        app: Registered at once; or call ``init_app`` for each application later.
        clock: Seconds since 1970; tests move it by hand.
        transport: An httpx transport that stands in for the network, in tests.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._transport = transport
        self._loaders = Loaders()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the application's settings and add the section's views, template names and commands.

        Raises:
            ConfigError: A setting cannot be used, or the application has been registered before.
        """
        if EXTENSION_KEY in app.extensions:
            message = f"{app.name!r} has a comment section already; call init_app once for each application."
            raise ConfigError("init_app", message)
        config = ChatixConfig.from_mapping(app.config, debug=app.debug, instance_path=app.instance_path)
        if config.is_secret_for_development and not app.testing:
            logger.warning("SECRET_KEY is not set: a public key signs in its place, which only debug mode allows.")
        neighbours = Neighbours(app, config)
        state = AppState(config, self._loaders, neighbours, clock=self._clock, transport=self._transport)
        state.renderer = templating.install(app, state)
        app.register_blueprint(views.blueprint, url_prefix=config.url_prefix)
        app.cli.add_command(cli.chatix)
        app.extensions[EXTENSION_KEY] = state
        neighbours.introduce(views.blueprint)

    def visitor_loader(self, loader: VisitorLoaderT) -> VisitorLoaderT:
        """Register the function that tells who is signed in: a ``Visitor``, or ``None`` for a guest.

        It is called in a request to our own views, never while a page renders.
        """
        self._loaders.visitor = loader
        return loader

    def access_loader(self, loader: AccessLoaderT) -> AccessLoaderT:
        """Register the function that tells whether a visitor may read the private chatroom of a post.

        It is called with what ``visitor_loader`` returned, the key as text, or ``None`` for a guest; and with the
        post's ID as text. It answers ``True`` or ``False``. Managers are not asked about, they may read all.

        It is called at each visit, in a request to our own views, and by ``sweep`` and ``make_private``, outside of
        any request, for everybody who is in the chatroom: then it is given what the chat knows of the user.
        """
        self._loaders.access = loader
        return loader

    def posts_loader(self, loader: PostsLoaderT) -> PostsLoaderT:
        """Register the function that yields every ``Post`` of the site, for ``backfill``."""
        self._loaders.posts = loader
        return loader

    def load_visitor(self) -> Visitor | None:
        """Ask the site who is signed in; ``None`` without a ``visitor_loader``."""
        return self._loaders.load_visitor()

    def announce(self, visitor: Visitor) -> None:
        """Tell the hub at once what has changed about a user: pages that are open follow, as when a manager is demoted.

        On the hosted service, which takes no such word, this does nothing.

        Raises:
            ConfigError: The visitor's key cannot be used.
            ApiError: The hub does not answer.
        """
        state = get_state()
        if not state.config.is_hosted:
            identity = state.visitors.identify(visitor, cookie=None, ticket=None)
            state.announce(identity, visitor, is_news=True)

    def load_posts(self) -> Iterable[Post]:
        """Ask the site for all its posts.

        Raises:
            ConfigError: It has no ``posts_loader``.
        """
        return self._loaders.load_posts()

    @property
    def rooms(self) -> RoomService:
        """The chatrooms of the current application."""
        return get_state().rooms

    @property
    def api(self) -> ChatixApi:
        """The REST client of the current application."""
        return get_state().api()

    def backfill(
        self,
        posts: Iterable[Post] | None = None,
        *,
        concurrency: int = 8,
        dry_run: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> Iterator[BackfillResult]:
        """Make the chatrooms of *posts*, by default of all that ``posts_loader`` yields; say what became of each.

        Args:
            concurrency: How many API calls at once, at least 1.
            dry_run: Only tell what would be done.
            patience_s: For how long to wait for an API that fails or wants to be left alone.

        Raises:
            ConfigError: No posts are given and there is no ``posts_loader``.
            ApiError: It has failed for *patience_s*, and not all posts were tried. To begin again is safe.
        """
        wanted = self.load_posts() if posts is None else posts
        return backfill(get_state().rooms, wanted, concurrency=concurrency, dry_run=dry_run, patience_s=patience_s)

    def prefetch(self, post_ids: Iterable[PostIdLike]) -> None:
        """Look up all posts of a list at once: one query instead of one for each, and none while it is known.

        A registry that cannot be read is told to the log only.

        Raises:
            PostError: There can be no such post.
        """
        get_state().comment_counts.prefetch(post_ids)

    def lookup(self, post_id: PostIdLike) -> RoomInfo | None:
        """Return what the registry said of a post's chatroom at most ``CHATIX_LOOKUP_AGE`` seconds ago.

        That is a look at a dictionary where the post was looked up, or prefetched, in this time.

        Returns:
            ``None`` when there is no chatroom.

        Raises:
            PostError: There can be no such post.
            RegistryError: It is not in memory, and the registry cannot be read.
        """
        find = get_state().room_lookup.find
        entry = find(post_id)
        if entry is not None and entry.moved_to is not None:
            _, entry = follow_moves(find, entry.moved_to)
        return None if entry is None or entry.chatroom_id is None else RoomInfo.from_entry(entry)

    def list_rooms(self, *, with_visitors: bool = True) -> Iterator[RoomInfo]:
        """Yield all posts of the registry, by post id.

        Args:
            with_visitors: Whether to ask the API for numbers of visitors, first of all.

        Raises:
            RegistryError: The registry cannot be read.
            ApiError: The API does not answer.
        """
        state = get_state()
        return all_rooms(state.registry, listed_rooms(state.api()) if with_visitors else None)

    def show(self, post_id: PostIdLike, *, with_visitors: bool = True) -> RoomInfo:
        """Return what is known of a post's chatroom.

        Args:
            with_visitors: Whether to ask the API for the number of visitors.

        Raises:
            PostError: There can be no such post.
            PostNotRegisteredError: The post has no chatroom.
            ApiError: The API does not answer.
        """
        state = get_state()
        return one_room(state.registry, state.api() if with_visitors else None, normalize_post_id(post_id))
