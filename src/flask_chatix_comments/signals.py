"""What a site's own process learns of, as blinker signals; the sender is the application.

Most of what happens in a section is between browsers and the chat, and no process of the site hears of it.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

#: A comment came by the form of those without JavaScript, and is stored. With ``post_id`` and ``message``, a
#: ``Message``.
comment_posted = _signals.signal("chatix-comment-posted")

#: A guest has given a name in order to comment, or another one. With ``visitor_id``, ``None`` where the chat service
#: makes it, and ``name``.
guest_took_part = _signals.signal("chatix-guest-took-part")
