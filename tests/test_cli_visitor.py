"""``flask chatix visitor forget``: asked first, done at the hub, then here."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import Result

from flask_chatix_comments.hub.config import DAY_S, RetentionConfig
from tests.flask_support import Site

HUB_SAYS = {"messages": 2, "files": 1, "was_known": False}


@pytest.fixture
def site(site: Site) -> Site:
    site.api.faults["/visitor/forget"] = lambda: httpx.Response(200, json=HUB_SAYS)
    return site


def run(site: Site, *arguments: str, **options: Any) -> Result:
    return site.app.test_cli_runner().invoke(args=["chatix", "visitor", "forget", *arguments], **options)


def asked(site: Site) -> list[str]:
    return [query["visitorId"] for query in site.api.queries("/visitor/forget")]


def test_it_asks_first(site: Site) -> None:
    no = run(site, "ada", input="n\n")
    assert (no.exit_code, asked(site)) == (1, [])
    yes = run(site, "ada", input="y\n")
    assert (yes.exit_code, yes.stdout, asked(site)) == (
        0,
        "ada is forgotten: 2 comments and 1 file deleted.\n",
        ["ada"],
    )
    assert "Delete all comments and files of ada, and what is known about this visitor, for good?" in yes.stderr


def test_nobody_is_asked_where_nobody_is(site: Site) -> None:
    result = run(site, "ada", "--yes", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"visitor_id": "ada"} | HUB_SAYS
    site.api.faults["/visitor/forget"] = lambda: httpx.Response(
        200, json={"messages": 0, "files": 0, "was_known": False}
    )
    assert run(site, "ada", "--yes").stdout == "Nothing was known of ada.\n"


def test_the_registry_does_not_know_who_it_was(site: Site) -> None:
    visitor_id = site.state.registry.visitor_id_for("user-7")
    other_id = site.state.registry.visitor_id_for("user-8")
    result = run(site, "user-7", "--user", "--yes", "--json")
    assert json.loads(result.stdout) == {"visitor_id": visitor_id} | HUB_SAYS | {"was_known": True}
    assert asked(site) == [visitor_id]
    assert site.state.registry.find_visitor_id("user-7") is None
    assert site.state.registry.find_visitor_id("user-8") == other_id
    # Who comes back is somebody new.
    assert site.state.registry.visitor_id_for("user-7") != visitor_id


def test_on_the_hosted_service_all_browsers_of_a_user_are_forgotten_here(site: Site) -> None:
    registry = site.state.registry
    for browser_id, service_id in (("b1", "s1"), ("b2", "s2")):
        registry.keep_service_id("user-7", browser_id, service_id, instead_of=None)
    registry.keep_service_id("user-8", "b3", "s3", instead_of=None)
    assert registry.forget_visitor("s2") == 2
    assert registry.find_service_id("user-7", "b1") is None
    assert registry.find_service_id("user-8", "b3") == "s3"


def test_a_user_who_was_never_here(site: Site) -> None:
    result = run(site, "user-9", "--user", "--yes")
    assert result.exit_code == 1
    assert result.stderr == "Error: The user 'user-9' has not been seen here: there is nothing to forget.\n"
    assert asked(site) == []


def test_what_the_hub_cannot_do_is_not_done_here_either(site: Site) -> None:
    visitor_id = site.state.registry.visitor_id_for("user-7")
    site.api.fail("/visitor/forget", 500)
    result = run(site, visitor_id, "--yes")
    assert result.exit_code == 1
    assert site.state.registry.find_visitor_id("user-7") == visitor_id


def test_the_settings_of_what_goes_by_itself(make_site: Any) -> None:
    assert make_site().state.hub_config().retention == RetentionConfig()
    days = {"COMMENT": 365, "FILE": 30, "ROOM": 730, "VISITOR": "90"}
    site = make_site(**{f"CHATIX_HUB_{name}_DAYS": number for name, number in days.items()})
    assert site.state.hub_config().retention == RetentionConfig(
        messages_s=365 * DAY_S, files_s=30 * DAY_S, chatrooms_s=730 * DAY_S, visitors_s=90 * DAY_S
    )
