"""``flask`` commands in processes of their own, which begin as copies of one that has imported what they need.

A command takes a second to import Flask, SQLAlchemy and Alembic, and little to do its work; a copy begins at once.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

MODULES = ("flask_chatix_comments.cli", "flask_chatix_comments.registry_schema", "flask_migrate", "flask_sqlalchemy")


class FlaskForks:
    """Runs commands, one after the other; ``stop`` ends what they are copied from."""

    def __init__(self) -> None:
        self._original: subprocess.Popen[str] | None = None

    def run(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        warnings: Sequence[Mapping[str, Any]],
    ) -> subprocess.CompletedProcess[str]:
        """Run ``flask`` with *arguments* in *folder*; return its status and all it has printed.

        Args:
            warnings: Arguments of ``warnings.filterwarnings``, the strongest last.
        """
        original = self._original = self._original or self._start()
        assert original.stdin is not None and original.stdout is not None
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
            order: dict[str, Any] = {
                "arguments": list(arguments),
                "folder": str(folder),
                "environment": dict(environment),
            }
            order |= {"warnings": list(warnings), "output": output.name}
            original.stdin.write(json.dumps(order) + "\n")
            original.stdin.flush()
            status = json.loads(original.stdout.readline())
            return subprocess.CompletedProcess(arguments, status, output.read(), "")

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", __name__]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> None:
        if self._original is not None:
            self._original.communicate()


# In the process that commands are copied from


def main(orders: IO[str], answers: IO[str]) -> None:
    for name in MODULES:
        __import__(name)
    for line in orders:
        child = os.fork()
        if not child:
            # SystemExit, too, would go on to read orders.
            os._exit(_obey(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _obey(order: dict[str, Any]) -> int:
    output = os.open(order["output"], os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(output, stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path.insert(0, order["folder"])
    sys.argv = ["flask", *order["arguments"]]
    warnings.resetwarnings()
    for one in order["warnings"]:
        kinds = {"category": getattr(builtins, one["category"])} if "category" in one else {}
        warnings.filterwarnings(**(one | kinds))
    try:
        return _run()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()


def _run() -> int:
    import traceback

    from flask.cli import main as flask

    try:
        flask()
    except SystemExit as exc:
        if isinstance(exc.code, int) or exc.code is None:
            return exc.code or 0
        print(exc.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
