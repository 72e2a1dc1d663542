"""The template names ``chatix_comments``, ``chatix_assets`` and ``chatix_comment_count``.

Rendering touches no network, no database and nothing that differs between readers: the page may be
cached for all of them.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from flask import Flask, has_request_context, request
from jinja2 import Environment
from markupsafe import Markup

from .extension import AppState
from .models import MAX_TITLE_CHARS, Post, PostIdLike, normalize_post_id, normalize_title
from .tokens import PostClaim, PostTokens

STATIC_FOLDER = Path(__file__).parent / "static" / "chatix_comments"
TOKENS_KEPT = 4096
_ASSETS_TAKEN = "chatix_comments.assets_taken"

logger = logging.getLogger(__name__)


class Manifest:
    """Which file the browser bundle's ``comments.js`` and ``comments.css`` are, by their hashed names."""

    def __init__(self, folder: Path = STATIC_FOLDER) -> None:
        self._path = folder / "manifest.json"
        self._names: Mapping[str, str] = {}
        self._is_logged = False

    def names(self) -> Mapping[str, str]:
        """Return the hashed names; empty, with one error in the log, while the bundle has not been built."""
        if not self._names:
            self._read()
        return self._names

    def _read(self) -> None:
        try:
            names = json.loads(self._path.read_text("utf-8"))
            self._names = {name: str(names[name]) for name in ("comments.js", "comments.css")}
        except (OSError, ValueError, LookupError, TypeError) as exc:
            if not self._is_logged:
                self._is_logged = True
                message = "The comment section has no script: %s cannot be used (%s). Run: node browser/build.mjs"
                logger.error(message, self._path, exc)


class SectionRenderer:
    """Renders the section and its assets for one application.

    Args:
        url_prefix: Where the views are, below the application's root.
        want_room: Is told of each post that is rendered; ``None`` when rooms are made only on demand.
    """

    def __init__(
        self,
        environment: Environment,
        tokens: PostTokens,
        *,
        url_prefix: str,
        want_room: Callable[[Post], None] | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        self._environment = environment
        self._url_prefix = url_prefix
        self._want_room = want_room
        self.manifest = manifest or Manifest()

        # Typed: True, 1 and 1.0 are one key otherwise, but only 1 is a post ID.
        @functools.lru_cache(TOKENS_KEPT, typed=True)
        def signed(post_id: PostIdLike, title: str, is_private: bool) -> tuple[str, PostClaim]:
            normalized = normalize_post_id(post_id)
            claim = PostClaim(normalized, normalize_title(title, fallback=normalized), is_private)
            return tokens.sign(claim), claim

        self._signed = signed

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
            normalize_post_id(post_id)  # The cache cannot hold it; this says what is wrong with it.
            raise
        if self._want_room is not None:
            self._want_room(Post(claim.post_id, claim.title, claim.is_private))
        section = self._environment.get_template("chatix_comments/comments.html").render(
            post_token=token,
            endpoint=self.endpoint(),
            is_closed=bool(closed),
            heading="Comments" if heading is True else heading or "",
        )
        return Markup(self.assets() + Markup(section))

    def assets(self) -> Markup:
        """Render the links to style and script; empty when this response has them already."""
        names = self.manifest.names()
        if not names or not _take_assets():
            return Markup("")
        endpoint = self.endpoint()
        return Markup(
            self._environment.get_template("chatix_comments/assets.html").render(
                endpoint=endpoint,
                stylesheet_url=f"{endpoint}/static/{names['comments.css']}",
                script_url=f"{endpoint}/static/{names['comments.js']}",
            )
        )

    def comment_count(self, post_id: PostIdLike) -> Markup:
        """Render how many comments a post has: nothing, until counts are kept (TODO issue 6)."""
        normalize_post_id(post_id)
        return Markup("")

    def endpoint(self) -> str:
        """Return the path of our views as the browser sees it."""
        return (request.root_path if has_request_context() else "") + self._url_prefix


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
        want_room=state.room_maker.want if state.config.create == "render" else None,
    )
    app.jinja_env.globals.update(
        chatix_comments=renderer.comments,
        chatix_assets=renderer.assets,
        chatix_comment_count=renderer.comment_count,
    )
    return renderer
