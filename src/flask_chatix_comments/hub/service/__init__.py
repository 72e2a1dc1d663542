"""The rules of the hub: who may do what, whichever door they came by.

SignalR and REST translate, then call the same ``ChatService``. It is made of four parts, since one file
would be too long: who somebody is (``visitors``), what chatrooms there are (``chatrooms``), who is in them
(``attendance``) and what is said (``messages``).
"""

from __future__ import annotations

from .base import Caller, Context
from .service import ChatService

__all__ = ["Caller", "ChatService", "Context"]
