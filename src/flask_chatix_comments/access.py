"""May this visitor read the private chatroom of this post? The site says so, and only a clear yes is one.

Who is kept out learns nothing, so the log has to say why: that there is nobody to ask, or what went wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from .models import Visitor
from .visitors import user_key

#: Called with who is signed in, ``None`` for a guest, and the post's normalised ID.
AccessLoader = Callable[[Visitor | None, str], bool]

MAX_WARNED = 10_000

logger = logging.getLogger(__name__)


class AccessGate:
    """Asks the site. Managers are never asked about: the hub lets them into every chatroom.

    Args:
        find_loader: Returns the site's ``access_loader``, or ``None`` while it has none.
    """

    def __init__(self, find_loader: Callable[[], AccessLoader | None]) -> None:
        self._find_loader = find_loader
        self._warned: set[str] = set()

    @property
    def is_open_to_some(self) -> bool:
        """Whether anybody but managers may be let in: whether there is a loader."""
        return self._find_loader() is not None

    def may_read(self, user: Visitor | None, post_id: str) -> bool:
        """Whether the site lets *user*, or a guest, into the private chatroom of a post.

        Without a loader, and when it raises or returns anything but true or false, nobody is let in.

        Raises:
            ConfigError: *user* is no ``Visitor`` with a usable key.
        """
        # In a request and in a sweep alike: a site that looks a user up by the key need not know which it is.
        visitor = None if user is None else replace(user, key=user_key(user))
        if visitor is not None and visitor.is_manager:
            return True
        loader = self._find_loader()
        if loader is None:
            self._warn(post_id)
            return False
        try:
            answer: object = loader(visitor, post_id)
        except Exception:
            logger.exception("The access_loader failed for the post %r: nobody is let in.", post_id)
            return False
        if answer and answer is not True:
            message = "The access_loader returned %s for the post %r instead of true or false: nobody is let in."
            logger.error(message, type(answer).__name__, post_id)
            _close(answer)
            return False
        return bool(answer)

    def _warn(self, post_id: str) -> None:
        """Say once for each post that nobody can be let in."""
        if post_id in self._warned:
            return
        if len(self._warned) >= MAX_WARNED:
            self._warned.clear()
        self._warned.add(post_id)
        logger.error(
            "The comments of the post %r are private, and there is no access_loader: nobody but managers is let in."
            " Decorate a function of visitor and post ID with @comments.access_loader.",
            post_id,
        )


def _close(answer: object) -> None:
    """Let go of what an ``async def`` returned: Python would warn that nobody awaited it."""
    close = getattr(answer, "close", None)
    if callable(close):
        close()
