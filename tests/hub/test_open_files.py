"""How many files the hub may have open."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flask_chatix_comments.hub import open_files

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(("files", "connections"), [(1024, 824), (300, 150), (65_536, 65_336)])
def test_the_system_says_how_many_connections(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert open_files.max_connections() == connections
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert open_files.max_connections() > 1_000_000


LIMITS_IN_A_PROCESS = """
import resource, sys
from flask_chatix_comments.hub import open_files

resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
open_files.ENOUGH_FILES = 400
open_files.raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("100 300", "300 300"), ("100 500", "400 500"), ("450 500", "450 500"), ("100 100", "100 100")],
)
def test_a_hub_takes_what_it_may_have(before: str, after: str) -> None:
    """In a process of its own: a hard limit is for good."""
    command = [sys.executable, "-c", LIMITS_IN_A_PROCESS, *before.split()]
    assert subprocess.check_output(command, env=os.environ, text=True).strip() == after
