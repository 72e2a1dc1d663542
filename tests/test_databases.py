"""What the tests on real database servers need of a machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.databases import _program

INSTALL = Path(__file__).parents[1] / "tools" / "install_databases.sh"


def test_who_may_not_install_is_told_what_to_run(tmp_path: Path) -> None:
    for name, answer in {"id": "echo 1000", "ls": "exit 2", "apt-get": "exit 3"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(INSTALL)], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.endswith("Run: sudo apt-get install postgresql mariadb-server-core mariadb-client-core\n")
    assert done.stderr == ""


def test_without_its_server_a_test_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="there is no nosuchserver. Run: make databases"):
        _program("nosuchserver")
