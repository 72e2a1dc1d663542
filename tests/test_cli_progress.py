"""Bars, on a real terminal."""

from __future__ import annotations

import contextlib
import pty
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.cli import ScriptInfo

from flask_chatix_comments import ChatixComments, Post
from flask_chatix_comments.cli_progress import make_way, progress_of, shown
from flask_chatix_comments.testing import HubForTests
from tests.flask_support import Site

END = "That was all."


@contextlib.contextmanager
def terminal() -> Iterator[Callable[[], str]]:
    """Let standard output and standard error be a terminal, and yield what reads it: some kilobytes at most."""
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8", buffering=1) as stream, open(master, "rb", buffering=0) as end:

        def read() -> str:
            print(END, end="", file=stream, flush=True)
            text = b""
            while not text.endswith(END.encode()):
                assert select.select([end], [], [], 10)[0], text
                text += end.read(100_000)
            return text.decode().removesuffix(END)

        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield read


def bars_of(text: str) -> list[str]:
    """Return what stands behind each bar that was drawn."""
    return [part.partition("]")[2].split("\x1b")[0].strip() for part in text.split("\r") if "]" in part]


def bars_of_steps(*steps: tuple[int, int | None]) -> list[str]:
    """Tell a bar *steps*, and return what it drew."""
    with terminal() as read:
        with progress_of("Posts") as progress:
            for count, total in steps:
                progress(count, total)
        return bars_of(read())


def test_a_total_that_is_known() -> None:
    assert bars_of_steps((1, 3), (2, 3), (3, 3)) == ["0/3", "1/3", "2/3", "3/3"]


@pytest.mark.parametrize(("total", "end"), [(None, "5"), (5, "5/5"), (4, "5/5")])
def test_a_total_that_comes_later_or_never(total: int | None, end: str) -> None:
    assert bars_of_steps((1, None), (5, total))[-1] == end


def test_a_long_run_is_not_drawn_at_every_step() -> None:
    drawn = bars_of_steps(*((count, 100_000) for count in range(1, 4_000)))
    assert (len(drawn), drawn[1], drawn[-1]) == (9, "500/100000", "3999/100000")


def test_of_a_generator() -> None:
    with terminal() as read:
        assert list(shown((number for number in range(3)), label="Posts", total=None)) == [0, 1, 2]
        assert bars_of(read())[-1] == "3"


def test_nothing_done_is_no_bar() -> None:
    with terminal() as read:
        with progress_of("Posts"):
            pass
        make_way()
        assert read() == "\r\x1b[K"


def test_where_there_is_no_terminal_nobody_makes_way(capsys: pytest.CaptureFixture[str]) -> None:
    make_way()
    assert capsys.readouterr() == ("", "")


class TestCommands:
    @pytest.fixture
    def flask(self, make_site: Callable[..., Site], chatix_hub: HubForTests) -> Callable[..., list[str]]:
        """What runs a command at a terminal, and returns its lines as they stand there in the end."""
        site = make_site(extension=ChatixComments(), **chatix_hub.settings)
        site.state.rooms.ensure(Post("p", "Päivä"))

        @site.comments.posts_loader
        def posts() -> Iterator[Post]:
            yield Post("p", "New")

        def run(*arguments: str) -> list[str]:
            script = ScriptInfo(create_app=lambda: site.app)
            with terminal() as read:
                with contextlib.suppress(SystemExit):
                    site.app.cli.main(["chatix", *arguments], obj=script, standalone_mode=False)
                lines = read().replace("\x1b[?25l", "").replace("\x1b[?25h", "").split("\r\n")
            return [line.rpartition("\r")[2].removeprefix("\x1b[K") for line in lines]

        return run

    def test_sync(self, flask: Callable[..., list[str]]) -> None:
        assert flask("sync")[-2:] == ["1 retitled", ""]

    def test_check_names_a_trouble_on_a_line_of_its_own(self, flask: Callable[..., list[str]]) -> None:
        assert [line.split("\t")[:2] for line in flask("check") if "\t" in line] == [["retitled", "p"]]

    def test_import(self, flask: Callable[..., list[str]], tmp_path: Path) -> None:
        file = tmp_path / "registry.jsonl"
        assert flask("export", "--output", str(file))[-1] == ""
        assert flask("import", str(file))[-2:] == ["1 row, 0 of them new.", ""]
