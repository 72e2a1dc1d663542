"""``make soak``: 10,000 comments by 50 writers, over all transports; the hub is killed 20 times, and lines are cut."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.lines import TRANSPORTS
from tests.soak.storm import Plan, Storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--comments", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: another each time")
    parser.add_argument("--transports", nargs="+", choices=TRANSPORTS, default=TRANSPORTS, help="default: all")
    options = parser.parse_args()
    plan = Plan(
        options.comments,
        options.writers,
        options.readers,
        options.kills,
        timeout_s=options.timeout,
        seed=options.seed,
        transports=tuple(options.transports),
    )
    print(plan, flush=True)
    with tempfile.TemporaryDirectory(prefix="chatix-soak-") as folder:
        outcome = asyncio.run(Storm(plan, Path(folder)).run())
    print(
        f"{outcome.stored} comments stored in {outcome.seconds:.0f} s; {outcome.sends} sends, {outcome.kills} kills, "
        f"{outcome.cuts} connections cut, {outcome.reconnects} reconnections"
    )
    for sentence in outcome.wrong:
        print(f"WRONG: {sentence}")
    if not outcome.wrong:
        print("Every acknowledged comment is there once; all readers see the stored thread.")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
