"""What lets ``make demo`` run from nothing: a folder for all data, a secret key kept in it, two ports.

A site of your own sets these as it sets its other configuration.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from click import ClickException
from flask import Flask

from flask_chatix_comments import ChatixComments, ChatixCommentsError, ConfigError, HubStartError, Visitor

HUB_TIMEOUT_S = 30.0

logger = logging.getLogger(__name__)


def data_folder() -> Path:
    """Return ``DEMO_DATA``, by default the checkout's ``instance``."""
    return Path(os.environ.get("DEMO_DATA") or Path(__file__).parents[1] / "instance").absolute()


def settings() -> dict[str, str]:
    """Return the secret key, the hub's port, and every ``CHATIX_...`` that the environment sets."""
    found = {key: value for key, value in os.environ.items() if key.startswith("CHATIX_") and value}
    return {"SECRET_KEY": kept_secret(data_folder()), "CHATIX_HUB_PORT": hub_port()} | found


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Let whoever set something wrong see what to do, and no traceback above it."""
    try:
        yield
    except ConfigError as exc:
        raise ClickException(str(exc)) from exc


def hub_port() -> str:
    """Return ``HUB_PORT``, by default one above ``PORT``."""
    port = os.environ.get("PORT") or "5000"
    if not re.fullmatch("[0-9]{1,5}", port):
        raise ClickException("PORT must be a number.")
    hub_port = os.environ.get("HUB_PORT") or str(int(port) + 1)
    if hub_port == port:
        raise ClickException(f"PORT and HUB_PORT are both {port}: site and hub need a port each.")
    return hub_port


def kept_secret(folder: Path) -> str:
    """Return the secret key in *folder*; the first of several processes that want one makes it."""
    path = folder / "secret_key"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder) as draft:  # O_EXCL, readable by its owner only
                print(secrets.token_hex(32), file=draft, flush=True)
                with contextlib.suppress(FileExistsError):
                    os.link(draft.name, path)  # whole or not at all, and never over another's
        return path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ClickException(f"The data cannot be kept in {folder}: {exc}. Set DEMO_DATA to another folder.") from exc


def announce(app: Flask, comments: ChatixComments, users: Iterable[Visitor]) -> None:
    """Tell the hub who the site's users are, before any of them has commented: no guest can take their names then.

    The first request starts the hub of ``flask run``; it does not wait for this. If there is no hub yet, a later
    request begins anew. The hosted service takes no such word.
    """
    if app.config.get("CHATIX_API_KEY"):
        return
    is_begun = threading.Lock()

    def tell() -> None:
        try:
            with app.app_context():
                comments.api.wait_until_up(HUB_TIMEOUT_S)
                for user in users:
                    comments.announce(user)
        except HubStartError:
            pass  # There will be none, and the log says so already.
        except ChatixCommentsError as exc:
            logger.warning("The hub could not be told who the users are: %s", exc)
            is_begun.release()

    @app.before_request
    def begin() -> None:
        if is_begun.acquire(blocking=False):
            threading.Thread(target=tell, name="announce", daemon=True).start()
