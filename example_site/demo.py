"""What lets ``make demo`` run from nothing: a folder for all data, a secret key kept in it, two ports.

A site of your own sets these as it sets its other configuration.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click import ClickException

from flask_chatix_comments import ConfigError


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
