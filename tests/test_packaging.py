"""What is installed: the wheel and the sdist carry the browser bundle, and installing from them needs no Node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATIC = "flask_chatix_comments/static/chatix_comments"
LOCK_FILES = [
    *(ROOT / "requirements").glob("*.txt"),
    ROOT / "package-lock.json",
    ROOT / "tests/interop/package-lock.json",
]

# What is built is built once, by whichever process runs these.
pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build("--sdist", source=ROOT, target=folder)
    (found,) = folder.glob("*.tar.gz")
    return found


def build(kind: str, *, source: Path, target: Path, path: str | None = None) -> None:
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    answer = subprocess.run(
        [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", str(target), str(source)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def bundle_of(names: list[str]) -> set[str]:
    return {name.rpartition("/")[2] for name in names if f"{STATIC}/" in name}


def test_the_sdist_carries_the_bundle_and_no_installed_packages(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert "manifest.json" in bundle_of(names)
    assert not [name for name in names if "node_modules" in name or ".venv" in name]
    in_root = {name.partition("/")[2] for name in names}
    # Whoever has the sdist can do what whoever has the repository can.
    assert {"Makefile", "conftest.py", ".ci/run", "benchmarks/rooms.py", "browser/build.mjs"} <= in_root


def test_a_wheel_from_the_sdist_needs_no_node(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    # No folder of this PATH holds node or npm; the build back end is found by Python itself.
    build("--wheel", source=source, target=tmp_path / "wheel", path=str(tmp_path / "empty"))
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read(f"{STATIC}/manifest.json"))
    assert set(manifest.values()) <= bundle_of(names)
    assert "flask_chatix_comments/py.typed" in names
    assert "flask_chatix_comments/templates/chatix_comments/macros.html" in names
    assert not [name for name in names if name.startswith(("tests/", "browser/", "example_site/"))]


@pytest.mark.parametrize("path", LOCK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_files_name_versions_and_no_place(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://(?!opencollective|github|www\.patreon|paulmillr|tidelift|feross|dotenvx)", text)
    assert '"resolved"' not in text
    assert "--index-url" not in text
    assert "file:" not in text


def test_the_main_lock_holds_no_package_that_chatix_core_should_not_bring() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert "node_modules/request" not in lock
    axios = [entry["version"] for name, entry in lock.items() if name.endswith("node_modules/axios")]
    assert axios == ["1.21.1"]
