"""How often visitors may do what: all the numbers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from .rates import Rate

MINUTE_S = 60.0


class Action(enum.StrEnum):
    """What is counted; each stands for a field of ``RateConfig``."""

    #: get-id, negotiate, the connection itself; and calls of the REST API without its key.
    CONNECTING = "connecting"
    POSTING = "posting"
    #: Edits, deletions, names.
    EDITING = "editing"
    UPLOADING = "uploading"
    TYPING = "typing"
    #: Every other call: history, changes, lists, joining.
    READING = "reading"


@dataclass(frozen=True, slots=True)
class Rates:
    """For each visitor, and for each address: behind one there may be an office, or a whole provider."""

    visitor: Rate
    address: Rate


def _a_minute(visitor: int, address: int) -> Rates:
    return Rates(Rate(visitor, MINUTE_S), Rate(address, MINUTE_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """The rates of one hub. The site, which has a key, is not counted, and neither are managers' calls."""

    # A page connects with two requests, and calls six methods. A hundred tabs may come back in one moment.
    connecting: Rates = _a_minute(300, 3000)
    posting: Rates = _a_minute(30, 300)
    editing: Rates = _a_minute(60, 600)
    uploading: Rates = _a_minute(60, 600)
    typing: Rates = _a_minute(120, 1200)
    reading: Rates = _a_minute(1200, 24_000)

    @classmethod
    def of(cls, changes: Mapping[str, Mapping[str, tuple[int, float]]]) -> RateConfig:
        """Return the rates with some of them changed: by field, then ``visitor`` or ``address``."""
        defaults = cls()
        changed = {
            name: replace(getattr(defaults, name), **{side: Rate(*rate) for side, rate in row.items()})
            for name, row in changes.items()
        }
        return replace(defaults, **changed)

    @classmethod
    def same(cls, count: int, per_s: float = 1.0) -> RateConfig:
        """Return one rate for everything: for hubs that carry the load of a test."""
        rates = Rates(Rate(count, per_s), Rate(count, per_s))
        return cls(**{field.name: rates for field in fields(cls)})
