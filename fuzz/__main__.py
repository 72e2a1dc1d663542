"""Run all targets, or some of them, for a time each; then the REST API.

    python -m fuzz [--seconds N] [TARGET ...]

Inputs that reached something new are kept in ``fuzz/corpus`` and begun with the next time; those that failed are in
``fuzz/findings``. Where atheris does not install, inputs are changed blindly instead, and that is said.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

from .targets import TARGETS, Target

HERE = Path(__file__).parent
FINDINGS = HERE / "findings"
REST = "rest"
MAX_INPUT_BYTES = 4096
MAX_MEMORY_MB = 512
MAX_SECONDS_EACH = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}, {REST}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    names = options.targets or [*TARGETS, REST]
    if unknown := set(names) - {*TARGETS, REST}:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    FINDINGS.mkdir(exist_ok=True)
    failed = [name for name in names if not run(name, options.seconds)]
    print(f"Failed: {', '.join(failed)}. The inputs are in {FINDINGS}." if failed else "Nothing was found.")
    return 1 if failed else 0


def run(name: str, seconds: int) -> bool:
    """Run one target; return whether nothing was found."""
    print(f"== {name}: {seconds} s", flush=True)
    if name == REST:
        return subprocess.run([sys.executable, "-m", "fuzz.rest", "--seconds", str(seconds)]).returncode == 0
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: inputs are changed blindly.", flush=True)
        return run_blindly(name, TARGETS[name], seconds)
    return run_guided(name, seconds)


def run_guided(name: str, seconds: int) -> bool:
    corpus = HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-rss_limit_mb={MAX_MEMORY_MB}",
        f"-timeout={MAX_SECONDS_EACH}",
        f"-artifact_prefix={FINDINGS}/{name}-",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    return subprocess.run([sys.executable, "-m", "fuzz.guided", name, *limits, str(corpus)]).returncode == 0


def run_blindly(name: str, target: Target, seconds: int) -> bool:
    end, chance, count = time.monotonic() + seconds, random.Random(), 0
    while time.monotonic() < end:
        data = damaged(chance.choice(target.seeds), chance)
        try:
            target.run(data)
        except Exception as exc:
            (FINDINGS / f"{name}-crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            print(f"{type(exc).__name__}: {exc}")
            return False
        count += 1
    print(f"{count} inputs")
    return True


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with some of it replaced, left out, or there twice."""
    for _ in range(chance.randint(1, 5)):
        start = chance.randint(0, len(data))
        end = chance.randint(start, min(len(data), start + 20))
        piece = chance.choice([b"", chance.randbytes(chance.randint(1, 8)), data[start:end] * 2])
        data = data[:start] + piece + data[end:]
    return data[:MAX_INPUT_BYTES]


if __name__ == "__main__":
    sys.exit(main())
