"""From what a setting holds to what it means.

Each of these takes the value that was set, perhaps as text from the environment, and returns it in
its own type. What cannot be used raises ``ValueError`` or ``TypeError`` with the end of a sentence
that begins with the setting's name. The value itself is never repeated: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

MIN_SECRET_BYTES = 16
SECRET_COMMAND = "python -c 'import secrets; print(secrets.token_hex(32))'"  # nosec B105  # the command that makes one


# Printed in documentation, or typed to have something there; in small letters, without marks.
_WELL_KNOWN_TEXT = """
dev develop development devkey devsecret devsecretkey test testing key flask password insecure todo xxx
secret asecret mysecret topsecret supersecret verysecret secretkey mysecretkey yoursecretkey yoursecretkeyhere
supersecretkey thisissecret thisisasecret thisisasecretkey thisshouldbesecret
changeme changethis changemeplease changemeinproduction pleasechangeme replaceme replacethis
youwillneverguess hardtoguess hardtoguessstring thequickbrownfoxjumpsoverthelazydog
5y2lf4q8z 5y2lf4q8znxec 192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf
"""
_WELL_KNOWN_SECRETS = frozenset(_WELL_KNOWN_TEXT.split())


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {type(value).__name__}.")
    if not value.isprintable():
        raise ValueError("holds a character that cannot be printed.")
    return value


def _pattern(pattern: str, message: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not re.fullmatch(pattern, text(value)):
            raise ValueError(message)
        return str(value)

    return parse


identifier = _pattern(
    r"[A-Za-z0-9._~-]{1,64}", "must be 1 to 64 letters, digits, '-', '_', '.' or '~': it stands in URLs as it is."
)
header_name = _pattern(
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}(\s*:[ -~]*)?",
    "must be the name of an HTTP header, such as X-Api-Key, or what precedes the key, such as Authorization: Bearer.",
)
header_value = _pattern(r"[ -~]{1,1000}", "must be printable ASCII characters, since it stands in an HTTP header.")
cookie_name = _pattern(r"[A-Za-z0-9_-]{1,64}", "must be 1 to 64 letters, digits, '-' or '_'.")
url_prefix = _pattern(r"(/[A-Za-z0-9._~-]+)+", "must be a path such as /chatix-comments, without a slash at its end.")
host = _pattern(r"[A-Za-z0-9.:%_-]{1,253}", "must be an address to listen on, such as 127.0.0.1, 0.0.0.0 or ::1.")

_IN_MEMORY = re.compile(r"sqlite(\+[a-z0-9_]+)?:/*($|\?)|sqlite.*(:memory:|mode=memory)")
database_url = _pattern(r"[a-z0-9+_]+:/.*", "must be a database URL such as sqlite:////srv/blog/comments.sqlite3.")


def lasting_database_url(value: Any) -> str:
    """Return the URL of a database that outlives the process, and that each of its connections sees."""
    url = database_url(value)
    if _IN_MEMORY.match(url):
        raise ValueError("names an SQLite database in memory, which loses all comments; name a file instead.")
    return url


def create_when(value: Any) -> Literal["reach", "render"]:
    if value == "reach":
        return "reach"
    if value == "render":
        return "render"
    raise ValueError("must be 'reach' (a reader comes to the section) or 'render' (the page is first rendered).")


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _BOOLEANS:
        raise ValueError("must be true or false.")
    return _BOOLEANS[str(value).lower()]


def sdk_source(value: Any) -> Literal["bundled", "widget"]:
    if value == "bundled":
        return "bundled"
    if value == "widget":
        return "widget"
    raise ValueError("must be 'bundled' (the SDK of this package) or 'widget' (that of the Chatix widget on the page).")


LOG_FORMATS: tuple[Literal["text", "json"], ...] = ("text", "json")
PRESENCES: tuple[Literal["count", "members", "off"], ...] = ("count", "members", "off")
LOG_LEVELS: tuple[Literal["info", "warning", "error"], ...] = ("info", "warning", "error")


def log_format(value: Any) -> Literal["text", "json"]:
    for known in LOG_FORMATS:
        if value == known:
            return known
    raise ValueError("must be 'text' or 'json'; leave it out for what the site's own logging says.")


def presence(value: Any) -> Literal["count", "members", "off"]:
    for known in PRESENCES:
        if value == known:
            return known
    raise ValueError("must be 'count', 'members' or 'off'.")


def log_level(value: Any) -> Literal["info", "warning", "error"]:
    for known in LOG_LEVELS:
        if value == known:
            return known
    raise ValueError("must be 'info', 'warning' or 'error'.")


def int_between(low: int, high: int) -> Callable[[Any], int]:
    message = f"must be a whole number from {low} to {high}."

    def parse(value: Any) -> int:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not is_number and not (isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value)):
            raise ValueError(message)
        if not low <= int(value) <= high:
            raise ValueError(message)
        return int(value)

    return parse


def number_between(low: float, high: float) -> Callable[[Any], float]:
    message = f"must be a number of seconds from {low} to {high}."

    def parse(value: Any) -> float:
        try:
            number = float("nan" if isinstance(value, bool) else value)
        except (TypeError, ValueError) as exc:
            raise ValueError(message) from exc
        if not low <= number <= high:
            raise ValueError(message)
        return number

    return parse


def api_url(value: Any) -> str:
    parts = urlsplit(text(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as https://chat.example.com/v1, without a query.")
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+", parts.hostname):
        raise ValueError("must name its host in ASCII (xn--... for other letters).")
    if parts.username or parts.password or (parts.port is not None and not parts.port):
        raise ValueError("must not hold a user name or a password, and its port is 1 to 65535.")
    return str(value).rstrip("/")


def hub_url(value: Any) -> str:
    """A hub serves everything under ``/v1``, so that both spellings can mean only one thing."""
    url = api_url(value)
    return url if url.endswith("/v1") else f"{url}/v1"


def _origin(value: str) -> str:
    parts = urlsplit(value)
    is_web = parts.scheme in ("http", "https") and parts.hostname
    if not is_web or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must list origins such as https://blog.example.com, without a path.")
    api_url(value)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _listed(value: Any) -> Sequence[str]:
    """Accept a list, a JSON list, or text with commas."""
    if isinstance(value, str):
        value = json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",")]
    if not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise TypeError("must be a list, or text with commas.")
    return [text(item) for item in value if item]


def origins(value: Any) -> tuple[str, ...]:
    return tuple(_origin(item) for item in _listed(value))


def networks(value: Any) -> tuple[str, ...]:
    """Addresses, and networks such as 10.0.0.0/8."""
    try:
        return tuple(str(ipaddress.ip_network(item)) for item in _listed(value))
    except ValueError as exc:
        raise ValueError("must list addresses or networks such as 127.0.0.1, 10.0.0.0/8, ::1.") from exc


#: What the hub counts (hub/rate_config.py), and by what.
RATE_NAMES = ("connecting", "posting", "editing", "uploading", "typing", "reading")
RATE_SIDES = ("visitor", "address")


def rates(value: Any) -> Mapping[str, Mapping[str, tuple[int, float]]]:
    """How often what may be done: ``{"posting": {"visitor": "30/60"}}`` is thirty times in a minute."""
    rows = table(value)
    for name, row in rows.items():
        if name not in RATE_NAMES or not set(row) <= set(RATE_SIDES):
            raise ValueError(f"has rows named {', '.join(RATE_NAMES)}, and in these 'visitor' and 'address'.")
    return {name: {side: _rate(rate) for side, rate in row.items()} for name, row in rows.items()}


def _rate(value: Any) -> tuple[int, float]:
    count, slash, seconds = str(value).partition("/")
    if not slash:
        raise ValueError("holds rates such as '30/60': thirty in sixty seconds.")
    return int_between(1, 10**9)(count), number_between(0.001, 86_400)(seconds)


def media_types(value: Any) -> tuple[str, ...]:
    """A list of MIME types, spelled out."""
    types = tuple(item.lower() for item in _listed(value))
    if not types or not all(
        re.fullmatch(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", one) for one in types
    ):
        raise ValueError("must list MIME types such as image/jpeg, application/pdf, without '*'; leave it out for any.")
    return types


def path(value: Any) -> str:
    """A folder."""
    return text(str(value) if isinstance(value, Path) else value)


def key_list(value: Any) -> tuple[str, ...]:
    """One key, or a list (in the environment: a JSON list) of them, newest first."""
    keys = _listed(value) if not isinstance(value, str) or value.startswith("[") else [value]
    for key in keys:
        if not re.fullmatch(rf"[!-~]{{{MIN_SECRET_BYTES},512}}", key):
            raise ValueError(f"needs {MIN_SECRET_BYTES} or more ASCII characters; use the output of: {SECRET_COMMAND}")
    return tuple(keys)


def table(value: Any) -> Mapping[str, Mapping[str, Any]]:
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as exc:
        raise ValueError(f"is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}.") from exc
    if not isinstance(table, Mapping) or not all(isinstance(row, Mapping) for row in table.values()):
        raise ValueError("must map the name of a row to what changes in it.")
    return dict(table)


def weakness(secret: bytes) -> str | None:
    """Return why *secret* protects nothing, as the end of a sentence; ``None`` when nothing speaks against it."""
    if re.sub(r"[^a-z0-9]", "", secret.decode("latin-1").casefold()) in _WELL_KNOWN_SECRETS:
        return "is well known"
    return f"is shorter than {MIN_SECRET_BYTES} bytes" if len(secret) < MIN_SECRET_BYTES else None
