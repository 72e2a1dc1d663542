"""Settings: what is accepted, what each refusal says."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.config import HUB_PACKAGES, SETTINGS, ChatixConfig
from flask_chatix_comments.errors import ConfigError

STRONG = "correct horse battery staple"


def read(settings: dict[str, Any] | None = None, **options: Any) -> ChatixConfig:
    options.setdefault("instance_path", "/srv/blog/instance")
    return ChatixConfig.from_mapping({"SECRET_KEY": STRONG} | (settings or {}), **options)


def refusal(settings: dict[str, Any], **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(settings, **options)
    return caught.value


def test_nothing_but_a_secret_is_needed() -> None:
    config = read()
    assert (config.website_id, config.is_hosted, config.runs_hub) == ("local", False, True)
    assert (config.api_url, config.hub_url, config.hub_host, config.hub_port) == (None, None, None, 5001)
    assert config.database_url == "sqlite:////srv/blog/instance/chatix_comments.sqlite3"
    assert config.hub_database_url == "sqlite:////srv/blog/instance/chatix_hub.sqlite3"
    assert config.hub_lock_path == Path("/srv/blog/instance/chatix_hub.sqlite3.lock")
    assert (config.create, config.url_prefix, config.guest_cookie) == ("reach", "/chatix-comments", "chatix_guest")
    assert (config.api_auth_header, config.api_timeout_s, config.api_operations) == ("X-Api-Key", 10.0, {})
    assert (config.max_message_chars, config.page_size, config.hub_allowed_origins) == (10_000, 30, ())
    assert (config.ticket_keys, config.post_keys, config.hub_api_keys) == ((), (), ())
    assert config.secrets == (STRONG.encode(),)


@pytest.mark.parametrize("blank", [None, "", "   "])
@pytest.mark.parametrize("key", SETTINGS)
def test_none_and_empty_text_are_not_set(key: str, blank: str | None) -> None:
    assert read({key: blank}) == read()


@pytest.mark.parametrize(
    ("key", "text", "value", "attribute"),
    [
        ("CHATIX_HUB_PORT", "5900", 5900, "hub_port"),
        ("CHATIX_HUB_PORT", "0", 0, "hub_port"),
        ("CHATIX_API_TIMEOUT", "2.5", 2.5, "api_timeout_s"),
        ("CHATIX_PAGE_SIZE", "100", 100, "page_size"),
        ("CHATIX_EDIT_WINDOW", "0", 0, "edit_window_s"),
        ("CHATIX_EDIT_WINDOW", 60, 60, "edit_window_s"),
        ("CHATIX_MAX_LENGTH", " 500 ", 500, "max_message_chars"),
        ("CHATIX_CREATE", "render", "render", "create"),
        ("CHATIX_CREATE", "reach", "reach", "create"),
        ("CHATIX_SDK", "bundled", "bundled", "sdk"),
        ("CHATIX_HUB_LOG_FORMAT", "json", "json", "hub_log_format"),
        ("CHATIX_HUB_PRESENCE", "off", "off", "hub_presence"),
        ("CHATIX_HUB_LOG_LEVEL", "error", "error", "hub_log_level"),
        ("CHATIX_HUB_METRICS_KEY", "m" * 20, ("m" * 20,), "hub_metrics_keys"),
        ("CHATIX_API_URL", "https://localhost/chat/v1/", "https://localhost/chat/v1", "api_url"),
        ("CHATIX_HUB_URL", "https://chat.example", "https://chat.example/v1", "hub_url"),
        ("CHATIX_HUB_URL", "https://blog.example/chat/v1/", "https://blog.example/chat/v1", "hub_url"),
        ("CHATIX_HUB_HOST", "::1", "::1", "hub_host"),
        ("CHATIX_HUB_WEBSITE_ID", "my-blog", "my-blog", "website_id"),
        ("CHATIX_URL_PREFIX", "/talk/comments", "/talk/comments", "url_prefix"),
        ("CHATIX_GUEST_COOKIE", "guest", "guest", "guest_cookie"),
        ("CHATIX_API_AUTH_HEADER", "X-Key", "X-Key", "api_auth_header"),
        ("CHATIX_API_AUTH_HEADER", "Authorization: Bearer", "Authorization: Bearer", "api_auth_header"),
        ("CHATIX_API_URL", "http://[::1]:5001/v1", "http://[::1]:5001/v1", "api_url"),
        (
            "CHATIX_HUB_ALLOWED_ORIGINS",
            "https://Blog.example, http://localhost:8000",
            ("https://blog.example", "http://localhost:8000"),
            "hub_allowed_origins",
        ),
        ("CHATIX_HUB_ALLOWED_ORIGINS", '["https://a.example"]', ("https://a.example",), "hub_allowed_origins"),
        (
            "CHATIX_HUB_TRUSTED_PROXIES",
            "127.0.0.1, 10.0.0.0/8, ::1",
            ("127.0.0.1/32", "10.0.0.0/8", "::1/128"),
            "hub_limits.trusted_proxies",
        ),
        ("CHATIX_HUB_CHATROOMS_PER_VISITOR", "5", 5, "hub_limits.chatrooms_per_visitor"),
        ("CHATIX_CREATE_TABLES", "true", True, "creates_tables"),
        ("CHATIX_CREATE_TABLES", "No", False, "creates_tables"),
        ("CHATIX_DATABASE_BIND", "talk", "talk", "database_bind"),
        ("CHATIX_TICKET_KEY", "k" * 16, ("k" * 16,), "ticket_keys"),
        (
            "CHATIX_POST_KEY",
            '["new-key-new-key-", "old-key,old-key,"]',
            ("new-key-new-key-", "old-key,old-key,"),
            "post_keys",
        ),
        (
            "CHATIX_API_OPERATIONS",
            '{"get_chatroom": {"path": "/x"}}',
            {"get_chatroom": {"path": "/x"}},
            "api_operations",
        ),
        ("CHATIX_DATABASE_URL", "postgresql+psycopg://u:p@db/blog", "postgresql+psycopg://u:p@db/blog", "database_url"),
    ],
)
def test_text_of_the_environment_is_understood(key: str, text: str, value: Any, attribute: str) -> None:
    assert operator.attrgetter(attribute)(read({key: text})) == value


@pytest.mark.parametrize(
    ("key", "value", "attribute"),
    [
        ("CHATIX_HUB_PORT", 5900, "hub_port"),
        ("CHATIX_CREATE_TABLES", False, "creates_tables"),
        ("CHATIX_API_TIMEOUT", 3, "api_timeout_s"),
        ("CHATIX_HUB_ALLOWED_ORIGINS", ("https://a.example",), "hub_allowed_origins"),
        ("CHATIX_HUB_API_KEY", ("n" * 20, "o" * 20), "hub_api_keys"),
        ("CHATIX_HUB_METRICS_KEY", ("n" * 20, "o" * 20), "hub_metrics_keys"),
        ("CHATIX_API_OPERATIONS", {"get_chatroom": {"method": "POST"}}, "api_operations"),
    ],
)
def test_values_of_their_own_type_are_taken(key: str, value: Any, attribute: str) -> None:
    assert getattr(read({key: value}), attribute) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CHATIX_HUB_TRUSTED_PROXIES", "proxy.example"),
        ("CHATIX_HUB_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("CHATIX_HUB_TRUSTED_PROXIES", ["127.0.0.1", "*"]),
        ("CHATIX_HUB_LIMITS", '{"posting": {"visitor": "30/60"'),
        ("CHATIX_HUB_LIMITS", {"whispering": {"visitor": "30/60"}}),
        ("CHATIX_HUB_LIMITS", {"posting": {"everybody": "30/60"}}),
        *(("CHATIX_HUB_LIMITS", {"posting": {"visitor": rate}}) for rate in ("30", 30, "0/60", "1/0", "1/nan", "x/60")),
        ("CHATIX_HUB_CONNECTIONS_PER_VISITOR", 0),
        ("CHATIX_HUB_CONNECTIONS_PER_ADDRESS", 0),
        ("CHATIX_HUB_CHATROOMS_PER_VISITOR", 0),
        ("CHATIX_HUB_PORT", "http"),
        ("CHATIX_HUB_PORT", 70_000),
        ("CHATIX_HUB_PORT", -1),
        ("CHATIX_HUB_PORT", True),
        ("CHATIX_HUB_PORT", 5000.5),
        ("CHATIX_HUB_PORT", "9" * 5000),
        ("CHATIX_API_TIMEOUT", "soon"),
        ("CHATIX_API_TIMEOUT", "nan"),
        ("CHATIX_API_TIMEOUT", "0"),
        ("CHATIX_API_TIMEOUT", True),
        ("CHATIX_API_TIMEOUT", []),
        ("CHATIX_CREATE_TABLES", "perhaps"),
        ("CHATIX_CREATE_TABLES", 2),
        ("CHATIX_CREATE_TABLES", []),
        ("CHATIX_DATABASE_BIND", 5),
        ("CHATIX_PAGE_SIZE", 101),
        ("CHATIX_EDIT_WINDOW", -1),
        ("CHATIX_EDIT_WINDOW", 31_536_001),
        ("CHATIX_EDIT_WINDOW", "15 minutes"),
        ("CHATIX_MAX_LENGTH", 0),
        ("CHATIX_CREATE", "never"),
        ("CHATIX_SDK", "Widget"),
        ("CHATIX_HUB_LOG_FORMAT", "xml"),
        ("CHATIX_HUB_LOG_LEVEL", "debug"),
        ("CHATIX_HUB_METRICS_KEY", "secret-word"),
        ("CHATIX_API_URL", "chat.example/v1"),
        ("CHATIX_API_URL", "ftp://chat.example"),
        ("CHATIX_API_URL", "https://user:secret-word@chat.example"),
        ("CHATIX_API_URL", "https://chat.example/v1?key=secret-word"),
        ("CHATIX_API_URL", "https://chat.example:99999"),
        ("CHATIX_API_URL", "https://chat.example:0"),
        ("CHATIX_API_URL", "https://[::1"),
        ("CHATIX_API_URL", "https://chat.example/\x00"),
        ("CHATIX_API_URL", 5),
        ("CHATIX_API_URL", "https://chät.example/v1"),
        ("CHATIX_API_URL", "https://chat example/v1"),
        ("CHATIX_API_KEY", "secret-word é"),
        ("CHATIX_API_KEY", "secret-word\r\nX: y"),
        ("CHATIX_HUB_URL", "//chat.example"),
        ("CHATIX_HUB_HOST", "not a host"),
        ("CHATIX_HUB_WEBSITE_ID", "a&ticket=b"),
        ("CHATIX_HUB_ALLOWED_ORIGINS", "https://blog.example/path"),
        ("CHATIX_HUB_ALLOWED_ORIGINS", "*"),
        ("CHATIX_HUB_ALLOWED_ORIGINS", '["https://a.example"'),
        ("CHATIX_HUB_ALLOWED_ORIGINS", 7),
        ("CHATIX_HUB_ALLOWED_ORIGINS", [7]),
        ("CHATIX_HUB_ALLOWED_ORIGINS", {"https://a.example": 1}),
        ("CHATIX_URL_PREFIX", "comments"),
        ("CHATIX_URL_PREFIX", "/"),
        ("CHATIX_URL_PREFIX", "/comments/"),
        ("CHATIX_URL_PREFIX", "/<int:x>"),
        ("CHATIX_GUEST_COOKIE", "a=b"),
        ("CHATIX_API_AUTH_HEADER", "X Key\r\nY: z"),
        ("CHATIX_TICKET_KEY", "secret-word"),
        ("CHATIX_POST_KEY", ["secret-word"]),
        ("CHATIX_HUB_API_KEY", "secret-word with blanks and more"),
        ("CHATIX_API_OPERATIONS", "{"),
        ("CHATIX_API_OPERATIONS", '["get_chatroom"]'),
        ("CHATIX_API_OPERATIONS", {"get_chatroom": "/x"}),
        ("CHATIX_API_OPERATIONS", "[" * 100_000),
        ("CHATIX_DATABASE_URL", "comments.sqlite3"),
        ("CHATIX_DATABASE_URL", 5),
    ],
)
def test_a_refusal_names_the_key_and_tells_no_value(key: str, value: Any) -> None:
    error = refusal({key: value})
    assert error.key == key
    assert str(error).startswith(f"{key}: ")
    assert "secret-word" not in str(error)


def test_an_unknown_setting_is_refused_with_the_likely_one() -> None:
    assert (
        str(refusal({"CHATIX_HUB_PROT": 1}))
        == "CHATIX_HUB_PROT: there is no such setting; did you mean CHATIX_HUB_PORT?"
    )
    assert "CHATIX_WEBSITE_ID, CHATIX_API_KEY" in str(refusal({"CHATIX_ZZZZZZZ": 1}))


def test_other_extensions_settings_are_left_alone() -> None:
    assert read({"SQLALCHEMY_DATABASE_URI": "x", "chatix_x": 1}) == read()


# Two modes


def test_website_and_key_mean_the_hosted_service() -> None:
    config = read({"CHATIX_WEBSITE_ID": "abc-1", "CHATIX_API_KEY": "the key"})
    assert (config.website_id, config.api_key, config.is_hosted, config.runs_hub) == ("abc-1", "the key", True, False)


@pytest.mark.parametrize(
    ("given", "missing"),
    [("CHATIX_WEBSITE_ID", "CHATIX_API_KEY"), ("CHATIX_API_KEY", "CHATIX_WEBSITE_ID")],
)
def test_one_of_the_two_alone_is_half_a_mode(given: str, missing: str) -> None:
    error = refusal({given: "abc"})
    assert error.key == missing
    assert f"although {given} is set; set both" in str(error)


def test_a_database_and_one_of_the_sites_contradict_each_other() -> None:
    error = refusal({"CHATIX_DATABASE_URL": "sqlite://", "CHATIX_DATABASE_BIND": "talk"})
    assert (error.key, "contradicts CHATIX_DATABASE_URL" in str(error)) == ("CHATIX_DATABASE_BIND", True)


def test_the_hosted_service_and_a_hub_contradict_each_other() -> None:
    error = refusal({"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b", "CHATIX_HUB_URL": "https://hub.example"})
    assert error.key == "CHATIX_HUB_URL"
    assert "remove it, or remove those two" in str(error)


def test_the_widget_talks_to_the_hosted_service_only() -> None:
    error = refusal({"CHATIX_SDK": "widget"})
    assert error.key == "CHATIX_SDK"
    assert "set CHATIX_WEBSITE_ID and CHATIX_API_KEY as well, or remove it" in str(error)
    assert read({"CHATIX_SDK": "widget", "CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"}).sdk == "widget"


def test_an_api_elsewhere_needs_the_keys_of_the_service_or_its_hub() -> None:
    elsewhere = {"CHATIX_API_URL": "https://chat.example/v1"}
    error = refusal(elsewhere)
    assert error.key == "CHATIX_API_URL"
    assert "CHATIX_WEBSITE_ID and CHATIX_API_KEY as well" in str(error)
    assert not read(elsewhere | {"CHATIX_HUB_URL": "https://chat.example"}).runs_hub
    assert read(elsewhere | {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the-key"}).is_hosted


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "[::1]", "192.0.2.7"])
def test_the_api_of_the_hub_that_runs_here_may_be_named(host: str) -> None:
    assert read({"CHATIX_API_URL": f"http://{host}:5001/v1", "CHATIX_HUB_HOST": "192.0.2.7"}).runs_hub


@pytest.mark.parametrize(
    "value",
    ["example.org", "*", "https://x.org/v1", "https://x.org?v=1", "https://x.org/#top", "ftp://x.org", "http://"],
)
def test_what_is_no_origin_is_shown_one(value: str) -> None:
    says = "CHATIX_HUB_ALLOWED_ORIGINS: must list origins such as https://blog.example.com, without a path."
    assert str(refusal({"CHATIX_HUB_ALLOWED_ORIGINS": ["https://blog.example/", value]})) == says
    assert read({"CHATIX_HUB_ALLOWED_ORIGINS": "https://Blog.example/?"}).hub_allowed_origins == (
        "https://blog.example",
    )


@pytest.mark.parametrize(
    ("value", "says"), [("https://bücher.example", "in ASCII"), ("https://me:word@x.org", "must not hold a user name")]
)
def test_an_origin_is_checked_like_a_url(value: str, says: str) -> None:
    assert says in str(refusal({"CHATIX_HUB_ALLOWED_ORIGINS": value}))


def test_a_hub_elsewhere_is_not_started_here() -> None:
    assert not read({"CHATIX_HUB_URL": "https://hub.example"}).runs_hub


@pytest.mark.parametrize(("module", "package"), HUB_PACKAGES.items())
def test_the_built_in_hub_without_its_packages(module: str, package: str) -> None:
    error = refusal({}, is_installed=lambda name: name != module)
    assert error.key == "CHATIX_HUB_URL"
    begin = f"CHATIX_HUB_URL: {package} not installed; run pip install 'flask-chatix-comments[hub]' for"
    assert str(error).startswith(begin)


@pytest.mark.parametrize(
    "settings",
    [{"CHATIX_HUB_URL": "https://hub.example"}, {"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"}],
)
def test_no_hub_packages_are_needed_where_none_is_started(settings: dict[str, str]) -> None:
    assert read(settings, is_installed=lambda name: False).runs_hub is False


# Where data is kept


@pytest.mark.parametrize(
    ("url", "resolved", "lock"),
    [
        ("sqlite:///chat.db", "sqlite:////srv/blog/instance/chat.db", "/srv/blog/instance/chat.db.lock"),
        ("sqlite:////data/chat.db", "sqlite:////data/chat.db", "/data/chat.db.lock"),
        (
            "sqlite+pysqlite:///chat.db",
            "sqlite+pysqlite:////srv/blog/instance/chat.db",
            "/srv/blog/instance/chat.db.lock",
        ),
        ("postgresql:///blog", "postgresql:///blog", "/srv/blog/instance/chatix_hub.lock"),
    ],
)
def test_databases_and_the_lock_beside_them(url: str, resolved: str, lock: str) -> None:
    config = read({"CHATIX_HUB_DATABASE_URL": url, "CHATIX_DATABASE_URL": url})
    assert config.hub_database_url == config.database_url == resolved
    assert config.hub_lock_path == Path(lock)


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite://?timeout=5"),
        *("sqlite:///file::memory:?cache=shared&uri=true", "sqlite:///file:hub?mode=memory&uri=true"),
    ],
)
def test_the_hub_forgets_nothing_with_its_process(url: str) -> None:
    error = refusal({"CHATIX_HUB_DATABASE_URL": url})
    assert error.key == "CHATIX_HUB_DATABASE_URL"
    assert "name a file" in str(error)
    # What a registry loses is found again.
    assert read({"CHATIX_DATABASE_URL": url}).database_url.startswith("sqlite")


# Secrets


@pytest.mark.parametrize("missing", [None, "", b""])
def test_without_a_secret_nothing_is_signed(missing: Any) -> None:
    error = refusal({"SECRET_KEY": missing})
    assert error.key == "SECRET_KEY"
    assert "python -c 'import secrets; print(secrets.token_hex(32))'" in str(error)
    assert "`flask run --debug`" in str(error)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("dev", "is well known"),
        ("Change-Me!", "is well known"),
        ("your-secret-key-here", "is well known"),
        ("You will never guess", "is well known"),
        ("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "is well known"),
        (b'_5#y2L"F4Q8z\n\xec]/', "is well known"),
        ("8f42a73054b1749", "is shorter than 16 bytes"),
    ],
)
def test_a_weak_secret_is_refused_outside_debug(secret: str | bytes, reason: str) -> None:
    error = refusal({"SECRET_KEY": secret})
    assert error.key == "SECRET_KEY"
    assert reason in str(error)
    assert "secrets.token_hex" in str(error)
    assert refusal({"SECRET_KEY_FALLBACKS": [secret]}).key == "SECRET_KEY_FALLBACKS"


@pytest.mark.parametrize("settings", [{"TESTING": True}, {}])
@pytest.mark.parametrize("secret", ["dev", None])
def test_debug_and_tests_may_be_weak(settings: dict[str, Any], secret: str | None) -> None:
    config = read(settings | {"SECRET_KEY": secret}, debug=not settings)
    assert config.is_secret_for_development is (secret is None)
    assert len(config.secrets) == 1


def test_the_stand_in_for_a_secret_differs_between_sites() -> None:
    one, other = (read({"SECRET_KEY": None}, debug=True, instance_path=path) for path in ("/srv/one", "/srv/other"))
    assert one.secrets != other.secrets


@pytest.mark.parametrize("secret", ["8f42a73054b1749f", b"\x8f\x42\xa7\x30\x54\xb1\x74\x9f" * 2, "écriture à la plume"])
def test_a_strong_secret_is_taken_as_it_is(secret: str | bytes) -> None:
    expected = secret.encode() if isinstance(secret, str) else secret
    assert read({"SECRET_KEY": secret}).secrets == (expected,)


def test_fallbacks_come_after_the_secret() -> None:
    config = read({"SECRET_KEY_FALLBACKS": ["the key of last year", "", "the key of two years ago"]})
    assert config.secrets == (STRONG.encode(), b"the key of last year", b"the key of two years ago")


@pytest.mark.parametrize("value", ["one key, not a list of them", {"a": 1}, 5])
def test_fallbacks_must_be_a_list(value: Any) -> None:
    assert refusal({"SECRET_KEY_FALLBACKS": value}).key == "SECRET_KEY_FALLBACKS"


def test_a_secret_of_another_type_is_refused() -> None:
    assert str(refusal({"SECRET_KEY": 5})) == "SECRET_KEY: is int, not text or bytes."


def test_no_secret_is_in_the_repr() -> None:
    config = read(
        {
            "CHATIX_WEBSITE_ID": "a",
            "CHATIX_API_KEY": "secret-word",
            "CHATIX_TICKET_KEY": "secret-word-secret-word",
            "CHATIX_DATABASE_URL": "postgresql://blog:secret-word@db/blog",
            "SECRET_KEY": "secret-word-secret-word",
        }
    )
    assert "secret-word" not in repr(config)


def test_the_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        read().hub_port = 1  # type: ignore[misc]  # That it cannot be set is the test.
