"""``flask chatix hub``: the built-in hub as a process of its own, beside a site of several processes."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from functools import partial
from typing import Literal

import click
from flask.cli import AppGroup

from .cli_support import as_json_option, chatix, explained, note, print_json
from .config import ChatixConfig, missing_hub_packages
from .errors import HubLockedError, HubPortError, HubStartError
from .setting_values import LOG_FORMATS, LOG_LEVELS
from .state import AppState, get_state

logger = logging.getLogger(__name__)

#: By the kind of failure, what to do beyond what the failure itself says.
_REMEDIES: dict[type[HubStartError], str] = {
    HubLockedError: " It may be flask run, a server of mount(app), or another flask chatix hub: end it first.",
    HubPortError: " The option is --port, the setting CHATIX_HUB_PORT.",
}


class _RunByDefault(AppGroup):
    """A group whose options, when no command of it is named, are those of ``run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in where there is none."""
        is_named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["run", *args])


def require_own_hub() -> AppState:
    """Return the state of the site, if a hub of its own is what it uses."""
    state = get_state()
    if state.config.is_hosted:
        raise click.ClickException(
            "The site uses the hosted service: there is no hub to run. To run one, remove CHATIX_WEBSITE_ID and"
            " CHATIX_API_KEY."
        )
    if missing := missing_hub_packages():
        raise click.ClickException(f"{', '.join(missing)} not installed; run pip install 'flask-chatix-comments[hub]'.")
    return state


@chatix.group("hub", cls=_RunByDefault)
def hub() -> None:
    """The built-in hub; without a command it is run, as by run."""


@hub.command("run")
@click.option("--host", metavar="ADDRESS", help="Where to listen; else CHATIX_HUB_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any that is free; else CHATIX_HUB_PORT.")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), help="Else CHATIX_HUB_LOG_FORMAT.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Of that log; else CHATIX_HUB_LOG_LEVEL, else info.")
@as_json_option
@explained
def run_command(
    host: str | None,
    port: int | None,
    log_format: Literal["text", "json"] | None,
    log_level: Literal["info", "warning", "error"] | None,
    as_json: bool,
) -> None:
    """Run the built-in hub in the foreground, until SIGTERM or Ctrl-C.

    It takes the same settings as the site, which runs in other processes and finds it by CHATIX_HUB_URL. The JSON
    document comes as soon as it listens. Told to end, it ends with status 0.
    """
    state = require_own_hub()
    config = state.config
    from .hub.log_setup import set_up_log
    from .hub.server import run_hub

    log_format = log_format or config.hub_log_format
    if log_format is not None:
        set_up_log(log_format, log_level or config.hub_log_level)
    try:
        run_hub(
            replace(state.hub_config(), logs_requests=log_format is not None),
            host=host or config.hub_host or "127.0.0.1",
            port=config.hub_port if port is None else port,
            lock_path=config.hub_lock_path,
            when_listening=partial(_say_where, config, as_json, log_format),
        )
    except HubStartError as exc:
        reason = f"{exc}{_REMEDIES.get(type(exc), '')}"
        if log_format is None:
            raise click.ClickException(reason) from exc
        logger.error("%s", reason)
        sys.exit(1)


def _say_where(config: ChatixConfig, as_json: bool, log_format: str | None, url: str) -> None:
    if as_json:
        print_json({"url": url, "website_id": config.website_id, "pid": os.getpid()})
    say = note if log_format is None else logger.info
    if not as_json or log_format is not None:
        say(f"The hub for the website {config.website_id!r} listens on {url} until SIGTERM or Ctrl-C.")
    if not as_json and config.hub_url is None:
        say("CHATIX_HUB_URL is not set: give it to the site, as the URL by which readers reach this hub.")
