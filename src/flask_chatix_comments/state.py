"""What belongs to one application, and stands in its ``extensions`` from ``init_app`` on."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, current_app

from . import wire
from .access import AccessGate, AccessLoader
from .background import Background
from .comment_counts import CommentCounts
from .config import ChatixConfig
from .dev_hub import DevHub, hub_api_url
from .errors import ApiError, ApiPausedError, ConfigError, HubStartError, RegistryError
from .hosted_visitors import HostedVisitors
from .keys import Keys
from .missing_hub import MissingHub
from .models import FieldValue, Post, Visitor
from .neighbours import Neighbours
from .operations import merge_operations
from .own_hub import OwnHub
from .plain_rates import PlainRates
from .private_rooms import PrivateRooms
from .registry import RegistryEntry, RoomRegistry, RoomState
from .registry_upkeep import follow_moves
from .room_keeper import RoomKeeper
from .room_lookup import RoomLookup
from .room_maker import RoomMaker
from .room_watch import RoomWatch
from .rooms import RoomService
from .sender_names import SenderNames
from .thread_cache import ThreadCache
from .tokens import BrowserCookies, GuestCookies, PostTokens, VisitorTickets
from .visitors import Identity, Visitors

if TYPE_CHECKING:
    import httpx

    from .api import ChatixApi
    from .hub.config import HubConfig
    from .hub.server import HubThread
    from .templating import SectionRenderer

EXTENSION_KEY = "chatix_comments"
#: What the hub of this process is called in error messages; no name is looked up.
MOUNTED_HUB_URL = "http://mounted-hub/v1"
HUB_START_TIMEOUT_S = 10.0
MAX_ANNOUNCED = 10_000
#: A call of the API that a reader's request waits for has one try, of so long at most.
READER_TIMEOUT_S = 5.0
#: How long a reader's request waits for a chatroom that is being made, and a test's.
READER_WAIT_S = 1.0
TEST_WAIT_S = 10.0
#: How long to wait for another process that makes the same chatroom; its readers ask again.
OTHERS_WAIT_S = 0.3
#: What threads fetch for pages takes so long at most, all tries together.
PAGE_FETCH_S = 5.0

VisitorLoader = Callable[[], Visitor | None]
PostsLoader = Callable[[], Iterable[Post]]
FieldValueT = TypeVar("FieldValueT", str, int, float, bool, FieldValue)
Profile = tuple[str | None, str | None, tuple[tuple[str, FieldValue], ...], bool]

logger = logging.getLogger(__name__)


class Loaders:
    """The functions by which a site tells who is signed in, who may read what, and which posts it has."""

    visitor: VisitorLoader | None = None
    access: AccessLoader | None = None
    posts: PostsLoader | None = None

    def load_visitor(self) -> Visitor | None:
        """Ask the site who is signed in."""
        return self.visitor() if self.visitor is not None else None

    def load_posts(self) -> Iterable[Post]:
        """Ask the site for all its posts.

        Raises:
            ConfigError: It has no ``posts_loader``.
        """
        if self.posts is None:
            message = "is not registered; decorate a function that yields Post objects with @comments.posts_loader."
            raise ConfigError("posts_loader", message)
        return self.posts()


class AppState:
    """What belongs to one application.

    Args:
        loaders: What the site has registered, or will register later.
        neighbours: The site's other extensions, one of which may have the database.
        clock: Seconds since 1970.
        transport: Stands in for the network, in tests.
    """

    renderer: SectionRenderer

    def __init__(
        self,
        config: ChatixConfig,
        loaders: Loaders,
        neighbours: Neighbours,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.loaders = loaders
        self.neighbours = neighbours
        self.keys = Keys.of(config)
        self.operations = merge_operations(config.api_operations, is_hosted=config.is_hosted)
        self.post_tokens = PostTokens(self.keys.post, website_id=config.website_id)
        self.registry = _open_registry(config, neighbours)
        self.room_lookup = RoomLookup(self.registry, max_age_s=config.lookup_age_s)
        self.visitors = self._make_visitors(clock)
        self.own_hub = self._make_own_hub() if config.runs_hub else None
        self.rooms = RoomService(self.registry, self.api, marks_titles=config.is_hosted)
        self.room_keeper = RoomKeeper(self.registry, self.api, is_hosted=config.is_hosted)
        self.access = AccessGate(lambda: loaders.access)
        self.private_rooms = PrivateRooms(
            self.registry, self.rooms, self.api, self.access, reader_api=self.reader_api, is_hosted=config.is_hosted
        )
        self.room_watch = RoomWatch(self.registry, self.api, is_hosted=config.is_hosted, clock=lambda: self.monotonic())
        # A test's client does not come back by itself.
        wait_s = TEST_WAIT_S if config.is_testing else READER_WAIT_S
        self.room_maker = RoomMaker(self._make_room, require=self._require_api, wait_s=wait_s)
        self.background = Background()
        self.sender_names = SenderNames()
        self.threads = self._make_thread_cache()
        self.comment_counts = self._make_comment_counts()
        self.monotonic = time.monotonic
        self.registry.on_change = self.forget_post
        self.plain_rates = PlainRates(config.hub_limits.rates.get("posting", {}))
        self._transport = transport
        self._api: ChatixApi | None = None
        self._api_made_for = ""
        self._api_locks: dict[int, threading.Lock] = {}
        self._announced: dict[str, Profile] = {}

    def _make_visitors(self, clock: Callable[[], float]) -> Visitors:
        website_id = self.config.website_id
        tickets = VisitorTickets(self.keys.ticket, website_id=website_id)
        cookies = GuestCookies(self.keys.guest, website_id=website_id)
        if not self.config.is_hosted:
            find_id = self.registry.visitor_id_for
            return Visitors(tickets=tickets, cookies=cookies, visitor_id_for=find_id, clock=clock)
        if self.config.sdk == "widget":
            # The visitor is the widget's, and none of our business.
            return Visitors(tickets=tickets, cookies=cookies, visitor_id_for=None, clock=clock)
        return HostedVisitors(
            tickets=tickets,
            cookies=cookies,
            browsers=BrowserCookies(self.keys.guest, website_id=website_id),
            registry=self.registry,
            new_id=lambda: self.reader_api().new_visitor_id(),
            clock=clock,
        )

    def _make_thread_cache(self) -> ThreadCache:
        return ThreadCache(
            # Not from memory: however old that may be, what changes is to reach all pages soon.
            find_entry=lambda post_id: follow_moves(self.registry.find, post_id)[1],
            api=self._page_api,
            background=self.background,
            is_up=self._is_api_up,
            wait_s=self.config.render_wait_s,
            page_size=self.config.page_size,
            names=self.sender_names if self.config.is_hosted else None,
        )

    def _make_comment_counts(self) -> CommentCounts:
        def known_count(post_id: str) -> int | None:
            thread = self.threads.peek(post_id)
            return thread.count if thread is not None else None

        # The hosted service has promised no such operation; a site may know of one.
        can_count = not self.config.is_hosted or "counts" in self.config.api_operations
        return CommentCounts(
            self.room_lookup,
            api=self._page_api if can_count else None,
            known_count=known_count,
            background=self.background,
            is_up=self._is_api_up,
            wait_s=self.config.render_wait_s,
        )

    @property
    def monotonic(self) -> Callable[[], float]:
        """Seconds that never go back, for deadlines; tests put their own clock here."""
        return self._monotonic

    @monotonic.setter
    def monotonic(self, clock: Callable[[], float]) -> None:
        # Not asked for each time: a list of posts would pay for it.
        self._monotonic = self.threads.clock = self.comment_counts.clock = clock

    def forget_post(self, post_id: str) -> None:
        """Take what pages show of a post, whose ID is normalised, for outdated."""
        self.room_lookup.forget(post_id)
        self.threads.forget(post_id)
        self.comment_counts.forget(post_id)

    def _page_api(self) -> ChatixApi:
        """Return the client for what pages show; called in threads of our own only."""
        self.wait_for_hub()
        return self.api().sharing(PAGE_FETCH_S)

    def _is_api_up(self) -> bool:
        """Whether it makes sense that a page waits for the API."""
        if self.own_hub is not None and self.own_hub.is_missing:
            return False
        if self._api is not None:
            try:
                self._api.require_open_door("list_messages")
            except ApiPausedError:
                return False
        return True

    def api(self) -> ChatixApi:
        """Return the client of the REST API; it is made on first use, and anew when the hub has moved.

        Raises:
            HubMissingError: There is no hub, and none will come.
        """
        if self.own_hub is not None:
            self.own_hub.require()
        base_url = self.api_url
        with self._api_lock:
            if self._api is None or self._api_made_for != base_url:
                if self._api is not None:
                    self._api.close()
                self._api, self._api_made_for = self._make_api(base_url), base_url
            return self._api

    def reader_api(self) -> ChatixApi:
        """Return the client for calls that a reader's request waits for: one short try, and few at once."""
        return self.api().within(min(self.config.api_timeout_s, READER_TIMEOUT_S))

    def room_for(self, post: Post) -> RegistryEntry:
        """Return the entry of *post*, whose ID is normalised, with its chatroom; have it made if there is none.

        However slow the API is, this takes a moment.

        Raises:
            RoomNotReadyError: It is not there yet.
            ApiError: The API failed, or is left alone since it does.
            RegistryError: The database failed.
        """
        entry = self.room_lookup.find(post.id)
        if entry is not None and entry.state is RoomState.DELETED:
            # Readers are told to come back after a while, so that a restored one must not be missed.
            entry = self.registry.find(str(post.id))
        if entry is None or entry.chatroom_id is None:
            return self.room_maker.obtain(post)
        self.rooms.warn_if_public(post, entry)
        return entry

    @property
    def _api_lock(self) -> threading.Lock:
        """This process's own: a fork may have copied another while a thread held it."""
        return self._api_locks.setdefault(os.getpid(), threading.Lock())

    @property
    def api_url(self) -> str:
        """Where the site itself reaches the REST API."""
        if self.own_hub is not None and self.own_hub.is_mounted:
            return MOUNTED_HUB_URL
        if self.config.api_url:
            return self.config.api_url
        if self.config.is_hosted:
            return wire.VENDOR_API_URL
        if self.config.hub_url:
            return self.config.hub_url
        address = self.own_hub.dev_hub.address if self.own_hub else None
        return hub_api_url(*(address or (self.config.hub_host or "127.0.0.1", self.config.hub_port)))

    @property
    def hub_port(self) -> int:
        """The port of the hub that this site runs beside the development server, or would run."""
        address = self.own_hub.dev_hub.address if self.own_hub else None
        return address[1] if address else self.config.hub_port

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
            transport=self._transport or self._mounted_transport(base_url),
        )

    def _mounted_transport(self, base_url: str) -> httpx.BaseTransport | None:
        mounted = self.own_hub.mounted if self.own_hub else None
        if mounted is None or base_url != MOUNTED_HUB_URL:
            return None
        from .in_process import InProcessTransport

        return InProcessTransport(mounted)

    def hub_config(self) -> HubConfig:
        """Return the settings of a hub that serves this site."""
        from .hub.config import DAY_S, HubConfig, RetentionConfig, UploadConfig
        from .hub.rate_config import RateConfig

        files, limits, retention = self.config.files, self.config.hub_limits, self.config.retention
        uploads = UploadConfig(
            folder=files.folder,
            is_open=files.max_files > 0,
            max_file_bytes=files.max_bytes,
            max_image_pixels=files.max_image_pixels,
            file_types=files.types,
            files_per_hour=files.per_hour,
            bytes_per_hour=files.bytes_per_hour,
        )
        return HubConfig(
            website_id=self.config.website_id,
            database_url=self.config.hub_database_url,
            ticket_keys=self.keys.ticket,
            api_keys=self.keys.hub_api,
            metrics_keys=self.config.hub_metrics_keys,
            allowed_origins=self.config.hub_allowed_origins,
            max_message_chars=self.config.max_message_chars,
            edit_window_s=self.config.edit_window_s,
            max_connections_per_visitor=limits.connections_per_visitor,
            max_connections_per_address=limits.connections_per_address,
            max_chatrooms_per_visitor=limits.chatrooms_per_visitor,
            rates=RateConfig.of(limits.rates),
            presence=self.config.hub_presence,
            trusted_proxies=limits.trusted_proxies,
            public_url=self.config.hub_url,
            uploads=uploads,
            restore_s=self.config.hub_restore_days * DAY_S or None,
            retention=RetentionConfig(
                messages_s=retention.comment_days * DAY_S or None,
                files_s=retention.file_days * DAY_S or None,
                chatrooms_s=retention.room_days * DAY_S or None,
                visitors_s=retention.visitor_days * DAY_S or None,
            ),
        )

    def _make_own_hub(self) -> OwnHub:
        config = self.config
        missing_hub = MissingHub(config.hub_lock_path.with_suffix(".no-hub"))
        dev_hub = DevHub(self._make_hub_thread, host=config.hub_host)
        return OwnHub(dev_hub, missing_hub, is_testing=config.is_testing)

    def _make_hub_thread(self, host: str) -> HubThread:
        from .hub.server import HubThread

        config = self.config
        return HubThread(self.hub_config(), host=host, port=config.hub_port, lock_path=config.hub_lock_path)

    def wait_for_hub(self) -> None:
        """Wait for the hub of this process, if it runs one, to listen.

        Raises:
            HubStartError: It could not start; or another process runs the hub, at an address that is not ours; or
                there is none, and none will come.
        """
        if self.own_hub is None:
            return
        self.own_hub.wait(HUB_START_TIMEOUT_S)
        error = self.own_hub.dev_hub.error
        if error is not None and error.is_locked and not self.api().ping():
            raise HubStartError(
                f"{error} But none answers at {self.api_url}. Set CHATIX_HUB_PORT to the port of that one, or give"
                " this site data of its own (CHATIX_HUB_DATABASE_URL, CHATIX_DATABASE_URL)."
            )

    def close(self) -> None:
        """Stop the hub that this process runs and close idle connections; for tests, and before an app is dropped."""
        self.background.stop()
        if self.own_hub is not None:
            self.own_hub.stop()
        with self._api_lock:
            if self._api is not None:
                self._api.close()
        self.registry.close()

    def _make_room(self, post: Post) -> RegistryEntry:
        self.wait_for_hub()
        return self.rooms.ensure(post, wait_s=OTHERS_WAIT_S)

    def _require_api(self) -> None:
        """Raise if a chatroom cannot be made now: there is no hub, or the API is left alone."""
        self.api().require_open_door("create_chatroom")

    def forget_visitor(self, visitor_id: str) -> int:
        """Forget which of the site's users a visitor is, and what the hub was told; return how many rows there were."""
        self._announced.pop(visitor_id, None)
        return self.registry.forget_visitor(visitor_id)

    def try_to_announce(self, identity: Identity, user: Visitor) -> None:
        """Tell the hub who a site's user is; a failure is logged only, since the ticket names the user as well."""
        try:
            self.announce(identity, user)
        except ApiError as exc:
            logger.warning("The hub could not be told about a signed-in user: %s", exc)

    def announce(self, identity: Identity, user: Visitor, *, is_news: bool = False) -> None:
        """Tell the hub who a site's user is, unless it has been told the same before.

        Args:
            is_news: Whether to tell it in any case.

        Raises:
            ApiError: The hub does not answer, or refuses.
        """
        visitor_id = str(identity.visitor_id)
        email = _encodable(user.email) if user.email else None
        fields = {_encodable(key): _encodable(value) for key, value in wire.flat_fields(user.fields).items()}
        profile = (identity.name, email, tuple(sorted(fields.items())), identity.is_manager)
        if not is_news and self._announced.get(visitor_id) == profile:
            return
        self.reader_api().update_visitor(
            visitor_id,
            name=identity.name,
            email=email,
            fields=fields,
            is_persistent=True,
            is_manager=identity.is_manager,
        )
        if len(self._announced) >= MAX_ANNOUNCED:
            self._announced.clear()
        self._announced[visitor_id] = profile


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


def _encodable(value: FieldValueT) -> FieldValueT:
    """Return *value*, text without lone surrogates, which no wire can carry."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _open_registry(config: ChatixConfig, neighbours: Neighbours) -> RoomRegistry:
    registry = RoomRegistry(neighbours.find_database)
    if config.is_database_set:
        try:
            registry.database  # noqa: B018 - what was set wrongly is told at once
        except RegistryError as exc:
            raise ConfigError("CHATIX_DATABASE_URL", str(exc)) from exc
    return registry
