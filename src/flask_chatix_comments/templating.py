"""The template names ``chatix_comments``, ``chatix_assets``, ``chatix_prefetch`` and ``chatix_comment_count``.

Rendering touches no network and nothing that differs between readers: the page may be cached for all of them. What
comments and counts it shows are fetched by other threads, for which it waits a moment at most.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec

from flask import Flask, has_request_context, request
from flask.templating import Environment
from jinja2 import Template
from markupsafe import Markup, escape

from .bundle import Manifest
from .models import MAX_TITLE_CHARS, MessageType, Post, PostIdLike, normalize_post_id, normalize_title
from .plain_words import WORDS
from .reader_urls import locator
from .shown_comments import BLANK_FORM, Locate, ShownThread, show_thread
from .state import AppState
from .thread_cache import Thread
from .tokens import PostClaim, PostTokens

MAX_KEPT = 4096
_OWN_FOLDER = Path(__file__).parent / "templates" / "chatix_comments"
_OWN_FILES = frozenset(str(_OWN_FOLDER / f"{name}.html") for name in ("comments", "thread", "form", "assets"))
#: What the template of the section includes.
_PARTS = ("chatix_comments/form.html", "chatix_comments/thread.html")
#: What pages have made of one thread: the same for all readers, but for the host by which they came.
MAX_KEPT_OF_THREAD = 4
_ASSETS_TAKEN = "chatix_comments.assets_taken"

Arguments = ParamSpec("Arguments")


class SectionRenderer:
    """Renders the section and its assets for one application.

    Args:
        url_prefix: Where the views are, below the application's root.
        outer_root: Where that is outside of a request.
        facts: What templates get of the site's settings.
        want_room: Is told of each post that is rendered; ``None`` when rooms are made only on demand.
        prefetch: Looks posts up.
        read_thread: Returns the comments of a post, if they are known.
        locator: Returns where this reader finds files, and what makes addresses there.
    """

    def __init__(
        self,
        environment: Environment,
        tokens: PostTokens,
        *,
        url_prefix: str,
        outer_root: str = "",
        facts: Mapping[str, object],
        want_room: Callable[[Post], None] | None = None,
        prefetch: Callable[[Iterable[PostIdLike]], None] = lambda post_ids: None,
        read_thread: Callable[[str], Thread | None] = lambda post_id: None,
        locator: Callable[[], tuple[str, Locate]] = lambda: ("", lambda url: None),
    ) -> None:
        self._environment = environment
        self._url_prefix = url_prefix
        self._outer_root = outer_root
        self._facts = facts
        self._want_room = want_room
        self._prefetch = prefetch
        self._read_thread = read_thread
        self._locator = locator
        self.manifest = Manifest()

        # Typed: True, 1 and 1.0 are one key otherwise, but only 1 is a post ID.
        @functools.lru_cache(MAX_KEPT, typed=True)
        def signed(post_id: PostIdLike, title: str, is_private: bool) -> tuple[str, PostClaim]:
            normalized = normalize_post_id(post_id)
            claim = PostClaim(normalized, normalize_title(title, fallback=normalized), is_private)
            return tokens.sign(claim), claim

        self._signed = signed
        self._kept: dict[tuple[object, ...], Markup] = {}

    def comments(
        self,
        post_id: PostIdLike,
        title: str | None = None,
        private: bool = False,
        closed: bool = False,
        heading: bool | str = True,
    ) -> Markup:
        """Render the section of a post, with the assets unless the page has them.

        Args:
            title: For the chatroom's title; anything is accepted, shortened and put on one line.
            private: Whether only those may see the chatroom whom the site lets in.
            closed: Whether the form is hidden.
            heading: Whether to show one, or its text.

        Raises:
            PostError: *post_id* cannot be a post's ID.
        """
        text = str(title or "")
        if len(text) > MAX_TITLE_CHARS:
            text = normalize_title(text)
        try:
            token, claim = self._signed(post_id, text, bool(private))
        except TypeError:
            # It has no hash, so that it cannot be cached; mostly it is no post ID either.
            token, claim = self._signed.__wrapped__(post_id, text, bool(private))
        if self._want_room is not None:
            self._want_room(Post(claim.post_id, claim.title, claim.is_private))
        endpoint = self.endpoint()
        values = {
            "post_token": token,
            "endpoint": endpoint,
            "is_closed": bool(closed),
            "is_private": claim.is_private,
            **self._facts,
            # Escaped here: as keys, text and markup of the same letters would be one.
            "heading": escape("Comments" if heading is True else heading or ""),
        }
        names = ["chatix_comments/comments.html"]
        if assets := self._missing_assets(endpoint):
            names.insert(0, "chatix_comments/assets.html")
        thread = None if claim.is_private else self._read_thread(claim.post_id)
        return self._render(names, values | assets, thread)

    def assets(self) -> Markup:
        """Render the links to style and script; empty when this response has them already."""
        endpoint = self.endpoint()
        assets = self._missing_assets(endpoint)
        return self._render(["chatix_comments/assets.html"], assets | {"endpoint": endpoint}) if assets else Markup("")

    def _missing_assets(self, endpoint: str) -> dict[str, str]:
        """Return what is to be linked; nothing when this response has it, or when there is no bundle."""
        urls = self.manifest.urls(endpoint)
        return urls if urls and _take_assets() else {}

    def _render(self, names: Sequence[str], values: Mapping[str, object], thread: Thread | None = None) -> Markup:
        """Render templates one after the other.

        What our own templates make of the same values never differs, so it is kept, with the thread where there is
        one. A site's own template may look at anything, and is run each time.
        """
        templates = [self._environment.get_template(name) for name in names]
        used = [*templates, *map(self._environment.get_template, _PARTS)]
        is_to_be_kept = all(template.filename in _OWN_FILES for template in used)
        base, locate = self._locator() if thread is not None and _has_files(thread) else ("", lambda url: None)
        kept, most = (self._kept, MAX_KEPT) if thread is None else (thread.kept, MAX_KEPT_OF_THREAD)
        key = (*used, base, *values.values())
        html = kept.get(key) if is_to_be_kept else None
        if html is None:
            shown: ShownThread | None = None if thread is None else show_thread(thread, locate)
            html = self._run(templates, {**BLANK_FORM, **values, "thread": shown, "words": WORDS})
            if is_to_be_kept:
                if len(kept) >= most:
                    kept.clear()
                kept[key] = html
        return html

    def _run(self, templates: Sequence[Template], values: Mapping[str, object]) -> Markup:
        # One context of plain dicts for all: Jinja's own way takes four times as long as everything else here.
        context = templates[-1].new_context({**self._environment.globals, **values}, shared=True)
        html = "".join(part for template in templates for part in template.root_render_func(context))
        return Markup(html)  # nosec B704  # made by Jinja, which has escaped what was put in

    def prefetch(self, post_ids: Iterable[PostIdLike]) -> Markup:
        """Look up all posts of a list at once, before a template goes through them; render nothing.

        Raises:
            PostError: One of them cannot be a post's ID.
        """
        self._prefetch(post_ids)
        return Markup("")

    def endpoint(self) -> str:
        """Return the path of our views as the browser sees it."""
        return (request.root_path if has_request_context() else self._outer_root) + self._url_prefix


def _has_files(thread: Thread) -> bool:
    return any(message.type is not MessageType.TEXT for message in thread.messages)


def _take_assets() -> bool:
    """Tell whether this response still lacks the assets, and note that it has them from now on.

    Outside of a request nobody knows where a page begins, so each section brings its own.
    """
    if not has_request_context():
        return True
    if _ASSETS_TAKEN in request.environ:
        return False
    request.environ[_ASSETS_TAKEN] = True
    return True


def install(app: Flask, state: AppState) -> SectionRenderer:
    """Give the application's templates our names."""
    renderer = SectionRenderer(
        app.jinja_env,
        state.post_tokens,
        url_prefix=state.config.url_prefix,
        outer_root=str(app.config["APPLICATION_ROOT"]).rstrip("/"),
        facts={
            "sdk": state.config.sdk,
            "is_hosted": state.config.is_hosted,
            "takes_files": state.config.files.max_files > 0,
        },
        want_room=state.room_maker.want if state.config.create == "render" else None,
        prefetch=state.comment_counts.prefetch,
        read_thread=state.threads.read,
        locator=functools.partial(locator, state),
    )
    app.jinja_env.globals.update(
        chatix_comments=_as_function(renderer.comments),
        chatix_assets=_as_function(renderer.assets),
        chatix_prefetch=_as_function(renderer.prefetch),
        chatix_comment_count=state.comment_counts.reader(),
    )
    return renderer


def _as_function(method: Callable[Arguments, Markup]) -> Callable[Arguments, Markup]:
    """Return a function that calls *method*.

    Jinja asks whatever it calls for an attribute that few have; Python finds that out of a method four times as
    slowly, which a list of posts pays for each of them.
    """

    @functools.wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Markup:
        return method(*args, **kwargs)

    return call
