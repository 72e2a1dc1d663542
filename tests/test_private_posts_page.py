"""What docs/private-posts.md says holds: its code runs, and its sentence is the section's."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

from flask_chatix_comments import Visitor
from flask_chatix_comments.cli import chatix
from flask_chatix_comments.visitors import PRIVATE_TICKET_LIFETIME_S
from tests.documents import blocks, commands, document, run
from tests.flask_support import Site

PAGE = document("docs/private-posts.md")
ROOT = Path(__file__).parents[1]


def test_the_loader_works_as_it_stands(site: Site) -> None:
    code, _ = blocks(PAGE, "python")
    members = {("7", "inner")}
    run(code, comments=site.comments, Visitor=Visitor, is_member=lambda key, post_id: (key, post_id) in members)
    assert site.state.access.may_read(Visitor(7, "Ada"), "inner")
    assert not site.state.access.may_read(Visitor(8, "Ben"), "inner")
    assert not site.state.access.may_read(None, "inner")


def test_what_backfill_is_told_as_it_stands(site: Site) -> None:
    _, code = blocks(PAGE, "python")
    posts = [
        SimpleNamespace(id=1, title="All", members_only=False),
        SimpleNamespace(id=2, title="Few", members_only=True),
    ]
    run(code, comments=site.comments, load_posts=lambda: posts)
    with site.app.app_context():
        assert all(result.error is None for result in site.comments.backfill())
    assert {entry.post_id: entry.is_private for entry in site.state.registry.entries()} == {"1": False, "2": True}


def test_the_commands_and_methods_exist(site: Site) -> None:
    named = {command.split()[2] for command in commands(PAGE, "flask")}
    assert named == {"make-private", "make-public"} and named <= set(chatix.commands)
    for name in re.findall(r"`comments\.(\w+)\(", PAGE):
        assert callable(getattr(site.comments, name))


def test_the_sentence_is_the_sections() -> None:
    (sentence,) = re.findall(r'the sentence "(.*?)"', PAGE)
    assert f'gone: "{sentence}"' in (ROOT / "browser/i18n.ts").read_text()


def test_the_hour_is_that_of_the_code() -> None:
    assert "**After an hour**" in PAGE and PRIVATE_TICKET_LIFETIME_S == 3600
