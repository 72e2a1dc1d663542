"""What the section in the browser asks the site: to join, to take part under a name, to leave.

All answers but the files are JSON that no cache keeps, refusals and wrong addresses too, whatever error
pages the site has. Requests of other sites are refused by what the browser says of them, so that a CSRF
token, which would make pages differ, is not needed.
"""

from __future__ import annotations

import functools
import gzip
import io
import logging
import math
import random
import re
from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request, send_file
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions
from werkzeug.routing import RoutingException
from werkzeug.security import safe_join

from .entering import admit, find_room, notice_changes
from .errors import (
    ApiError,
    ApiPausedError,
    ApiStatusError,
    HubMissingError,
    HubStartError,
    RegistryError,
    RoomNotReadyError,
    StoreFullError,
    TokenError,
)
from .leaving import withdraw
from .models import Visitor
from .reader_urls import hub_url_for_reader, told_hub_url
from .registry import RegistryEntry, RoomState
from .signals import guest_took_part
from .state import AppState, get_state
from .tokens import PostClaim
from .view_input import (
    MAX_BODY_BYTES,
    Body,
    RefusalError,
    is_same_origin,
    max_form_bytes,
    read_body,
    read_leaves,
    read_text,
)
from .visitors import (
    COOKIE_LIFETIME_S,
    MAX_NAME_CHARS,
    PRIVATE_TICKET_LIFETIME_S,
    TICKET_LIFETIME_S,
    Identity,
    NameRefusedError,
)

UNAVAILABLE = "The comments are on their way: they cannot be reached at the moment, and will come by themselves."
RETRY_AFTER_S = 5
# Readers who were refused together do not come back together.
RETRY_SPREAD = 1.5
GONE_RETRY_AFTER_S = 60
MAX_RETRY_AFTER_S = 60
YEAR_S = 365 * 24 * 3600
PLAIN_POST_ENDPOINT = "chatix_comments.plain_post"
_HASHED_NAME = re.compile(r"-[A-Za-z0-9_]{8,}\.(js|css)")
_NAME_REFUSED = "This name cannot be used here. Please choose another."
_NAME_TAKEN = "This name belongs to somebody who is known on this site. Please choose another."
_NAME_REFUSALS = {400: _NAME_REFUSED, 409: _NAME_TAKEN, 422: _NAME_REFUSED}

logger = logging.getLogger(__name__)


class _Blueprint(Blueprint):
    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """A file whose name holds a hash of its content never changes; the others are asked for each time."""
        return YEAR_S if _HASHED_NAME.search(filename or "") else None

    def send_static_file(self, filename: str) -> Response:
        """Send a hashed file packed by gzip to browsers that take it: few sites have a server in front that does it."""
        if not _HASHED_NAME.search(filename):
            return super().send_static_file(filename)
        path = safe_join(str(self.static_folder), filename)
        is_packed = path is not None and Path(path).is_file() and request.accept_encodings.quality("gzip") > 0
        answer = _send_packed(str(path)) if is_packed else super().send_static_file(filename)
        answer.vary.add("Accept-Encoding")
        return answer


def _send_packed(path: str) -> Response:
    name = Path(path).name
    answer = send_file(io.BytesIO(_packed(path)), download_name=name, etag=f"{name}.gz", max_age=YEAR_S)
    answer.content_encoding = "gzip"
    return answer


@functools.lru_cache(64)
def _packed(path: str) -> bytes:
    """What has a hashed name never changes."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)


blueprint = _Blueprint(
    "chatix_comments",
    __name__,
    template_folder="templates",
    static_folder="static/chatix_comments",
    static_url_path="/static",
)


@blueprint.before_app_request
def _start_hub() -> None:
    """Start the built-in hub with the first request that the development server gets, whatever it asks for.

    Other servers start none, and the first request tells.
    """
    own_hub = get_state().own_hub
    if own_hub is not None:
        own_hub.on_request(request.environ)


@blueprint.before_app_request
def _answer_wrong_address() -> Response | None:
    """Answer what is below our prefix and none of our views, before the site's error pages do."""
    error = request.routing_exception
    if error is None or isinstance(error, RoutingException):
        return None
    prefix = get_state().config.url_prefix
    is_ours = request.path == prefix or request.path.startswith(f"{prefix}/")
    return _answer_http_error(error) if is_ours else None


@blueprint.before_request
def _check_sender() -> None:
    """Refuse what pages of other sites send, and bodies that are too large."""
    if request.endpoint == PLAIN_POST_ENDPOINT:
        # It asks the reader, rather than refuse.
        request.max_content_length = request.max_form_memory_size = max_form_bytes(get_state().config.max_message_chars)
        return
    request.max_content_length = MAX_BODY_BYTES
    if request.method == "POST" and not is_same_origin():
        raise RefusalError(403, "other_origin", "This can only be asked by a page of this site.")


@blueprint.after_request
def _set_caching(response: Response) -> Response:
    if request.endpoint != "chatix_comments.static":
        response.cache_control.no_store = True
    elif response.cache_control.max_age == YEAR_S:
        response.cache_control.immutable = True
    return response


@blueprint.errorhandler(RefusalError)
def _answer_refusal(refusal: RefusalError) -> Response:
    return _answer(refusal.body, refusal.status)


def _answer_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    # What failed is for the log; the reader is told what that means here.
    message = UNAVAILABLE if status >= 500 else error.description
    response = _answer({"error": error.name.lower().replace(" ", "_"), "message": message}, status)
    if isinstance(error, MethodNotAllowed):
        response.allow.update(error.valid_methods or ())
    return response


# One by one: a handler of the site for a status goes before one of ours for all of them.
for _status in default_exceptions:
    blueprint.register_error_handler(_status, _answer_http_error)


@blueprint.errorhandler(ApiError)
@blueprint.errorhandler(RegistryError)
@blueprint.errorhandler(HubStartError)
def _answer_unavailable(error: Exception) -> Response:
    """Tell the reader that it will be tried again, and the log why it is needed."""
    # That the API is left alone has been said once, when that began.
    logger.log(
        logging.DEBUG if isinstance(error, ApiPausedError) else logging.ERROR, "The comments are unavailable: %s", error
    )
    asked_s = error.retry_after_s if isinstance(error, (ApiStatusError, ApiPausedError)) else None
    retry_after_s = _spread(RETRY_AFTER_S if asked_s is None else max(asked_s, 1))
    return _answer({"error": "unavailable", "message": UNAVAILABLE, "retry_after_s": retry_after_s}, 503)


@blueprint.errorhandler(RoomNotReadyError)
def _answer_preparing(error: RoomNotReadyError) -> Response:
    """Tell the page to ask again in a moment, rather than hold a worker for it."""
    return _answer({"state": "preparing", "retry_after_s": round(error.retry_after_s, 1)}, 202)


def _spread(after_s: float) -> float:
    spread_s = random.uniform(after_s, RETRY_SPREAD * after_s)  # nosec B311  # spreads retries
    return round(min(MAX_RETRY_AFTER_S, spread_s), 1)


@blueprint.errorhandler(HubMissingError)
def _answer_no_hub(error: HubMissingError) -> Response:
    """Tell the reader that it is not for now; the log has been told why."""
    return _answer({"error": "no_hub", "message": "Comments are not available on this site yet."}, 503)


@blueprint.post("/join")
def join() -> Response:
    """Find or make the post's chatroom and tell the page how to get in, and as whom."""
    state = get_state()
    body = read_body()
    claim = _read_claim(state, body)
    state.wait_for_hub()
    user = state.loaders.load_visitor()
    entrance = find_room(state, claim, user)
    entry = entrance.entry
    if entry is None or not entrance.is_admitted:
        return _turn_away(state, entry, _known_ids(state, user, body))
    entry = notice_changes(state, entry, was_refused=body.get("was_refused") is True)
    if entry.state is RoomState.DELETED:
        # The chat would not let anybody in; the page asks now and then whether it has been restored.
        return _answer_gone()
    identity = state.visitors.identify(
        user,
        cookie=guest_cookie(state),
        ticket=read_text(body, "ticket"),
        browser=browser_cookie(state),
        is_refused=body.get("is_refused") is True,
        needs_id=entry.is_private,
    )
    if user is not None and identity.visitor_id is not None:
        state.try_to_announce(identity, user)
    if entry.is_private and not admit(state, entry, identity):
        return _answer_gone()
    lifetime_s = PRIVATE_TICKET_LIFETIME_S if entry.is_private else TICKET_LIFETIME_S
    return _answer_identity(state, identity, _room_answer(state, entry), lifetime_s=lifetime_s)


def _answer_gone() -> Response:
    """Say what there is to say of a chatroom that is deleted, or not for this reader: both read the same."""
    return _answer({"state": "gone", "retry_after_s": GONE_RETRY_AFTER_S})


def _turn_away(state: AppState, entry: RegistryEntry | None, visitor_ids: set[str]) -> Response:
    """Answer who may not read a private chatroom; then take out who has been let in before.

    In this order, since how long it takes would tell that there is something to be taken out of.
    """
    response = _answer_gone()
    if entry is not None and entry.chatroom_id is not None and visitor_ids:
        response.call_on_close(functools.partial(state.private_rooms.turn_away, entry.chatroom_id, visitor_ids))
    return response


def _known_ids(state: AppState, user: Visitor | None, body: Body) -> set[str]:
    """Return the visitors that this reader is, or was on this page before signing out; none for a stranger."""
    tickets = (read_text(body, "ticket"), None)
    cookie, browser = guest_cookie(state), browser_cookie(state)
    ids = {state.visitors.identify_leaver(user, cookie=cookie, ticket=ticket, browser=browser) for ticket in tickets}
    return {visitor_id for visitor_id in ids if visitor_id is not None}


@blueprint.post("/take-part")
def take_part() -> Response:
    """Give a guest a name, and an id that comes back; a signed-in user has both."""
    state = get_state()
    body = read_body()
    _read_claim(state, body)
    cookie, ticket = guest_cookie(state), read_text(body, "ticket")
    user = state.loaders.load_visitor()
    if user is not None:
        browser = browser_cookie(state)
        identity = state.visitors.identify(user, cookie=cookie, ticket=ticket, browser=browser)
        return _answer_identity(state, identity)
    try:
        identity = state.visitors.take_part(read_text(body, "name") or "", cookie=cookie, ticket=ticket)
    except NameRefusedError as exc:
        raise RefusalError(422, "bad_name", str(exc)) from exc
    _announce_guest(state, identity)
    guest_took_part.send(current_app._get_current_object(), visitor_id=identity.visitor_id, name=identity.name)  # type: ignore[attr-defined]  # a proxy's
    return _answer_identity(state, identity)


@blueprint.post("/leave")
def leave() -> Response:
    """Take the visitor out of rooms that no tab shows any more.

    Nobody reads a beacon's answer; the sweep of a later page does, and tries again unless it is 204.
    """
    state = get_state()
    body = read_body()
    # The hosted service knows of no connections: there the page says whether no other tab shows the room.
    leaves = read_leaves(body, names_connections=not state.config.is_hosted)
    visitor_id = state.visitors.identify_leaver(
        state.loaders.load_visitor(),
        cookie=guest_cookie(state),
        ticket=read_text(body, "ticket"),
        browser=browser_cookie(state),
    )
    if visitor_id is not None:
        withdraw(state, visitor_id, leaves)
    return Response(status=204)


def _announce_guest(state: AppState, identity: Identity) -> None:
    """Tell the hub, whose open connections of this guest go on under the name."""
    if identity.visitor_id is None:
        return
    try:
        state.reader_api().update_visitor(identity.visitor_id, name=identity.name, is_persistent=True)
    except ApiStatusError as exc:
        if exc.status_code in _NAME_REFUSALS:
            raise RefusalError(422, "bad_name", _NAME_REFUSALS[exc.status_code]) from exc
        if exc.status_code == HTTPStatus.INSUFFICIENT_STORAGE:
            raise RefusalError(exc.status_code, "no_room", StoreFullError.FOR_PEOPLE) from exc
        raise


def _room_answer(state: AppState, entry: RegistryEntry) -> Body:
    config = state.config
    return {
        "state": "open" if entry.state is RoomState.OPEN else "closed",
        "mode": "hosted" if config.is_hosted else "hub",
        "sdk": config.sdk,
        "website_id": config.website_id,
        "api_url": state.api_url if config.is_hosted else hub_url_for_reader(state),
        "chatroom_id": entry.chatroom_id,
        "is_private": entry.is_private,
        "limits": {
            "message_chars": config.max_message_chars,
            "name_chars": MAX_NAME_CHARS,
            "page_size": config.page_size,
            # The hosted service lets nobody change what it has.
            "edit_window_s": 0 if config.is_hosted else config.edit_window_s,
            "files": config.files.max_files,
            "file_bytes": config.files.max_bytes,
            "file_types": config.files.types,
            "image_pixels": config.files.max_image_pixels,
        },
    }


def _answer_identity(
    state: AppState, identity: Identity, more: Body | None = None, *, lifetime_s: int = TICKET_LIFETIME_S
) -> Response:
    """Tell the page who its reader is, and let the browser keep what brings them back."""
    response = _answer((more or {}) | _visitor_answer(state, identity, lifetime_s))
    if identity.is_new:
        set_cookie(state, response, identity)
    return response


def _visitor_answer(state: AppState, identity: Identity, lifetime_s: int) -> Body:
    ticket = state.visitors.issue_ticket(identity, hub_url=told_hub_url(state), lifetime_s=lifetime_s)
    return {
        "ticket": ticket,
        "ticket_expires_in_s": None if identity.visitor_id is None else lifetime_s,
        "visitor": {
            "id": identity.visitor_id,
            "name": identity.name,
            "is_manager": identity.is_manager,
            "is_signed_in": identity.is_signed_in,
            "is_persistent": identity.is_persistent,
        },
    }


def guest_cookie(state: AppState) -> str | None:
    return request.cookies.get(state.config.guest_cookie)


def browser_cookie(state: AppState) -> str | None:
    return request.cookies.get(_browser_cookie_name(state))


def _browser_cookie_name(state: AppState) -> str:
    return f"{state.config.guest_cookie}_browser"


def set_cookie(state: AppState, response: Response, identity: Identity) -> None:
    """Only our own views get the cookie back, so that no page of the site varies by it."""
    value = state.visitors.issue_cookie(identity)
    if value is not None:
        response.set_cookie(
            _browser_cookie_name(state) if identity.is_signed_in else state.config.guest_cookie,
            value,
            max_age=COOKIE_LIFETIME_S,
            path=state.renderer.endpoint(),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )


def _read_claim(state: AppState, body: Body) -> PostClaim:
    try:
        return state.post_tokens.check(read_text(body, "post") or "")
    except TokenError as exc:
        raise RefusalError(400, "bad_token", "This page is out of date. Please reload it.") from exc


def _answer(body: Body, status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    response.cache_control.no_store = True
    if "retry_after_s" in body:
        response.retry_after = math.ceil(body["retry_after_s"])
    return response
