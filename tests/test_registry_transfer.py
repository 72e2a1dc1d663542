"""The registry out of one database and into another, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_chatix_comments import registry_schema
from flask_chatix_comments.database import Database, create_registry_engine, metadata
from flask_chatix_comments.errors import RegistryError, TransferError
from flask_chatix_comments.registry import Claim, RoomRegistry, RoomState
from flask_chatix_comments.registry_lines import TABLES, columns_of, parse_line
from flask_chatix_comments.registry_transfer import MAX_PROBLEMS, RegistryImport, TransferResult, export_lines
from tests.databases import KINDS, DatabaseServers, Kind

pytest_plugins = ("tests.rooms_fixtures",)

Line = dict[str, Any]
CHATROOM: Line = {
    "kind": "chatroom",
    "post_id": "7",
    "chatroom_id": "room-7",
    "title": "Seven",
    "is_private": False,
    "state": "open",
    "claim_number": 1,
    "created_at": "2026-11-25T12:00:00.123456+00:00",
    "updated_at": "2026-11-25T13:00:00+00:00",
}
MOVED: Line = {"state": "moved", "chatroom_id": None}
VISITOR: Line = {
    "kind": "visitor",
    "visitor_key": "ada",
    "visitor_id": "v1",
    "created_at": "2026-11-25T12:00:00+00:00",
}
HOSTED: Line = {
    "kind": "hosted_visitor",
    "visitor_key": "ada",
    "browser_id": "b1",
    "service_id": "s1",
    "created_at": "2026-11-25T12:00:00+00:00",
}
FIRST: Line = {"kind": "registry", "version": 1, "website_id": "blog"}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RoomRegistry]:
    """The registry in another database, which is empty."""
    registry = RoomRegistry(create_registry_engine(f"sqlite:///{tmp_path / 'other.sqlite'}"))
    yield registry
    registry.close()


def fill(registry: RoomRegistry) -> None:
    """Put one of everything into a registry."""
    registry.link("7", "room-7", title="Sev\u00e9n \U0001f30a", is_private=True, state=RoomState.CLOSED)
    registry.link("a\tb\n'\"", "room-8", title="<b>", is_private=False, state=RoomState.DELETED)
    claim = registry.claim("given up", title="Given up", is_private=True, owner="host:1", lease_s=60)
    assert isinstance(claim, Claim)
    registry.release(claim, room_may_exist=True)
    registry.claim("claimed", title="Claimed", is_private=False, owner="host:1", lease_s=60)
    registry.visitor_id_for("ada")
    registry.visitor_id_for("Ada ")
    registry.keep_service_id("ada", "b1", "s1", instead_of=None)
    registry.keep_service_id("ada", "b2", "s2", instead_of=None)


def rows_of(registry: RoomRegistry) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything but claims, as the database has it."""
    with registry.transaction() as connection:
        return {
            kind: sorted(map(tuple, connection.execute(sa.select(*columns_of(table)))), key=repr)
            for kind, table in TABLES.items()
        }


def export(registry: RoomRegistry) -> list[str]:
    return list(export_lines(registry, website_id="blog"))


def bring(registry: RoomRegistry, lines: list[str], *, website_id: str = "blog") -> TransferResult:
    with RegistryImport(registry, website_id=website_id) as transfer:
        transfer.read(lines)
        return transfer.write()


def whole(*lines: Line) -> list[str]:
    """Return *lines* as an export has them."""
    counts = {f"{kind}s": sum(line.get("kind") == kind for line in lines) for kind in TABLES}
    return [json.dumps(line) for line in (FIRST, *lines, {"kind": "end", **counts})]


def problems(registry: RoomRegistry, lines: list[str]) -> list[str]:
    before = rows_of(registry)
    with pytest.raises(TransferError, match="^Nothing has been imported. ") as raised:
        bring(registry, lines)
    assert rows_of(registry) == before
    assert raised.value.problems[0] in str(raised.value)
    return list(raised.value.problems)


def test_nothing_is_lost(registry: RoomRegistry, other: RoomRegistry) -> None:
    fill(registry)
    lines = export(registry)
    assert all(line.isascii() for line in lines)
    assert bring(other, lines) == TransferResult(4, 2, 2, added=8)
    assert rows_of(other) == rows_of(registry)
    assert [line for line in export(other)[1:]] == lines[1:]
    # The next claim of a post whose chatroom may exist looks for it first.
    claim = other.claim("given up", title="x", is_private=False, owner="host:2", lease_s=60)
    assert isinstance(claim, Claim)
    assert (claim.number, claim.is_private) == (2, True)


def test_every_column_is_exported_that_is_no_claim(registry: RoomRegistry) -> None:
    fill(registry)
    found: dict[str, set[str]] = {}
    for line in export(registry)[1:-1]:
        data = json.loads(line)
        found.setdefault(data.pop("kind"), set()).update(data)
    assert {table.name for table in TABLES.values()} == set(metadata.tables)
    for kind, names in found.items():
        columns = set(TABLES[kind].columns.keys())
        assert columns - names == ({"claim_token", "claim_owner", "claim_expires_at"} if kind == "chatroom" else set())


def test_that_a_post_was_moved_goes_along(registry: RoomRegistry, other: RoomRegistry) -> None:
    entry = registry.link("old", "room", title="x", is_private=False, state=RoomState.OPEN)
    assert registry.rename(entry, "new")
    bring(other, export(registry))
    assert rows_of(other) == rows_of(registry)
    assert other.get("old").moved_to == "new"


def test_where_the_sites_engine_begins_transactions_itself(registry: RoomRegistry, tmp_path: Path) -> None:
    """As SQLAlchemy's documentation has it for SQLite, so that savepoints work."""
    fill(registry)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'site.sqlite'}")

    def leave_alone(connection: Any, _: object) -> None:
        connection.isolation_level = None

    sa.event.listen(engine, "connect", leave_alone)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    place = Database(engine, is_shared=True)
    assert registry_schema.upgrade(place)[1].is_newest
    there = RoomRegistry(lambda: place)
    bring(there, export(registry))
    assert export(there)[1:] == export(registry)[1:]
    engine.dispose()


def test_of_an_empty_registry(registry: RoomRegistry, other: RoomRegistry) -> None:
    lines = export(registry)
    assert len(lines) == 2
    assert bring(other, lines) == TransferResult(0, 0, 0)


def test_again_it_changes_nothing(registry: RoomRegistry) -> None:
    fill(registry)
    before = rows_of(registry)
    assert bring(registry, export(registry)) == TransferResult(4, 2, 2)
    assert rows_of(registry) == before


def test_more_than_one_batch_and_page(registry: RoomRegistry, other: RoomRegistry) -> None:
    for number in range(1_100):
        registry.link(f"{number}", f"r{number}", title="x", is_private=False, state=RoomState.OPEN)
        registry.keep_service_id(f"user {number % 3}", f"b{number}", f"s{number}", instead_of=None)
    told: list[tuple[int, int | None]] = []
    lines = list(export_lines(registry, website_id="blog", progress=lambda *now: told.append(now)))
    assert told[-1] == (2_200, 2_200)
    with RegistryImport(other, website_id="blog") as transfer:
        transfer.read(lines)
        result = transfer.write(progress=lambda *now: told.append(now))
    assert result == TransferResult(1_100, 0, 1_100, added=2_200)
    assert told[-1] == (2_200, 2_200)
    assert rows_of(other) == rows_of(registry)


def test_one_that_was_interrupted_is_taken_up(registry: RoomRegistry, other: RoomRegistry) -> None:
    for number in range(1_100):
        registry.link(f"{number}", f"r{number}", title="x", is_private=False, state=RoomState.OPEN)
    lines = export(registry)

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with RegistryImport(other, website_id="blog") as transfer:
        transfer.read(lines)
        with pytest.raises(KeyboardInterrupt):
            transfer.write(progress=interrupt)
    assert other.count() == 500
    assert bring(other, lines).added == 600
    assert rows_of(other) == rows_of(registry)


def test_an_export_is_of_one_moment(registry: RoomRegistry) -> None:
    """A post that is moved from behind to before where the export is must not be missed."""
    for number in range(600):
        registry.link(f"b{number:03}", f"r{number}", title="x", is_private=False, state=RoomState.OPEN)
    moved: list[bool] = []

    def move(done: int, total: int | None) -> None:
        if done == 400:
            moved.append(registry.rename(registry.get("b599"), "a"))

    lines = list(export_lines(registry, website_id="blog", progress=move))
    assert moved == [True]
    assert {json.loads(line)["chatroom_id"] for line in lines[1:-1]} == {f"r{number}" for number in range(600)}


class TestConflicts:
    """What contradicts the registry is named, and nothing at all is written."""

    def test_of_posts(self, registry: RoomRegistry) -> None:
        registry.link("7", "room-1", title="x", is_private=False, state=RoomState.OPEN)
        registry.link("8", "room-8", title="x", is_private=False, state=RoomState.OPEN)
        registry.claim("9", title="x", is_private=False, owner="x", lease_s=60)
        lines = whole(
            CHATROOM,
            CHATROOM | {"post_id": "new", "chatroom_id": "room-8"},
            CHATROOM | {"post_id": "9", "chatroom_id": "room-9"},
            CHATROOM | {"post_id": "fits", "chatroom_id": "room-fits"},
        )
        assert problems(registry, lines) == [
            "Line 2: The post '7' has the chatroom room-1 here, and not room-7.",
            "Line 3: The chatroom room-8 of the post 'new' is that of the post '8' here.",
            "Line 4: Somebody is just making a chatroom for the post '9' here.",
        ]
        assert registry.find("fits") is None

    def test_of_visitors(self, registry: RoomRegistry) -> None:
        ada = registry.visitor_id_for("ada")
        registry.keep_service_id("ada", "b1", "other", instead_of=None)
        lines = whole(VISITOR, VISITOR | {"visitor_key": "bob", "visitor_id": ada}, HOSTED)
        assert problems(registry, lines) == [
            "Line 2: The user 'ada' has another public ID here.",
            "Line 3: The public ID of the user 'bob' is another user's here.",
            "Line 4: The user has another ID of the service here, in this browser.",
        ]

    def test_what_may_differ_stays_as_it_is_here(self, registry: RoomRegistry) -> None:
        registry.link("7", "room-7", title="New", is_private=True, state=RoomState.CLOSED)
        before = registry.get("7")
        assert bring(registry, whole(CHATROOM)) == TransferResult(1, 0, 0, kept=1)
        assert registry.get("7") == before

    def test_a_claim_that_has_ended_is_taken_over(self, registry: RoomRegistry) -> None:
        claim = registry.claim("7", title="x", is_private=True, owner="x", lease_s=0)
        assert bring(registry, whole(CHATROOM)).added == 1
        entry = registry.get("7")
        assert (entry.chatroom_id, entry.title, entry.is_private) == ("room-7", "Seven", True)
        assert isinstance(claim, Claim)
        assert registry.record(claim, "late").chatroom_id == "room-7"

    def test_a_claim_in_the_file_takes_nothing_away(self, registry: RoomRegistry) -> None:
        registry.link("7", "room-7", title="x", is_private=True, state=RoomState.OPEN)
        before = registry.get("7")
        bring(registry, whole(CHATROOM | {"chatroom_id": None, "state": "creating"}))
        assert registry.get("7") == before

    def test_of_another_website(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        lines = export(registry)
        with pytest.raises(TransferError, match="of the website 'blog', and this one is 'shop'"):
            bring(other, lines, website_id="shop")

    def test_that_come_up_between_reading_and_writing(self, registry: RoomRegistry) -> None:
        with RegistryImport(registry, website_id="blog") as transfer:
            transfer.read(whole(CHATROOM | {"post_id": "1", "chatroom_id": "r1"}, CHATROOM))
            registry.link("7", "room-1", title="x", is_private=False, state=RoomState.OPEN)
            with pytest.raises(TransferError, match="Line 3: The post '7' has the chatroom room-1 here.* once more"):
                transfer.write()
        assert registry.find("1") is None

    def test_what_is_registered_at_the_same_moment(
        self, registry: RoomRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody inserts a row behind the look and before the deed; it is the same one."""
        from flask_chatix_comments.registry_batches import Batch

        known = Batch.known

        def slow(batch: Batch, connection: sa.Connection) -> Any:
            found = known(batch, connection)
            monkeypatch.undo()
            registry.link("7", "room-7", title="Seven", is_private=False, state=RoomState.OPEN)
            return found

        with RegistryImport(registry, website_id="blog") as transfer:
            transfer.read(whole(CHATROOM))
            monkeypatch.setattr(Batch, "known", slow)
            assert transfer.write() == TransferResult(1, 0, 0)

    def test_too_many_to_tell(self, registry: RoomRegistry) -> None:
        lines = whole(*(CHATROOM | {"post_id": f"{n}", "chatroom_id": f"{n}", "state": "?"} for n in range(150)))
        # The last line's number of rows is wrong, too, since none was right.
        assert len(problems(registry, lines)) == MAX_PROBLEMS


CUT = "The last line is missing: the file is not whole."
NOT_BEGUN = 'Line 1: An export begins with its "registry" line, and has one.'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "There is nothing in it."),
        (["", " \n"], "There is nothing in it."),
        (whole(CHATROOM)[:-1], CUT),
        (whole(CHATROOM)[:1], CUT),
        (whole(CHATROOM)[1:], NOT_BEGUN),
        (["[]"], 'Line 1: It is no object with a "kind".'),
        (["nonsense"], "Line 1: It is not JSON."),
        (["[" * 100_000], "Line 1: It is not JSON."),
        (["{}"], 'Line 1: It is no object with a "kind".'),
        ([json.dumps(FIRST | {"version": 2})], "Line 1: It is of version 2; this package reads version 1."),
        ([*whole()[:1], *whole()], 'Line 2: An export begins with its "registry" line, and has one.'),
        ([*whole(), json.dumps(VISITOR)], "Line 3: It stands behind the last line."),
        ([json.dumps(FIRST), json.dumps({"kind": "wall"})], "Line 2: There is no kind 'wall'."),
    ],
)
def test_files_that_are_not_whole(registry: RoomRegistry, lines: list[str], problem: str) -> None:
    assert problems(registry, lines)[0] == problem


def test_a_line_that_is_gone_is_noticed(registry: RoomRegistry) -> None:
    lines = whole(CHATROOM, VISITOR)
    del lines[1]
    (problem,) = problems(registry, lines)
    assert problem.startswith("Line 3: There are not as many lines as it says: ")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (CHATROOM | {"more": 1}, "A chatroom cannot have 'more'."),
        ({name: value for name, value in CHATROOM.items() if name != "title"}, "A chatroom has no 'title'."),
        (CHATROOM | {"post_id": ""}, "'post_id' is empty."),
        (CHATROOM | {"post_id": 7}, "'post_id' is no text."),
        (CHATROOM | {"post_id": "x" * 256}, "'post_id' has more than 255 characters."),
        (CHATROOM | {"post_id": "a\0"}, "'post_id' holds what no database can keep."),
        (CHATROOM | {"title": "\ud800"}, "'title' holds what no database can keep."),
        (CHATROOM | {"title": None}, "'title' is no text."),
        (CHATROOM | {"is_private": 0}, "'is_private' is neither true nor false."),
        (CHATROOM | {"state": "ajar"}, "'state' is one of creating, open, closed, deleted, moved."),
        (CHATROOM | {"state": "moved"}, "'chatroom_id' is null while the state is creating or moved"),
        (CHATROOM | MOVED | {"title": ""}, "'title' is the post's new ID: "),
        (CHATROOM | MOVED | {"title": CHATROOM["post_id"]}, "'title' is the post's new ID, and not its own"),
        (
            CHATROOM | {"chatroom_id": None},
            "'chatroom_id' is null while the state is creating or moved",
        ),
        (
            CHATROOM | {"state": "creating"},
            "'chatroom_id' is null while the state is creating or moved",
        ),
        (CHATROOM | {"claim_number": True}, "'claim_number' is no number from 0 on."),
        (CHATROOM | {"claim_number": -1}, "'claim_number' is no number from 0 on."),
        (CHATROOM | {"claim_number": 2**31}, "'claim_number' is no number from 0 on."),
        (
            CHATROOM | {"created_at": 7},
            "'created_at' is no time with its zone, such as 2026-11-25T12:00:00.123456+00:00.",
        ),
        (VISITOR | {"created_at": "2026-11-25"}, "'created_at' is no time with its zone, such as "),
        (
            VISITOR | {"created_at": "9999-12-31T23:59:59-01:00"},
            "'created_at' is no time with its zone, such as ",
        ),
        (
            VISITOR | {"created_at": "0001-01-01T00:00:00+01:00"},
            "'created_at' is no time with its zone, such as ",
        ),
        (CHATROOM | {"chatroom_id": "\x1b[31mroom"}, "'chatroom_id' is no ID that can stand in a URL."),
        (VISITOR | {"visitor_id": "v1&websiteId=other"}, "'visitor_id' is no ID that can stand in a URL."),
        (HOSTED | {"service_id": "a b"}, "'service_id' is no ID that can stand in a URL."),
        (CHATROOM | {"x" * 500: 1}, f"A chatroom cannot have '{'x' * 99}…."),
        (VISITOR | {"visitor_id": ""}, "'visitor_id' is empty."),
        (HOSTED | {"service_id": "x" * 2001}, "'service_id' has more than 2000 characters."),
    ],
)
def test_every_line_is_checked(registry: RoomRegistry, line: Line, reason: str) -> None:
    (problem,) = [one for one in problems(registry, whole(line)) if one.startswith("Line 2")]
    assert problem.startswith(f"Line 2: {reason}")


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (CHATROOM, CHATROOM | {"chatroom_id": "other"}, "post or chatroom"),
        (CHATROOM, CHATROOM | {"post_id": "other"}, "post or chatroom"),
        (CHATROOM, CHATROOM, "post or chatroom"),
        (VISITOR, VISITOR | {"visitor_id": "other"}, "visitor's key or ID"),
        (VISITOR, VISITOR | {"visitor_key": "other"}, "visitor's key or ID"),
        (HOSTED, HOSTED | {"service_id": "other"}, "visitor's key and browser"),
    ],
)
def test_lines_that_contradict_each_other(registry: RoomRegistry, first: Line, second: Line, what: str) -> None:
    (problem,) = problems(registry, whole(first, second))
    assert problem == f"Line 3: It contradicts line 2, which has the same {what}."


SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@given(st.text(max_size=40) | st.recursive(SCALARS, st.lists).map(json.dumps))
def test_whatever_stands_in_a_line_is_read_or_refused(line: str) -> None:
    try:
        parse_line(line)
    except TransferError as exc:
        assert str(exc)


@given(st.fixed_dictionaries({name: SCALARS for name in CHATROOM}))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_in_a_row_is_read_or_refused(values: Line) -> None:
    try:
        kind, row = parse_line(json.dumps(values | {"kind": "chatroom"}))
    except TransferError as exc:
        assert str(exc)
    else:
        assert (kind, set(row)) == ("chatroom", set(values) - {"kind"})


def test_a_database_that_fails(registry: RoomRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.count()
    with registry.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE chatix_chatrooms")
    with pytest.raises(RegistryError):
        export(registry)


def test_a_file_of_another_encoding(registry: RoomRegistry, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(b"\xff\xfe")
    with (
        path.open(encoding="utf-8") as stream,
        RegistryImport(registry, website_id="blog") as transfer,
        pytest.raises(TransferError, match="The file is not UTF-8"),
    ):
        transfer.read(stream)


@pytest.mark.parametrize("kind", KINDS)
def test_in_every_kind_of_database(
    kind: Kind, database_servers: DatabaseServers, registry: RoomRegistry, tmp_path: Path
) -> None:
    """There and back, and the moves of the upkeep on the way."""
    fill(registry)
    there = RoomRegistry(create_registry_engine(database_servers.fresh_url(kind, tmp_path / "there")))
    assert bring(there, export(registry)) == TransferResult(4, 2, 2, added=8)
    assert export(there)[1:] == export(registry)[1:]
    assert bring(there, export(registry)).added == 0
    assert not there.rename(there.get("7"), "a\tb\n'\"")
    assert there.rename(there.get("7"), "given up")
    assert there.get("given up").chatroom_id == "room-7"
    assert there.vacate(there.get("given up"))
    assert [one.post_id for one in there.claims(margin_s=60)] == ["claimed", "given up"]
    there.close()
