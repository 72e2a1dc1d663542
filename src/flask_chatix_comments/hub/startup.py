"""What a hub must have before it serves: the lock, the port and the database.

One database has one hub: an OS lock on a file beside it sees to that. The port is bound before the server
starts, so that a taken one is a clear error.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError, HubLockedError, HubPortError, HubStartError, StoreError
from ..process_lock import ProcessLock
from .config import HubConfig
from .folder import UploadFolder
from .store.sql import SqlStore

#: So many connections wait in the system until they are accepted.
BACKLOG = 2048


@contextmanager
def ready_to_serve(
    config: HubConfig, host: str, port: int, lock_path: Path
) -> Iterator[tuple[socket.socket, SqlStore]]:
    """Take the lock, the port, the database and the folder of files; give them back in the end.

    Raises:
        HubStartError: One of them cannot be had.
    """
    with hold_lock(lock_path), contextlib.closing(_bind(host, port)) as listener:
        store = open_store(config)
        try:
            yield listener, store
        finally:
            # The application has done so already, unless it never came to run.
            asyncio.run(store.close())


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock that admits one hub.

    Raises:
        HubStartError: It cannot be had.
    """
    lock = ProcessLock(path)
    try:
        is_ours = lock.take()
    except OSError as exc:
        raise HubStartError(
            f"The built-in hub cannot write its lock file {path}: {exc.strerror}. Make its folder writable, or set"
            " CHATIX_HUB_DATABASE_URL to a file elsewhere: the lock lies beside it."
        ) from exc
    if not is_ours:
        raise HubLockedError(f"Another process runs the hub already: it holds the lock {path}.")
    try:
        yield
    finally:
        lock.release()


def open_store(config: HubConfig) -> SqlStore:
    """Return the store of the configuration's database, open.

    Raises:
        HubStartError: The database cannot be used, or the folder of files.
    """
    _check_folder(config)
    try:
        store = SqlStore(config.database_url)
        store.open()
    except (StoreError, ConfigError) as exc:
        reason = str(exc).rstrip(".")
        raise HubStartError(
            f"The built-in hub cannot start. {reason}. The setting is CHATIX_HUB_DATABASE_URL."
        ) from exc
    return store


def _check_folder(config: HubConfig) -> None:
    if config.uploads is None:
        return
    try:
        UploadFolder(config.uploads.folder).open()
    except OSError as exc:
        raise HubStartError(
            f"The built-in hub cannot start. Its folder of files cannot be used: {config.uploads.folder}:"
            f" {exc.strerror}. The setting is CHATIX_HUB_FILES."
        ) from exc


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
