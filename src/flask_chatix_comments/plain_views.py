"""What there is without JavaScript: a form to post with, and a page of the comments that is never out of date.

Both are pages of ours, kept by no cache and framed by nobody. A comment is taken only from a page of this site. Of
whatever else comes in a reader's name, the reader is asked; who confirms does so from a page of this site.
"""

from __future__ import annotations

import hmac
import logging
import math
import secrets
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Response, current_app, make_response, redirect, render_template, request

from .errors import (
    ApiError,
    ApiPausedError,
    ApiStatusError,
    HubMissingError,
    HubStartError,
    RegistryError,
    RoomNotReadyError,
    TokenError,
)
from .models import Message, Visitor
from .plain_posting import Draft, NotPostedError, post
from .plain_words import WORDS
from .reader_urls import locator
from .registry import RegistryEntry, RoomState
from .registry_upkeep import follow_moves
from .shown_comments import BLANK_FORM, show_thread
from .signals import comment_posted
from .state import AppState, get_state
from .thread_cache import Thread
from .tokens import PostClaim
from .view_input import is_said_to_be_same_origin
from .views import PLAIN_POST_ENDPOINT, RETRY_AFTER_S, blueprint, browser_cookie, guest_cookie, set_cookie
from .visitors import shorten_user_name

CONFIRM_LIFETIME_S = 600
MAX_BACK_CHARS = 2_000
_UNREACHABLE = (ApiError, RegistryError, HubStartError, RoomNotReadyError)
_HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
}

_NO_THREAD = Thread("", (), has_older=False)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Form:
    """What a reader has typed, and where it came from.

    Attributes:
        back: The path of the page with the post; empty where it is not known.
    """

    post_token: str
    name: str = ""
    text: str = ""
    back: str = ""
    confirmation: str = ""


@blueprint.post("/post", endpoint=PLAIN_POST_ENDPOINT.rpartition(".")[2])
def plain_post() -> Response:
    """Post a comment that a form sends; show the thread with it, or the form with what is wrong."""
    state = get_state()
    form = _read_form()
    claim = _read_claim(state, form.post_token)
    if claim is None:
        return _answer_out_of_date()
    if not _is_meant(state, form, claim):
        return _ask(state, form, claim)
    user = state.loaders.load_visitor()
    draft = Draft(form.text, form.name, guest_cookie(state), browser_cookie(state), _sender())
    try:
        posted = post(state, claim, user, draft, now=state.clock())
    except NotPostedError as exc:
        return _answer_again(state, form, claim, user, exc)
    except HubMissingError:
        return _answer_again(state, form, claim, user, NotPostedError(503, WORDS["no_hub"]))
    except _UNREACHABLE as exc:
        after_s = _note(exc)
        return _answer_again(state, form, claim, user, NotPostedError(503, WORDS["unreachable"], retry_after_s=after_s))
    comment_posted.send(current_app._get_current_object(), post_id=claim.post_id, message=posted.message)  # type: ignore[attr-defined]  # a proxy's
    anchor = f"comment-{posted.message.message_id}"
    response = make_response(redirect(_thread_url(state, form, anchor), 303))
    if posted.is_own and posted.identity.is_new:
        set_cookie(state, response, posted.identity)
    return response


@blueprint.get("/thread")
def plain_thread() -> Response:
    """Show a post's comments as they are now, page by page, to who may read them."""
    state = get_state()
    form = Form(_text(request.args.get("post")), back=_back(request.args.get("back")))
    claim = _read_claim(state, form.post_token)
    if claim is None:
        return _answer_out_of_date()
    user = state.loaders.load_visitor()
    try:
        entry = _find_entry(state, claim, user)
        thread = _NO_THREAD if entry is None else _fetch(state, entry, request.args.get("before"))
    except _GoneError:
        return _page(state, form, claim, user, notice=WORDS["gone"], is_open=False, status=404)
    except HubMissingError:
        return _page(state, form, claim, user, notice=WORDS["no_hub"], is_open=False, status=503)
    except ApiStatusError as exc:
        if exc.status_code == 404:
            return _page(state, form, claim, user, notice=WORDS["gone"], is_open=False, status=404)
        return _answer_unavailable(state, form, claim, user, exc)
    except _UNREACHABLE as exc:
        return _answer_unavailable(state, form, claim, user, exc)
    return _page(state, form, claim, user, thread=thread, is_open=not thread.is_closed)


# What came


def _read_form() -> Form:
    values = request.form
    return Form(
        post_token=_text(values.get("post")),
        name=_text(values.get("name")).strip(),
        text=_text(values.get("text")),
        back=_back(values.get("back") or request.referrer),
        confirmation=_text(values.get("confirmation")),
    )


def _text(value: str | None) -> str:
    return (value or "").encode(errors="replace").decode()


def _back(address: str | None) -> str:
    """Return the path of a page of this site, and of no other, to lead back to."""
    try:
        url = urlsplit(address or "")
    except ValueError:
        return ""
    path = url.path + (f"?{url.query}" if url.query else "")
    is_here = not url.netloc or url.netloc.lower() == request.host.lower()
    is_path = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    is_ours = url.path.startswith(f"{get_state().renderer.endpoint()}/")
    return path if is_here and is_path and not is_ours and len(path) <= MAX_BACK_CHARS else ""


def _read_claim(state: AppState, token: str) -> PostClaim | None:
    try:
        return state.post_tokens.check(token)
    except TokenError:
        return None


def _sender() -> str:
    """Return what tells browsers apart of which nothing is known: address and software."""
    return f"{request.remote_addr or ''}\0{request.user_agent.string}"


# Whether the reader means it


def _is_meant(state: AppState, form: Form, claim: PostClaim) -> bool:
    """Whether the form was sent from a page of this site; old browsers do not say so, and show what we gave them."""
    said = is_said_to_be_same_origin()
    if said is not None:
        return said
    nonce = request.cookies.get(_confirm_cookie(state))
    return bool(nonce) and hmac.compare_digest(form.confirmation, _confirmation(state, form, claim, str(nonce)))


def _ask(state: AppState, form: Form, claim: PostClaim) -> Response:
    """Ask the reader, and keep the text. Nobody is looked up: what is asked does not depend on who it is."""
    nonce = secrets.token_urlsafe(16)
    form = replace(form, back=form.back if is_said_to_be_same_origin() else "")
    confirmation = _confirmation(state, form, claim, nonce)
    values = {"title": claim.title, "confirmation": confirmation, "notice": WORDS["confirm"]}
    response = _render(state, form, 200, **values, is_open=True)
    response.set_cookie(
        _confirm_cookie(state),
        nonce,
        max_age=CONFIRM_LIFETIME_S,
        path=state.renderer.endpoint(),
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


def _confirm_cookie(state: AppState) -> str:
    return f"{state.config.guest_cookie}_confirm"


def _confirmation(state: AppState, form: Form, claim: PostClaim, nonce: str) -> str:
    """Return what only a page has that we gave to this browser for this comment."""
    said = "\0".join(["confirmed", nonce, claim.post_id, form.text.replace("\r\n", "\n")])
    return hmac.digest(state.keys.plain[0], said.encode(), "sha256").hex()


# What there is to read


class _GoneError(Exception):
    """The comments are deleted, or not for this reader: both read the same."""


def _find_entry(state: AppState, claim: PostClaim, user: Visitor | None) -> RegistryEntry | None:
    """Return the post's chatroom, if there is one yet.

    Raises:
        _GoneError: It is not there for this reader.
    """
    post_id, entry = follow_moves(state.rooms.find, claim.post_id)
    has_room = entry is not None and entry.chatroom_id is not None
    is_private = (entry is not None and entry.is_private) or (not has_room and claim.is_private)
    if is_private and not state.access.may_read(user, post_id):
        raise _GoneError
    if entry is not None and entry.state is RoomState.DELETED:
        raise _GoneError
    return entry if has_room else None


def _fetch(state: AppState, entry: RegistryEntry, before_id: str | None) -> Thread:
    state.wait_for_hub()
    size = min(state.config.page_size, 99)
    page = state.reader_api().history(str(entry.chatroom_id), before_id=before_id or None, limit=size + 1)
    messages = [message for message in page.messages if not message.is_whisper]
    if entry.is_private:
        messages = list(map(_without_file, messages))
    has_older = page.has_more or len(messages) > size
    messages = messages[-size:]
    if state.config.is_hosted:
        messages = list(state.sender_names.add_to(messages, state.reader_api()))
    is_closed = entry.state is RoomState.CLOSED
    return Thread(str(entry.chatroom_id), tuple(messages), has_older, is_closed)


def _without_file(message: Message) -> Message:
    """Return a message whose file is named only: the address that the site has is not this reader's."""
    if message.original_url is None and message.file_url is None:
        return message
    return replace(message, original_url=None, thumb_100_url=None, thumb_300_url=None, file_url="private:")


# What is answered


def _answer_again(
    state: AppState, form: Form, claim: PostClaim, user: Visitor | None, error: NotPostedError
) -> Response:
    """Give the text back, with the reason."""
    response = _page(state, form, claim, user, notice=str(error), field=error.field, is_open=True, status=error.status)
    if error.retry_after_s is not None:
        response.retry_after = math.ceil(error.retry_after_s)
    return response


def _answer_unavailable(
    state: AppState, form: Form, claim: PostClaim, user: Visitor | None, error: Exception
) -> Response:
    response = _page(state, form, claim, user, notice=WORDS["unavailable"], is_open=True, status=503)
    response.retry_after = math.ceil(_note(error))
    return response


def _note(error: Exception) -> float:
    """Tell the log, unless it has been told; return when to try again."""
    is_known = isinstance(error, (ApiPausedError, RoomNotReadyError))
    logger.log(logging.DEBUG if is_known else logging.ERROR, "The comments are unavailable: %s", error)
    return float(getattr(error, "retry_after_s", None) or RETRY_AFTER_S)


def _answer_out_of_date() -> Response:
    return _render(get_state(), Form(""), 400, title="", notice=WORDS["out_of_date"], is_open=False)


def _page(
    state: AppState,
    form: Form,
    claim: PostClaim,
    user: Visitor | None,
    *,
    is_open: bool,
    status: int = 200,
    thread: Thread | None = None,
    **values: Any,
) -> Response:
    shown = None if thread is None else show_thread(thread, locator(state)[1])
    name = "" if user is None else shorten_user_name(str(user.name))
    if user is None and not form.name:
        guest = state.visitors.identify(None, cookie=guest_cookie(state), ticket=None)
        form = replace(form, name=guest.name or "")
    # What is not for this reader has no title either.
    title = claim.title if status != 404 else ""
    return _render(state, form, status, title=title, thread=shown, is_open=is_open, user_name=name, **values)


def _render(state: AppState, form: Form, status: int, **values: Any) -> Response:
    endpoint = state.renderer.endpoint()
    links = state.renderer.manifest.urls(endpoint)
    html = render_template(
        "chatix_comments/page.html",
        endpoint=endpoint,
        stylesheet_urls=[url for name, url in links.items() if name.endswith("stylesheet_url")],
        post_token=form.post_token,
        words=WORDS,
        is_paged="before" in request.args,
        is_closed=False,
        **{**BLANK_FORM, "thread": None, "name": form.name, "text": form.text, "back": form.back, **values},
    )
    return Response(html, status, headers=_HEADERS)


def _thread_url(state: AppState, form: Form, anchor: str) -> str:
    query = urlencode({"post": form.post_token} | ({"back": form.back} if form.back else {}))
    return f"{state.renderer.endpoint()}/thread?{query}#{anchor}"
