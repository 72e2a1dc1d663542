"""The folder of uploads: private, whole or empty, and clean after a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flask_chatix_comments.hub.folder import INCOMING, ORIGINAL, UploadFolder, open_private, thumb_name

only_posix = pytest.mark.skipif(os.name != "posix", reason="the rights of files are those of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> UploadFolder:
    folder = UploadFolder(tmp_path / "a" / "files")
    folder.open()
    return folder


def names_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def put(place: Path, name: str = ORIGINAL, data: bytes = b"data") -> None:
    with open_private(place / name) as file:
        file.write(data)


def test_an_upload_is_there_once_it_is_kept(folder: UploadFolder, tmp_path: Path) -> None:
    place = folder.begin("u1")
    put(place)
    put(place, thumb_name(100))
    assert not folder.path("u1", ORIGINAL).exists()
    folder.keep("u1")
    assert folder.path("u1", ORIGINAL).read_bytes() == b"data"
    assert names_in(tmp_path / "a/files") == {INCOMING, "u1", "u1/original", "u1/thumb-100"}
    # What has been kept is not discarded.
    folder.discard("u1")
    assert folder.path("u1", ORIGINAL).exists()
    for _ in range(2):
        folder.remove("u1")
    assert names_in(tmp_path / "a/files") == {INCOMING}


def test_what_fails_leaves_nothing(folder: UploadFolder, tmp_path: Path) -> None:
    put(folder.begin("u1"), "raw")
    folder.discard("u1")
    folder.discard("never begun")
    assert names_in(tmp_path / "a/files") == {INCOMING}


def test_what_a_crash_left_goes_at_the_next_start(folder: UploadFolder, tmp_path: Path) -> None:
    put(folder.begin("u1"), "raw")
    put(folder.begin("u2"))
    folder.keep("u2")
    UploadFolder(tmp_path / "a" / "files").open()
    assert names_in(tmp_path / "a/files") == {INCOMING, "u2", "u2/original"}


@only_posix
def test_all_of_it_is_its_owners_only(folder: UploadFolder, tmp_path: Path) -> None:
    put(folder.begin("u1"))
    folder.keep("u1")
    root = tmp_path / "a" / "files"
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {"a/files": 0o700, f"a/files/{INCOMING}": 0o700, "a/files/u1": 0o700, "a/files/u1/original": 0o600}


def test_no_file_is_written_twice(folder: UploadFolder) -> None:
    place = folder.begin("u1")
    put(place)
    with pytest.raises(FileExistsError):
        open_private(place / ORIGINAL)
    with pytest.raises(FileExistsError):
        folder.begin("u1")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        UploadFolder(tmp_path / "file" / "files").open()


def test_the_room_on_the_disk(folder: UploadFolder) -> None:
    assert folder.free_bytes() > 0
