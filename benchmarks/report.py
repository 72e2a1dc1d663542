"""Figures beside their limits: one line each, and whether all of them were kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """Prints figures as they come; remembers which ones missed their limits."""

    missed: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def note(self, what: str, value: float, unit: str) -> None:
        """Print a figure that has no limit: what others take, or what the limit is taken of."""
        print(f"  {what:<58} {value:10,.1f} {unit}", flush=True)

    def most(self, what: str, value: float, unit: str, limit: float) -> None:
        """Print a figure that must not be larger than *limit*."""
        self._line(what, value, unit, f"≤ {limit:g}", is_kept=value <= limit)

    def least(self, what: str, value: float, unit: str, limit: float) -> None:
        """Print a figure that must not be smaller than *limit*."""
        self._line(what, value, unit, f"≥ {limit:g}", is_kept=value >= limit)

    def _line(self, what: str, value: float, unit: str, limit: str, *, is_kept: bool) -> None:
        if not is_kept:
            self.missed.append(what)
        mark = "" if is_kept else "   MISSED"
        print(f"  {what:<58} {value:10,.2f} {unit:<8} {limit}{mark}", flush=True)
