"""``ChatixComments``: wires the parts for an application and is what a site's code talks to.

The extension keeps no application. What belongs to one is an ``AppState`` under
``app.extensions["chatix_comments"]``; loaders belong to the extension object.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, current_app

from . import wire
from .backfill import BackfillResult, backfill
from .config import ChatixConfig
from .database import create_registry_engine
from .dev_hub import DevHub, hub_api_url
from .errors import ApiError, ConfigError, RegistryError
from .models import FieldValue, Post, PostIdLike, Visitor, normalize_post_id
from .operations import merge_operations
from .registry import RegistryEntry, RoomRegistry, RoomState
from .room_maker import RoomMaker
from .rooms import RoomService
from .tokens import GuestCookies, PostTokens, VisitorTickets, derive_key, derive_text_key
from .visitors import Identity, Visitors

if TYPE_CHECKING:
    import httpx

    from .api import ChatixApi
    from .hub.config import HubConfig
    from .hub.server import HubThread
    from .templating import SectionRenderer

EXTENSION_KEY = "chatix_comments"
HUB_START_TIMEOUT_S = 10.0
MAX_ANNOUNCED = 10_000
ROOMS_PER_CALL = 100

VisitorLoader = Callable[[], Visitor | None]
PostsLoader = Callable[[], Iterable[Post]]
VisitorLoaderT = TypeVar("VisitorLoaderT", bound=VisitorLoader)
PostsLoaderT = TypeVar("PostsLoaderT", bound=PostsLoader)
Profile = tuple[str | None, str | None, tuple[tuple[str, FieldValue], ...], bool]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """What the registry knows of a post's chatroom, and the API of its visitors.

    Attributes:
        chatroom_id: ``None`` while the chatroom is being made.
        number_of_visitors: ``None`` when the API did not say.
    """

    post_id: str
    chatroom_id: str | None
    title: str
    is_private: bool
    state: RoomState
    created_at: datetime
    number_of_visitors: int | None = None

    @classmethod
    def from_entry(cls, entry: RegistryEntry, number_of_visitors: int | None = None) -> RoomInfo:
        """Join a row of the registry with what the API said."""
        return cls(
            post_id=entry.post_id,
            chatroom_id=entry.chatroom_id,
            title=entry.title,
            is_private=entry.is_private,
            state=entry.state,
            created_at=entry.created_at,
            number_of_visitors=number_of_visitors,
        )


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of each purpose, newest first: as set, or derived from the app's secrets."""

    post: tuple[bytes, ...]
    ticket: tuple[bytes, ...]
    guest: tuple[bytes, ...]
    hub_api: tuple[str, ...]

    @classmethod
    def of(cls, config: ChatixConfig) -> Keys:
        """Derive what is not set."""

        def keys(given: tuple[str, ...], label: str) -> tuple[bytes, ...]:
            return tuple(key.encode() for key in given) or tuple(derive_key(key, label) for key in config.secrets)

        return cls(
            post=keys(config.post_keys, "post token"),
            ticket=keys(config.ticket_keys, "visitor ticket"),
            guest=keys((), "guest cookie"),
            hub_api=config.hub_api_keys or tuple(derive_text_key(key, "hub api") for key in config.secrets),
        )


class AppState:
    """What belongs to one application.

    Args:
        extension: Where the site's loaders are.
        clock: Seconds since 1970.
        transport: Stands in for the network, in tests.
    """

    renderer: SectionRenderer

    def __init__(
        self,
        config: ChatixConfig,
        extension: ChatixComments,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.config = config
        self.extension = extension
        self.keys = Keys.of(config)
        self.operations = merge_operations(config.api_operations)
        self.post_tokens = PostTokens(self.keys.post, website_id=config.website_id)
        self.registry = _open_registry(config)
        self.visitors = Visitors(
            tickets=VisitorTickets(self.keys.ticket, website_id=config.website_id),
            cookies=GuestCookies(self.keys.guest, website_id=config.website_id),
            visitor_id_for=None if config.is_hosted else self.registry.visitor_id_for,
            clock=clock,
        )
        self.dev_hub = DevHub(self._make_hub_thread, host=config.hub_host) if config.runs_hub else None
        self.rooms = RoomService(self.registry, self.api)
        self.room_maker = RoomMaker(self._make_room)
        self._transport = transport
        self._api: ChatixApi | None = None
        self._api_made_for = ""
        self._api_lock = threading.Lock()
        self._announced: dict[str, Profile] = {}

    def api(self) -> ChatixApi:
        """Return the client of the REST API; it is made on first use, and anew when the hub has moved."""
        base_url = self.api_url
        with self._api_lock:
            if self._api is None or self._api_made_for != base_url:
                self._api, self._api_made_for = self._make_api(base_url), base_url
            return self._api

    @property
    def api_url(self) -> str:
        """Where the site itself reaches the REST API."""
        if self.config.api_url:
            return self.config.api_url
        if self.config.is_hosted:
            return wire.VENDOR_API_URL
        address = self.dev_hub.address if self.dev_hub else None
        return hub_api_url(*(address or (self.config.hub_host or "127.0.0.1", self.config.hub_port)))

    def _make_api(self, base_url: str) -> ChatixApi:
        # Here, not above: a site that only renders pages never loads the HTTP client.
        from .api import ChatixApi

        return ChatixApi(
            base_url,
            website_id=self.config.website_id,
            api_key=self.config.api_key or self.keys.hub_api[0],
            auth_header=self.config.api_auth_header,
            timeout_s=self.config.api_timeout_s,
            operations=self.operations,
            transport=self._transport,
        )

    def hub_config(self) -> HubConfig:
        """Return the settings of a hub that serves this site."""
        from .hub.config import HubConfig

        return HubConfig(
            website_id=self.config.website_id,
            database_url=self.config.hub_database_url,
            ticket_keys=self.keys.ticket,
            api_keys=self.keys.hub_api,
            allowed_origins=self.config.hub_allowed_origins,
            max_message_chars=self.config.max_message_chars,
        )

    def _make_hub_thread(self, host: str) -> HubThread:
        from .hub.server import HubThread

        config = self.config
        return HubThread(self.hub_config(), host=host, port=config.hub_port, lock_path=config.hub_lock_path)

    def wait_for_hub(self) -> None:
        """Wait for the hub of this process, if it runs one, to listen.

        Raises:
            HubStartError: It could not start.
        """
        if self.dev_hub is not None:
            self.dev_hub.wait(HUB_START_TIMEOUT_S)

    def _make_room(self, post: Post) -> None:
        self.wait_for_hub()
        self.rooms.ensure(post)

    def announce(self, identity: Identity, user: Visitor) -> None:
        """Tell the hub who a site's user is, unless it has been told the same before.

        A failure is logged only: the ticket names the user as well.
        """
        visitor_id = str(identity.visitor_id)
        fields = wire.flat_fields(user.fields)
        profile = (identity.name, user.email, tuple(sorted(fields.items())), identity.is_manager)
        if self._announced.get(visitor_id) == profile:
            return
        try:
            self.api().update_visitor(
                visitor_id,
                name=identity.name,
                email=user.email,
                fields=fields,
                is_persistent=True,
                is_manager=identity.is_manager,
            )
        except ApiError as exc:
            logger.warning("The hub could not be told about a signed-in user: %s", exc)
            return
        if len(self._announced) >= MAX_ANNOUNCED:
            self._announced.clear()
        self._announced[visitor_id] = profile

    def visitor_counts(self) -> dict[str, int]:
        """Return the number of visitors of every chatroom that the API lists, by chatroom id."""
        counts: dict[str, int] = {}
        page = 1
        while True:
            listed = self.api().list_chatrooms(page=page, items_per_page=ROOMS_PER_CALL, include_deleted=True)
            rooms = listed.chatrooms
            known = len(counts)
            counts.update((room.chatroom_id, room.number_of_visitors) for room in rooms)
            # A service that ignores the page number would list the same rooms for ever.
            if len(rooms) < ROOMS_PER_CALL or len(counts) == known:
                return counts
            page += 1


class ChatixComments:
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
        self._visitor_loader: VisitorLoader | None = None
        self._posts_loader: PostsLoader | None = None
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
        # These modules need AppState, so they can only be imported once this one is complete.
        from . import cli, templating, views

        config = ChatixConfig.from_mapping(app.config, debug=app.debug, instance_path=app.instance_path)
        if config.is_secret_for_development and not app.testing:
            logger.warning("SECRET_KEY is not set: a public key signs in its place, which only debug mode allows.")
        state = AppState(config, self, clock=self._clock, transport=self._transport)
        state.renderer = templating.install(app, state)
        app.register_blueprint(views.blueprint, url_prefix=config.url_prefix)
        app.cli.add_command(cli.chatix)
        app.extensions[EXTENSION_KEY] = state

    def visitor_loader(self, loader: VisitorLoaderT) -> VisitorLoaderT:
        """Register the function that tells who is signed in: a ``Visitor``, or ``None`` for a guest.

        It is called in a request to our own views, never while a page renders.
        """
        self._visitor_loader = loader
        return loader

    def posts_loader(self, loader: PostsLoaderT) -> PostsLoaderT:
        """Register the function that yields every ``Post`` of the site, for ``backfill``."""
        self._posts_loader = loader
        return loader

    def load_visitor(self) -> Visitor | None:
        """Ask the site who is signed in."""
        return self._visitor_loader() if self._visitor_loader else None

    def load_posts(self) -> Iterable[Post]:
        """Ask the site for all its posts.

        Raises:
            ConfigError: It has no ``posts_loader``.
        """
        if self._posts_loader is None:
            message = "is not registered; decorate a function that yields Post objects with @comments.posts_loader."
            raise ConfigError("posts_loader", message)
        return self._posts_loader()

    @property
    def rooms(self) -> RoomService:
        """The chatrooms of the current application."""
        return get_state().rooms

    @property
    def api(self) -> ChatixApi:
        """The REST client of the current application."""
        return get_state().api()

    def backfill(
        self, posts: Iterable[Post] | None = None, *, concurrency: int = 8, dry_run: bool = False
    ) -> Iterator[BackfillResult]:
        """Make the chatrooms of *posts*, by default of all that ``posts_loader`` yields; say what became of each.

        Raises:
            ConfigError: No posts are given and there is no ``posts_loader``.
        """
        wanted = self.load_posts() if posts is None else posts
        return backfill(get_state().rooms, wanted, concurrency=concurrency, dry_run=dry_run)

    def list_rooms(self, *, with_visitors: bool = True) -> Iterator[RoomInfo]:
        """Yield all posts of the registry, by post id.

        Args:
            with_visitors: Whether to ask the API for numbers of visitors, first of all.

        Raises:
            RegistryError: The registry cannot be read.
            ApiError: The API does not answer.
        """
        state = get_state()
        counts = state.visitor_counts() if with_visitors else {}
        return (RoomInfo.from_entry(entry, counts.get(entry.chatroom_id or "")) for entry in _all_entries(state))

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
        entry = state.registry.get(normalize_post_id(post_id))
        if not with_visitors or entry.chatroom_id is None:
            return RoomInfo.from_entry(entry)
        return RoomInfo.from_entry(entry, state.api().get_chatroom(entry.chatroom_id).number_of_visitors)


def _open_registry(config: ChatixConfig) -> RoomRegistry:
    try:
        return RoomRegistry(create_registry_engine(config.database_url))
    except RegistryError as exc:
        raise ConfigError("CHATIX_DATABASE_URL", str(exc)) from exc


def _all_entries(state: AppState) -> Iterator[RegistryEntry]:
    after: str | None = None
    while entries := state.registry.entries(after=after):
        yield from entries
        after = entries[-1].post_id


def get_state(app: Flask | None = None) -> AppState:
    """Return the state of *app*, by default of the current application.

    Raises:
        ConfigError: It was never registered.
    """
    app = app or current_app
    try:
        state = app.extensions[EXTENSION_KEY]
    except KeyError:
        message = f"{app.name!r} has no comment section; call ChatixComments.init_app(app) first."
        raise ConfigError("init_app", message) from None
    assert isinstance(state, AppState)
    return state
