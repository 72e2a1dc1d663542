"""A lock that one process at a time holds, and that ends with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flask_chatix_comments.process_lock import ProcessLock

HOLD = """
import sys
from pathlib import Path
from flask_chatix_comments.process_lock import ProcessLock

print(ProcessLock(Path(sys.argv[1])).take(), flush=True)
sys.stdin.read()
"""


def test_one_holds_it(tmp_path: Path) -> None:
    first, second = ProcessLock(tmp_path / "new" / "lock"), ProcessLock(tmp_path / "new" / "lock")
    assert first.take()
    assert not second.take()
    second.release()
    first.release()
    first.release()
    assert second.take()
    second.release()


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        lock = ProcessLock(tmp_path / "lock")
        assert not lock.take()
        holder.kill()
        holder.wait()
        assert lock.take()
        lock.release()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        ProcessLock(tmp_path / "file" / "lock").take()
