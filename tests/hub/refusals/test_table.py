"""docs/hub-refusals.md: every row is done, and answers as it says; every refusal in the code has its row."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments import hub as hub_package
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.refusals.connections import ANSWERED, FRAMES, UPGRADES
from tests.hub.refusals.frames import SOCKET_FRAMES
from tests.hub.refusals.methods import METHODS, Talk
from tests.hub.refusals.requests import ENTRANCE, FILES, REST, Site
from tests.hub.refusals.rows import Rows
from tests.hub.refusals.transports import REQUESTS
from tests.hub.support import Clock, World

pytestmark = pytest.mark.anyio

DOCUMENT = Path(__file__).parents[3] / "docs/hub-refusals.md"
HUB = Path(hub_package.__file__).parent
ON_SITES = (ENTRANCE, UPGRADES, REQUESTS, SOCKET_FRAMES, FRAMES, ANSWERED, FILES, REST)
#: What refuses something to the command line only.
COMMANDS = {"outside", "backup", "restore"}
ERRORS = {
    *("RequestRefusedError", "InvalidArgumentError", "NotAllowedError", "NotFoundError", "ChatroomNotFoundError"),
    *("UnknownMethodError", "NameTakenError", "ProtocolError", "HandshakeError"),
}


def written() -> dict[str, dict[str, str]]:
    """Return the answers in the document, by heading and what is asked."""
    tables: dict[str, dict[str, str]] = {}
    heading = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and not set(cells[1]) <= set("-"):
            tables.setdefault(heading, {})[cells[0]] = cells[1]
    for rows in tables.values():
        del rows["what"]
    return tables


WRITTEN = written()


@pytest.fixture
async def site(make_config: Callable[..., HubConfig], clock: Clock, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(make_config, clock, tmp_path)
    yield site
    await site.close()


def test_the_tables_have_exactly_the_rows_that_are_done() -> None:
    done = {rows.heading: list(rows) for rows in (*ON_SITES, METHODS)}
    assert {heading: list(rows) for heading, rows in WRITTEN.items()} == done


@pytest.mark.parametrize("rows", ON_SITES, ids=lambda rows: rows.heading)
async def test_requests_and_connections(site: Site, rows: Rows[Site]) -> None:
    assert await rows.answers(site) == WRITTEN[rows.heading]


async def test_hub_methods(make_config: Callable[..., HubConfig], clock: Clock, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        numbers = itertools.count()

        def make_world(**settings: Any) -> World:
            config = make_config(database_url=f"sqlite:///{tmp_path / str(next(numbers))}.sqlite3", **settings)
            store = SqlStore(config.database_url)
            store.open()
            stack.push_async_callback(store.close)
            return World(config, store, clock)

        assert await METHODS.answers(Talk(make_world)) == WRITTEN[METHODS.heading]


# Nothing is refused in the code that is not in the document


def refusals() -> Iterator[tuple[str, str]]:
    """Yield where something is refused, and a pattern of its sentence."""
    for path in sorted(path for path in HUB.rglob("*.py") if path.stem not in COMMANDS):
        module = path.relative_to(HUB.parent).with_suffix("")
        for node in ast.walk(ast.parse(path.read_text())):
            sentence = _sentence_of(node)
            if sentence is not None:
                names = vars(importlib.import_module(".".join(("flask_chatix_comments", *module.parts))))
                yield f"{module}:{sentence.lineno}", _pattern_of(sentence, names)


def _sentence_of(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[*_, sentence]) if name in ERRORS:
            return sentence
        case ast.Call(func=ast.Attribute(attr="close"), keywords=[ast.keyword(arg="error", value=sentence), *_]):
            return sentence
    return None


def _pattern_of(sentence: ast.expr, names: dict[str, Any]) -> str:
    match sentence:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.Name(id=name) if name in names:
            return re.escape(str(names[name]))
        case ast.JoinedStr(values=parts):
            return "".join(_pattern_of(part, names) for part in parts)
        case ast.IfExp(body=one, orelse=other):
            return f"({_pattern_of(one, names)}|{_pattern_of(other, names)})"
    return ".+"


def test_every_refusal_in_the_code_is_in_a_table() -> None:
    sentences = [answer.partition(": ")[2] for rows in WRITTEN.values() for answer in rows.values()]
    found = list(refusals())
    assert len(found) > 100
    missing = [
        f"{place}: {pattern}"
        for place, pattern in found
        if not any(re.fullmatch(pattern, sentence) for sentence in sentences)
    ]
    assert missing == []
