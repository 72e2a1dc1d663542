"""Read every setting once, check it at once, keep it frozen and typed.

Nothing else in this package reads ``app.config``. A value may be of its own type or text, as it
comes from the environment; ``None`` and empty text are "not set".
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from . import setting_values as values
from .errors import ConfigError
from .file_settings import FileSettings
from .limit_settings import LimitSettings
from .retention_settings import RetentionSettings
from .setting_values import SECRET_COMMAND

T = TypeVar("T")

SETTINGS: tuple[str, ...] = (
    "CHATIX_WEBSITE_ID",
    "CHATIX_API_KEY",
    "CHATIX_API_URL",
    "CHATIX_API_OPERATIONS",
    "CHATIX_API_AUTH_HEADER",
    "CHATIX_API_TIMEOUT",
    "CHATIX_DATABASE_URL",
    "CHATIX_DATABASE_BIND",
    "CHATIX_CREATE_TABLES",
    "CHATIX_CREATE",
    "CHATIX_LOOKUP_AGE",
    "CHATIX_RENDER_WAIT",
    "CHATIX_SDK",
    "CHATIX_URL_PREFIX",
    "CHATIX_HUB_PORT",
    "CHATIX_HUB_HOST",
    "CHATIX_HUB_URL",
    "CHATIX_HUB_WEBSITE_ID",
    "CHATIX_HUB_DATABASE_URL",
    "CHATIX_HUB_FILES",
    "CHATIX_HUB_RESTORE_DAYS",
    "CHATIX_HUB_COMMENT_DAYS",
    "CHATIX_HUB_FILE_DAYS",
    "CHATIX_HUB_ROOM_DAYS",
    "CHATIX_HUB_VISITOR_DAYS",
    "CHATIX_HUB_ALLOWED_ORIGINS",
    "CHATIX_HUB_PRESENCE",
    "CHATIX_HUB_TRUSTED_PROXIES",
    "CHATIX_HUB_LIMITS",
    "CHATIX_HUB_CONNECTIONS_PER_VISITOR",
    "CHATIX_HUB_CONNECTIONS_PER_ADDRESS",
    "CHATIX_HUB_CHATROOMS_PER_VISITOR",
    "CHATIX_TICKET_KEY",
    "CHATIX_POST_KEY",
    "CHATIX_HUB_API_KEY",
    "CHATIX_HUB_METRICS_KEY",
    "CHATIX_HUB_LOG_FORMAT",
    "CHATIX_HUB_LOG_LEVEL",
    "CHATIX_MAX_LENGTH",
    "CHATIX_PAGE_SIZE",
    "CHATIX_EDIT_WINDOW",
    "CHATIX_MAX_FILES",
    "CHATIX_MAX_FILE_BYTES",
    "CHATIX_MAX_IMAGE_PIXELS",
    "CHATIX_FILE_TYPES",
    "CHATIX_FILES_PER_HOUR",
    "CHATIX_BYTES_PER_HOUR",
    "CHATIX_GUEST_COOKIE",
)

YEAR_S = 365 * 24 * 3600
#: What the hub imports, and under which name it is installed.
HUB_PACKAGES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "msgspec": "msgspec",
    "websockets": "websockets",
    "python_multipart": "python-multipart",
    "PIL": "pillow",
    "prometheus_client": "prometheus-client",
}


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def missing_hub_packages(is_installed: Callable[[str], bool] = _is_installed) -> list[str]:
    """Return the packages that the hub needs and that are not there."""
    return [package for name, package in HUB_PACKAGES.items() if not is_installed(name)]


# For debug and tests only. Whoever reaches a debugger owns the site anyway.
_DEVELOPMENT_SECRET = b"flask-chatix-comments: for development only"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatixConfig:
    """The settings of one application; what each is for stands in the documentation's list of settings.

    Attributes:
        api_key: Key of the hosted service; ``None`` means the built-in hub.
        api_url: Where the REST API is, when it was set.
        database_url: The registry's database, unless the site has one that it can share.
        is_database_set: Whether *database_url* was set: then it is used, whatever the site has.
        database_bind: Which of the site's databases the registry shares; ``None``: the default one.
        creates_tables: Whether the registry makes its tables; ``None``: unless migrations do.
        hub_host: Where the built-in hub listens; ``None``: at the development server's own address.
        hub_url: The hub as readers see it, ending in ``/v1``; ``None`` when the site runs it itself.
        hub_restore_days: How long a deleted chatroom can be restored; 0: always.
        secrets: ``SECRET_KEY`` and its fallbacks, newest first.
        ticket_keys, post_keys, hub_api_keys: Newest first; empty means derived from *secrets*.
        hub_log_format: Of a hub that is a process of its own; ``None``: as the site says.
        hub_metrics_keys: Newest first; empty means that there are no metrics.
        is_secret_for_development: Whether *secrets* is a stand-in that only debug and tests may use.
        is_testing: Whether ``TESTING`` is set: a test's client may stand in for a server.
    """

    website_id: str
    api_key: str | None = field(repr=False)
    api_url: str | None
    api_operations: Mapping[str, Mapping[str, Any]]
    api_auth_header: str
    api_timeout_s: float
    database_url: str = field(repr=False)
    is_database_set: bool
    database_bind: str | None
    creates_tables: bool | None
    create: Literal["reach", "render"]
    lookup_age_s: float
    render_wait_s: float
    sdk: Literal["bundled", "widget"]
    url_prefix: str
    hub_port: int
    hub_host: str | None
    hub_url: str | None
    hub_database_url: str = field(repr=False)
    hub_lock_path: Path
    hub_restore_days: int
    retention: RetentionSettings
    hub_allowed_origins: tuple[str, ...]
    hub_presence: Literal["count", "members", "off"]
    hub_limits: LimitSettings
    ticket_keys: tuple[str, ...] = field(repr=False)
    post_keys: tuple[str, ...] = field(repr=False)
    hub_api_keys: tuple[str, ...] = field(repr=False)
    hub_metrics_keys: tuple[str, ...] = field(repr=False)
    hub_log_format: Literal["text", "json"] | None
    hub_log_level: Literal["info", "warning", "error"]
    max_message_chars: int
    page_size: int
    edit_window_s: int
    files: FileSettings
    guest_cookie: str
    secrets: tuple[bytes, ...] = field(repr=False)
    is_secret_for_development: bool
    is_testing: bool

    @property
    def is_hosted(self) -> bool:
        """Whether the chat is the vendor's service rather than our hub."""
        return self.api_key is not None

    @property
    def runs_hub(self) -> bool:
        """Whether this site runs the hub itself: beside the development server, or in one ASGI application."""
        return not self.is_hosted and self.hub_url is None

    @property
    def mounted_hub_path(self) -> str:
        """Where the hub is in one ASGI application with the site, below that application's root."""
        return f"{self.url_prefix}/hub"

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        *,
        debug: bool = False,
        instance_path: str | Path = "instance",
        is_installed: Callable[[str], bool] = _is_installed,
    ) -> ChatixConfig:
        """Read the ``CHATIX_...`` settings, ``SECRET_KEY``, ``SECRET_KEY_FALLBACKS`` and ``TESTING``.

        Args:
            debug: Whether weak secrets pass, as they do in tests.
            instance_path: Where the SQLite files are kept by default.
            is_installed: Tells whether a top-level package can be imported.

        Raises:
            ConfigError: A setting is unknown, malformed, missing or contradicts another.
        """
        _refuse_unknown(mapping)
        read = _Reader(mapping)
        website_id, api_key = _website(read)
        is_testing = bool(mapping.get("TESTING"))
        is_lenient = debug or is_testing
        secrets = _secrets(mapping, is_lenient=is_lenient)
        hub_database = read("CHATIX_HUB_DATABASE_URL", values.lasting_database_url, "sqlite:///chatix_hub.sqlite3")
        hub_database_url = _from_instance(hub_database, instance_path)
        hub_lock_path = _lock_path(hub_database_url, instance_path)
        config = cls(
            website_id=website_id,
            api_key=api_key,
            api_url=read("CHATIX_API_URL", values.api_url, None),
            api_operations=read("CHATIX_API_OPERATIONS", values.table, {}),
            api_auth_header=read("CHATIX_API_AUTH_HEADER", values.header_name, "X-Api-Key"),
            api_timeout_s=read("CHATIX_API_TIMEOUT", values.number_between(0.1, 120), 10.0),
            database_url=_from_instance(
                read("CHATIX_DATABASE_URL", values.database_url, "sqlite:///chatix_comments.sqlite3"), instance_path
            ),
            is_database_set=read("CHATIX_DATABASE_URL", values.database_url, None) is not None,
            database_bind=read("CHATIX_DATABASE_BIND", values.text, None),
            creates_tables=read("CHATIX_CREATE_TABLES", values.boolean, None),
            create=read("CHATIX_CREATE", values.create_when, "reach"),
            lookup_age_s=read("CHATIX_LOOKUP_AGE", values.number_between(0, 3600), 5.0),
            render_wait_s=read("CHATIX_RENDER_WAIT", values.number_between(0, 5), 0.15),
            sdk=read("CHATIX_SDK", values.sdk_source, "bundled"),
            url_prefix=read("CHATIX_URL_PREFIX", values.url_prefix, "/chatix-comments"),
            hub_port=read("CHATIX_HUB_PORT", values.int_between(0, 65535), 5001),
            hub_host=read("CHATIX_HUB_HOST", values.host, None),
            hub_url=read("CHATIX_HUB_URL", values.hub_url, None),
            hub_database_url=hub_database_url,
            hub_lock_path=hub_lock_path,
            hub_restore_days=read("CHATIX_HUB_RESTORE_DAYS", values.int_between(0, 3650), 30),
            retention=RetentionSettings.of(read),
            hub_allowed_origins=read("CHATIX_HUB_ALLOWED_ORIGINS", values.origins, ()),
            hub_presence=read("CHATIX_HUB_PRESENCE", values.presence, "count"),
            hub_limits=LimitSettings.of(read),
            ticket_keys=read("CHATIX_TICKET_KEY", values.key_list, ()),
            post_keys=read("CHATIX_POST_KEY", values.key_list, ()),
            hub_api_keys=read("CHATIX_HUB_API_KEY", values.key_list, ()),
            hub_metrics_keys=read("CHATIX_HUB_METRICS_KEY", values.key_list, ()),
            hub_log_format=read("CHATIX_HUB_LOG_FORMAT", values.log_format, None),
            hub_log_level=read("CHATIX_HUB_LOG_LEVEL", values.log_level, "info"),
            max_message_chars=read("CHATIX_MAX_LENGTH", values.int_between(1, 50_000), 10_000),
            page_size=read("CHATIX_PAGE_SIZE", values.int_between(1, 100), 30),
            edit_window_s=read("CHATIX_EDIT_WINDOW", values.int_between(0, YEAR_S), 900),
            files=FileSettings.of(read, instance_path=instance_path, hub_lock_path=hub_lock_path),
            guest_cookie=read("CHATIX_GUEST_COOKIE", values.cookie_name, "chatix_guest"),
            secrets=secrets or (_DEVELOPMENT_SECRET + str(instance_path).encode(),),
            is_secret_for_development=not secrets,
            is_testing=is_testing,
        )
        _check_together(config, is_installed)
        return config


class _Reader:
    """Look a setting up, parse it, and name it when it cannot be used."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    def __call__(self, key: str, parse: Callable[[Any], T], default: T) -> T:
        value = self._mapping.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            return default
        try:
            return parse(value.strip() if isinstance(value, str) else value)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            # The value is not repeated: it may be a secret, or a URL with a password.
            raise ConfigError(key, str(exc)) from exc


def _refuse_unknown(mapping: Mapping[str, Any]) -> None:
    for key in mapping:
        if isinstance(key, str) and key.startswith("CHATIX_") and key not in SETTINGS:
            near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.75)
            hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(SETTINGS)}."
            raise ConfigError(key, f"there is no such setting; {hint}")


def _website(read: _Reader) -> tuple[str, str | None]:
    """Decide between the hosted service and the hub."""
    website_id = read("CHATIX_WEBSITE_ID", values.identifier, "")
    api_key = read("CHATIX_API_KEY", values.header_value, "")
    if website_id and not api_key:
        message = "is missing although CHATIX_WEBSITE_ID is set; set both for the hosted service, none for the hub."
        raise ConfigError("CHATIX_API_KEY", message)
    if api_key and not website_id:
        message = "is missing although CHATIX_API_KEY is set; set both for the hosted service, none for the hub."
        raise ConfigError("CHATIX_WEBSITE_ID", message)
    return (website_id, api_key) if api_key else (read("CHATIX_HUB_WEBSITE_ID", values.identifier, "local"), None)


def _check_together(config: ChatixConfig, is_installed: Callable[[str], bool]) -> None:
    if config.sdk == "widget" and not config.is_hosted:
        message = (
            "is 'widget', but the Chatix widget talks to the hosted service only; set CHATIX_WEBSITE_ID and"
            " CHATIX_API_KEY as well, or remove it."
        )
        raise ConfigError("CHATIX_SDK", message)
    if config.is_hosted and config.hub_url:
        message = "contradicts CHATIX_WEBSITE_ID and CHATIX_API_KEY; remove it, or remove those two."
        raise ConfigError("CHATIX_HUB_URL", message)
    if config.is_database_set and config.database_bind is not None:
        message = "contradicts CHATIX_DATABASE_URL; remove one of the two."
        raise ConfigError("CHATIX_DATABASE_BIND", message)
    if config.runs_hub and config.api_url and not _is_near(config.api_url, config.hub_host):
        raise ConfigError(
            "CHATIX_API_URL",
            "names another machine, while readers would be sent to the hub of this one; set CHATIX_WEBSITE_ID and"
            " CHATIX_API_KEY as well for the hosted service, or CHATIX_HUB_URL for a hub elsewhere, or remove it.",
        )
    if config.runs_hub and (missing := missing_hub_packages(is_installed)):
        raise ConfigError(
            "CHATIX_HUB_URL",
            f"{', '.join(missing)} not installed; run pip install 'flask-chatix-comments[hub]' for the built-in hub,"
            " or set CHATIX_HUB_URL to the URL of a hub elsewhere, or CHATIX_WEBSITE_ID and CHATIX_API_KEY for the"
            " hosted service.",
        )


def _is_near(url: str, hub_host: str | None) -> bool:
    """Whether *url* leads to the hub that this site runs: on this machine, or on the address it is told to use."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1", hub_host} or host.startswith("127.")


def _secrets(mapping: Mapping[str, Any], *, is_lenient: bool) -> tuple[bytes, ...]:
    """Return the app's secrets, newest first; none at all only where weak ones pass."""
    current = mapping.get("SECRET_KEY")
    if not current:
        if is_lenient:
            return ()
        message = (
            f"is not set (before init_app); set the output of: {SECRET_COMMAND}"
            ", or run with `flask run --debug` (and commands with `flask --debug ...`) to try it out."
        )
        raise ConfigError("SECRET_KEY", message)
    fallbacks = mapping.get("SECRET_KEY_FALLBACKS") or ()
    if not isinstance(fallbacks, (list, tuple)):
        raise ConfigError("SECRET_KEY_FALLBACKS", f"must be a list of keys, not {type(fallbacks).__name__}.")
    named = [("SECRET_KEY", current), *(("SECRET_KEY_FALLBACKS", value) for value in fallbacks if value)]
    return tuple(_strong(key, value, is_lenient=is_lenient) for key, value in named)


def _strong(key: str, value: object, *, is_lenient: bool) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise ConfigError(key, f"is {type(value).__name__}, not text or bytes.")
    secret = value.encode() if isinstance(value, str) else value
    weakness = None if is_lenient else values.weakness(secret)
    if weakness:
        raise ConfigError(
            key, f"{weakness}, so that anyone could sign in its name; set the output of: {SECRET_COMMAND}"
        )
    return secret


def _from_instance(url: str, instance_path: str | Path) -> str:
    """Return *url*; a relative SQLite path counts from the instance folder, wherever the process stands."""
    scheme, _, path = url.partition(":///")
    if (
        scheme.split("+")[0] != "sqlite"
        or not path
        or path.startswith((":memory:", "file:"))
        or Path(path).is_absolute()
    ):
        return url
    return f"{scheme}:///{Path(instance_path).resolve() / path}"


def _lock_path(database_url: str, instance_path: str | Path) -> Path:
    """Return the file whose lock admits one hub to a database: beside it where it is a file."""
    scheme, _, path = database_url.partition(":///")
    is_file = scheme.split("+")[0] == "sqlite" and path and not path.startswith((":memory:", "file:"))
    return Path(f"{path}.lock") if is_file else Path(instance_path).resolve() / "chatix_hub.lock"
