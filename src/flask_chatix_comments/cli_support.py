"""What the modules of ``flask chatix ...`` share: the group, errors, notes, JSON, and whether the hub is there.

Data goes to stdout, everything else to stderr. Exit status: 0 done, 1 something failed, 2 wrong usage, 3 ``check``
has found what is not repaired, 130 interrupted.
"""

from __future__ import annotations

import errno
import functools
import itertools
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import click
from click.core import ParameterSource
from flask.cli import AppGroup, ScriptInfo
from flask.helpers import get_debug_flag

from .errors import ChatixCommentsError, PostError
from .models import normalize_post_id
from .shell_words import one_line, quoted
from .state import HUB_START_TIMEOUT_S, AppState

#: The exit statuses that are neither 0, 1 nor 2; the second one is what shells say of SIGINT.
TROUBLES_REMAIN = 3
INTERRUPTED = 130

P = ParamSpec("P")
T = TypeVar("T")

chatix = AppGroup("chatix", help="Chatrooms of the comment section.")

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

_OWN_HUB = (
    "Start it: by flask run, with the first page that is opened, or by flask chatix hub. If it has another port, set"
    " CHATIX_HUB_PORT to it; if it runs on an address of its own (flask run --host ...), set CHATIX_HUB_HOST to that"
    " address; both for this command too. If it is mounted in one ASGI application with the site, set CHATIX_API_URL"
    " to the URL of that, with {path}/v1 at its end."
)
_HUB_ELSEWHERE = (
    "Start that hub (flask chatix hub), or correct CHATIX_HUB_URL; if this machine reaches it another way, set"
    " CHATIX_API_URL."
)

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_DISK = (
    "is the disk full, to which the output goes or temporary files (TMPDIR) do? The same command again does the rest."
)


def explained(command: Callable[P, T]) -> Callable[P, T]:
    """Turn our errors into one line on stderr and exit status 1, and Ctrl-C into what it means."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ChatixCommentsError as exc:
            raise click.ClickException(one_line(str(exc))) from exc
        except (OSError, sqlite3.OperationalError) as exc:
            if isinstance(exc, OSError) and exc.errno not in _DISK_ERRORS:
                raise
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            raise click.ClickException(f"{reason}: {_DISK}") from exc
        except KeyboardInterrupt:
            note("Interrupted. What is done is done, nothing is half done, and the same command again does the rest.")
            sys.exit(INTERRUPTED)

    return run


def note(text: str) -> None:
    """Say something that is no result, on one line."""
    click.echo(one_line(text), err=True)


def hint(text: str, *arguments: str, then: str = "") -> None:
    """Say which command of ours does something.

    Args:
        text: What it is for.
        arguments: Name and arguments of the command.
        then: What is to be said after it.
    """
    click.echo(f"{text}: {command_line(*arguments)}{then}", err=True)


def command_line(*arguments: str) -> str:
    """Return a command of ours as one would type it who has typed the one that runs."""
    root = click.get_current_context().find_root()
    words = ["flask"]
    app_path = root.obj.app_import_path if isinstance(root.obj, ScriptInfo) else None
    if app_path and root.get_parameter_source("app") is ParameterSource.COMMANDLINE:
        words += ["--app", app_path]
    if root.get_parameter_source("debug") is ParameterSource.COMMANDLINE:
        words.append("--debug" if get_debug_flag() else "--no-debug")
    return " ".join(map(quoted, [*words, "chatix", *arguments]))


def is_for_people() -> bool:
    """Whether somebody reads what the command says besides its results."""
    return sys.stderr.isatty()


def tell_people(text: str) -> None:
    """Say something to whoever sits there; cron would send it by mail each time."""
    if is_for_people():
        note(text)


def print_json(data: Any) -> None:
    """Print one JSON document on one line, in ASCII: whatever the terminal's encoding, it is whole."""
    click.echo(json.dumps(data))


def numbered(count: int, name: str) -> str:
    """Say how many there are of what has this name in the singular."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def print_array(rows: Iterator[dict[str, Any]]) -> None:
    """Print a JSON array row by row: there may be many."""
    _print_items(rows)
    click.echo()


def print_array_in(name: str, rows: Iterator[dict[str, Any]], *, rest: Callable[[], dict[str, Any]]) -> None:
    """Print a JSON object that has an array, row by row, and behind that what is known in the end.

    What fails before the first row prints nothing.
    """
    first = list(itertools.islice(rows, 1))
    click.echo(f'{{"{name}": ', nl=False)
    _print_items(itertools.chain(first, rows))
    click.echo(f", {json.dumps(rest())[1:]}")


def _print_items(rows: Iterator[dict[str, Any]]) -> None:
    separator = "["
    for row in rows:
        click.echo(separator + json.dumps(row), nl=False)
        separator = ",\n"
    click.echo("]" if separator == ",\n" else "[]", nl=False)


def read_post_id(text: str) -> str:
    """Return the POST_ID that somebody typed.

    Raises:
        click.BadParameter: It is none: wrong usage.
    """
    if not text:
        message = f"POST_ID must not be empty; {command_line('list')} shows the posts that have a chatroom."
        raise click.BadParameter(message)
    try:
        return normalize_post_id(text)
    except PostError as exc:
        raise click.BadParameter(one_line(str(exc))) from exc


def require_api(state: AppState, *, waits: bool = True) -> None:
    """Fail with what to do when there is no hub.

    Args:
        waits: Whether one that is starting is waited for.
    """
    # Who is not there refuses at once; who has much to do may take a while.
    if state.config.is_hosted or state.api().ping(1.0 if waits else HUB_START_TIMEOUT_S):
        return
    if waits:
        tell_people(f"Waiting up to {HUB_START_TIMEOUT_S:g} s for the hub at {state.api_url} ...")
        if state.api().wait_until_up(HUB_START_TIMEOUT_S):
            return
    own_hub = _OWN_HUB.format(path=state.config.mounted_hub_path)
    remedy = own_hub if state.config.runs_hub else _HUB_ELSEWHERE
    raise click.ClickException(
        f"No hub for the website {state.config.website_id!r} answers at {state.api_url}. {remedy}"
    )
