"""What a hub must have before it serves: the lock, the port and the database.

One database has one hub: an OS lock on a file beside it sees to that, and ends with the process, however
that ends. The port is bound before the server starts, so that a taken one is a clear error.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import ConfigError, HubLockedError, HubPortError, HubStartError, StoreError
from .config import HubConfig
from .store.sql import SqlStore

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: So many connections wait in the system until they are accepted.
BACKLOG = 2048


@contextmanager
def ready_to_serve(
    config: HubConfig, host: str, port: int, lock_path: Path
) -> Iterator[tuple[socket.socket, SqlStore]]:
    """Take the lock, the port and the database; give them back in the end.

    Raises:
        HubStartError: One of them cannot be had.
    """
    with _lock(lock_path), contextlib.closing(_bind(host, port)) as listener:
        try:
            store = SqlStore(config.database_url)
            store.open()
        except (StoreError, ConfigError) as exc:
            raise HubStartError(
                f"The built-in hub cannot start. {exc} The setting is CHATIX_HUB_DATABASE_URL."
            ) from exc
        try:
            yield listener, store
        finally:
            # The application has done so already, unless it never came to run.
            asyncio.run(store.close())


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an OS lock: it ends with the process, so that a crash never leaves it behind."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as exc:
        raise HubStartError(
            f"The built-in hub cannot write its lock file {path}: {exc.strerror}. Make its folder writable, or set"
            " CHATIX_HUB_DATABASE_URL to a file elsewhere: the lock lies beside it."
        ) from exc
    with file:
        try:
            _lock_file(file)
        except OSError as exc:
            raise HubLockedError(f"Another process runs the hub already: it holds the lock {path}.") from exc
        yield


if sys.platform == "win32":

    def _lock_file(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock_file(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise _no_address(host, exc) from exc
    try:
        if os.name == "posix":
            # A hub that was killed leaves connections that would keep the port for a minute.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRNOTAVAIL:
            raise _no_address(host, exc) from exc
        message = f"The built-in hub cannot listen on {host} port {port}: {exc.strerror}. Set another port for it."
        raise HubPortError(message, port=port) from exc
    return listener


def _no_address(host: str, exc: OSError) -> HubStartError:
    return HubStartError(
        f"The built-in hub cannot listen on {host}: {exc.strerror}. Set CHATIX_HUB_HOST to an address of this machine."
    )
