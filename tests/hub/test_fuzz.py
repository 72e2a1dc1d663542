"""A moment of what ``make fuzz`` does for long: random input for all that strangers can send."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

EXAMPLES = 150


@st.composite
def damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Return good input with something else in the place of a part of it."""
    seed = draw(st.sampled_from(seeds))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, len(seed)))
    return seed[:start] + draw(st.binary(max_size=20)) + seed[end:]


@pytest.mark.parametrize("name", TARGETS)
def test_any_input(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200) | damaged(target.seeds))
    def run(data: bytes) -> None:
        target.run(data)

    for seed in target.seeds:
        target.run(seed)
    run()
