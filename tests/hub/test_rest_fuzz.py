"""A moment of what ``make fuzz`` does for long to the REST API."""

from __future__ import annotations

from pathlib import Path

from fuzz.rest import MODES, Rest, fuzz, operations, with_hub

EXAMPLES = 8


def test_whatever_is_asked_is_answered_as_described(tmp_path: Path) -> None:
    def use(rest: Rest) -> None:
        for operation in operations():
            for mode in MODES:
                fuzz(rest, operation, mode, examples=EXAMPLES)
        assert rest.count > 200

    with_hub(tmp_path, use)
