"""Chatrooms for many posts, and posts from a file."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flask_chatix_comments.backfill import BackfillResult, FileFormat, Outcome, backfill, read_posts
from flask_chatix_comments.errors import PostError
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim

if TYPE_CHECKING:
    from flask_chatix_comments.registry import RoomRegistry
    from flask_chatix_comments.rooms import RoomService
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)

Outcomes = dict[str, Outcome]


def outcomes(rooms: RoomService, posts: list[Any], **options: Any) -> Outcomes:
    """Run to the end; return what became of each post."""
    return {result.post_id: result.outcome for result in backfill(rooms, posts, **options)}


class TestBackfill:
    def test_makes_what_is_missing(self, rooms: RoomService, service: FakeService) -> None:
        rooms.ensure(Post("2"))
        posts = [Post(number, f"Post {number}") for number in range(5)]
        found = outcomes(rooms, posts)
        assert found == dict.fromkeys("0134", Outcome.CREATED) | {"2": Outcome.EXISTING}
        assert outcomes(rooms, posts) == dict.fromkeys("01234", Outcome.EXISTING)
        assert sorted(room["external_id"] for room in service.rooms.values()) == list("01234")

    def test_of_nothing(self, rooms: RoomService) -> None:
        assert outcomes(rooms, []) == {}

    def test_keeps_the_order_with_one_worker(self, rooms: RoomService) -> None:
        results = backfill(rooms, [Post(number) for number in range(5)], concurrency=1)
        assert sorted(result.post_id for result in results) == list("01234")

    def test_meets_a_post_twice(self, rooms: RoomService, service: FakeService) -> None:
        results = list(backfill(rooms, [Post("7"), Post(7)], concurrency=1))
        assert sorted(result.outcome for result in results) == [Outcome.CREATED, Outcome.EXISTING]
        assert len(service.rooms) == 1

    def test_goes_on_after_a_failure(self, rooms: RoomService, faults: Faults) -> None:
        faults.order(httpx.Response(403, json={"error": "No."}))
        results = list(backfill(rooms, [Post("a"), Post(True), Post("b"), Post("\ud800")], concurrency=1))
        failed = {result.post_id: result.error for result in results if result.outcome is Outcome.FAILED}
        created = [result for result in results if result.outcome is Outcome.CREATED]
        assert failed == {
            "a": "The API at http://api.test/v1 refused create_chatroom with status 403: No.",
            "True": "A post ID is an int, a UUID or a str, not bool.",
            "\\ud800": "A post ID must not contain NUL or lone surrogates.",
        }
        assert created == [BackfillResult("b", Outcome.CREATED)]

    def test_logs_what_nobody_expected(self, rooms: RoomService, caplog: pytest.LogCaptureFixture) -> None:
        results = list(backfill(rooms, [("id", "title"), Post("b")], concurrency=1))  # type: ignore[list-item] # a loader's mistake
        assert sorted(results, key=lambda result: result.post_id) == [
            BackfillResult("('id', 'title')", Outcome.FAILED, "Unexpected AttributeError; the log has more."),
            BackfillResult("b", Outcome.CREATED),
        ]
        assert "Traceback" in caplog.text

    def test_waits_until_it_may_take_over(self, rooms: RoomService, registry: RoomRegistry) -> None:
        claim = registry.claim("7", title="", is_private=False, owner="dead", lease_s=60)
        assert isinstance(claim, Claim)
        (result,) = backfill(rooms, [Post("7")])
        assert (result.outcome, result.error) == (
            Outcome.FAILED,
            "Someone else is still creating its chatroom; run it again.",
        )
        registry.release(claim, room_may_exist=True)
        assert outcomes(rooms, [Post("7")]) == {"7": Outcome.CREATED}

    def test_finishes_what_it_began_when_the_posts_fail(self, rooms: RoomService) -> None:
        def posts() -> Iterator[Post]:
            yield Post("a")
            yield Post("b")
            raise RuntimeError("the site's database went away")

        results: list[str] = []
        with pytest.raises(RuntimeError, match="went away"):
            results.extend(result.post_id for result in backfill(rooms, posts()))
        assert sorted(results) == ["a", "b"]

    def test_reads_no_further_than_it_works(self, rooms: RoomService) -> None:
        read: list[int] = []

        def posts() -> Iterator[Post]:
            for number in range(1000):
                read.append(number)
                yield Post(number)

        results = backfill(rooms, posts(), concurrency=2)
        next(results)
        assert len(read) <= 4 + 1
        results.close()
        assert len(read) <= 4 + 1
        assert not any(thread.name.startswith("chatix-backfill") for thread in threading.enumerate())

    def test_works_at_several_posts_at_once(self, rooms: RoomService, faults: Faults, service: FakeService) -> None:
        together = threading.Barrier(3)

        def meet(request: httpx.Request) -> None:
            together.wait(10)

        faults.order(meet, meet, meet)
        assert set(outcomes(rooms, [Post(n) for n in range(3)], concurrency=3).values()) == {Outcome.CREATED}

    def test_needs_a_worker(self, rooms: RoomService) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            next(backfill(rooms, [], concurrency=0))

    def test_can_only_look(self, rooms: RoomService, registry: RoomRegistry, faults: Faults) -> None:
        rooms.ensure(Post("1"))
        registry.claim("2", title="", is_private=False, owner="other", lease_s=30)
        faults.requests.clear()
        assert outcomes(rooms, [Post("1"), Post("2"), Post("3"), Post("")], dry_run=True) == {
            "1": Outcome.EXISTING,
            "2": Outcome.WOULD_CREATE,
            "3": Outcome.WOULD_CREATE,
            "": Outcome.FAILED,
        }
        assert faults.requests == []
        assert registry.find("3") is None

    def test_counts_what_it_would_create_once(self, rooms: RoomService, monkeypatch: pytest.MonkeyPatch) -> None:
        posts = [Post("7"), Post("8"), Post(7), Post(True), Post(True)]
        dry = Counter(result.outcome for result in backfill(rooms, posts, dry_run=True))
        assert dry == {Outcome.WOULD_CREATE: 2, Outcome.EXISTING: 1, Outcome.FAILED: 2}
        monkeypatch.setattr("flask_chatix_comments.backfill._MAX_REMEMBERED", 1)
        posts = [Post("7"), Post("8"), Post("8"), Post("7")]
        bounded = Counter(result.outcome for result in backfill(rooms, posts, concurrency=1, dry_run=True))
        assert bounded.total() == 4
        assert bounded[Outcome.WOULD_CREATE] < 4


def read(text: str, format: FileFormat | None = None) -> list[Post]:
    """Read posts from *text*."""
    return list(read_posts(io.StringIO(text, newline=""), format=format))


class TestJsonLines:
    def test_are_posts(self) -> None:
        text = (
            '{"id": 7, "title": "Seven"}\n\n{"id": "a-b", "is_private": true, "more": [1]}\n{"id": "ü", "title": null}'
        )
        assert read(text) == [Post("7", "Seven"), Post("a-b", None, True), Post("ü")]

    @pytest.mark.parametrize("text", ['\ufeff{"id": "a"}\n', '\n \n {"id": "a"}\r\n'])
    def test_are_recognised(self, text: str) -> None:
        assert read(text) == [Post("a")]

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("{", "It is not JSON."),
            ("[" * 100_000, "It is not JSON."),
            ("[1]", "It is not an object"),
            ("{}", "There is no 'id'."),
            ('{"id": null}', "not NoneType"),
            ('{"id": true}', "not bool"),
            ('{"id": 1.5}', "not float"),
            ('{"id": ""}', "must not be empty"),
            ('{"id": "\\ud800"}', "lone surrogates"),
            ('{"id": 1, "title": 5}', "'title' is not a text."),
            ('{"id": 1, "is_private": "yes"}', "'is_private' is not true or false."),
        ],
    )
    def test_that_are_wrong_are_named(self, line: str, says: str) -> None:
        text = f'{{"id": "a"}}\n\n{line}\n{{"id": "b"}}\n'
        with pytest.raises(PostError, match=r"^Line 3: ") as raised:
            read(text)
        assert says in str(raised.value)

        errors: list[PostError] = []
        assert list(read_posts(io.StringIO(text), on_error=errors.append)) == [Post("a"), Post("b")]
        assert [str(error) for error in errors] == [str(raised.value)]


@pytest.mark.parametrize("format", ["jsonl", None])
@pytest.mark.parametrize("text", ['\ufeff[{"id": "a"}]', '\n[\n {"id": "a"},\n {"id": "b"}\n]\n'])
def test_a_json_array_is_refused_at_once(text: str, format: FileFormat | None) -> None:
    with pytest.raises(PostError, match=r"^Line [12]: this is a JSON array; one object per line is needed\.$"):
        next(read_posts(io.StringIO(text), format=format, on_error=lambda error: pytest.fail("a line is not at fault")))


class TestCsv:
    def test_is_posts(self) -> None:
        text = 'title,id,is_private,more\r\n"Seven, ""the"" one",7,,x\r\n\r\n"two\nlines",a-b,Yes,\r\n,ü,0\r\n'
        assert read(text) == [Post("7", 'Seven, "the" one'), Post("a-b", "two\nlines", True), Post("ü")]

    def test_needs_only_the_id(self) -> None:
        assert read("\ufeffid\n7\n") == [Post("7")]
        assert read("id\n") == []

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("title,url\nx,y\n", "Line 1: the header has no column 'id'."),
            ("id;title\na;b\n", "no column 'id'. Columns are separated by commas."),
            ("id\ttitle\na\tb\n", "no column 'id'. Columns are separated by commas."),
            ("\n[a],b\n1,2\n", "the header has no column 'id'."),
            ("id,title\na,b\nc,d,e\n", "Line 3: It has more values than the header has columns."),
            ("id,title\n,b\n", "Line 2: A post ID must not be empty."),
            ("title,id\nb\n", "Line 2: A post ID must not be empty."),
            ("id,is_private\na,perhaps\n", "Line 2: 'is_private' is not true or false."),
            ('id,title\na,"b\nc\n', "Line 3: it is not CSV: unexpected end of data."),
            (f"id,title\na,{'x' * 200_000}\n", "Line 2: it is not CSV: field larger than field limit"),
            (f"id,{'x' * 200_000}\n", "it is not CSV: field larger than field limit"),
        ],
    )
    def test_that_is_wrong_is_named(self, text: str, says: str) -> None:
        with pytest.raises(PostError) as raised:
            read(text, "csv")
        assert says in str(raised.value)


@pytest.mark.parametrize("text", ["", "\n \n"])
@pytest.mark.parametrize("format", ["jsonl", "csv", None])
def test_an_empty_file_has_no_posts(text: str, format: FileFormat | None) -> None:
    assert read(text, format) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("before", [0, 1, 500, 2000, 2345])
def test_a_file_that_is_not_utf8_is_refused(before: int, end: bytes) -> None:
    # Letters of two bytes, so that one is cut where the decoder reads on.
    content = '{"id": "äöü"}'.encode() + end
    stream = io.TextIOWrapper(io.BytesIO(content * before + b'{"id": "\xe9"}\n'), encoding="utf-8", newline="")
    posts = read_posts(stream, on_error=lambda error: pytest.fail("nothing can be left out"))
    with pytest.raises(PostError, match=rf"^Line {before + 1}: it is not UTF-8\."):
        for _ in posts:
            pass
