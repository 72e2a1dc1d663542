"""Run one target by atheris: what reaches new lines of the code is kept, and changed further.

python -m fuzz.guided TARGET [options of libFuzzer, and folders of inputs]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["flask_chatix_comments", "fuzz.targets"]):
    from fuzz.targets import TARGETS


def main() -> None:
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
