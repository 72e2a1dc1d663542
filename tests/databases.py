"""PostgreSQL and MariaDB for tests: real servers, each started once in a run, with data, port and password of its own.

What the machine has as default clusters is neither started nor touched. ``make databases`` installs the programs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from tests.ports import free_port

Kind = Literal["sqlite", "postgresql", "mariadb"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql", "mariadb")

START_TIMEOUT_S = 90.0
_USER = "tests"
# Neither server runs as root.
_UNPRIVILEGED = "nobody"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")


class DatabaseServer(ABC):
    """One server; ``start`` it, ask it for as many fresh databases as are needed, ``stop`` it."""

    name: str

    def __init__(self) -> None:
        self.password = secrets.token_hex(8)
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix=f"chatix-{self.name.lower()}-", dir=_fast_folder()))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(self._folder, user.pw_uid, user.pw_gid)

    def start(self) -> None:
        """Make the data folder, run the server and wait until it answers."""
        self._initialize()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, **_as_somebody())
        self._admin = sa.create_engine(self.admin_url, isolation_level="AUTOCOMMIT")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server at once; its data go with it."""
        if self._process is not None:
            self._admin.dispose()
            self._process.send_signal(self._end_signal)
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def fresh_url(self) -> str:
        """Return the URL of a database, or of a schema, that holds nothing yet."""
        name = f"t{next(self._numbers)}"
        self.execute(f"CREATE {self._unit} {name}")
        return self.url(name)

    def execute(self, *statements: str) -> None:
        """Run statements as the server's owner."""
        with self._admin.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def count_waiting(self) -> int:
        """Return how many statements wait for another's lock."""
        with self._admin.connect() as connection:
            return int(connection.exec_driver_sql(self._waiting).scalar_one())

    def drop_connections(self) -> None:
        """End all connections but our own, as a restart would."""
        with self._admin.connect() as connection:
            for (number,) in connection.exec_driver_sql(self._others).all():
                with contextlib.suppress(sa.exc.DBAPIError):  # It has gone by itself.
                    connection.exec_driver_sql(self._drop.format(number))

    @property
    @abstractmethod
    def admin_url(self) -> str:
        """Where the server's owner signs in."""

    @abstractmethod
    def url(self, name: str) -> str:
        """Return the URL of one of the databases or schemas."""

    @abstractmethod
    def read_only(self, url: str) -> str:
        """Return the URL whose connections refuse to write, as those of a replica do."""

    #: Makes of one connection such a one.
    make_read_only: str
    _unit: str
    _end_signal: int
    _waiting: str
    _others: str
    _drop: str

    @abstractmethod
    def _initialize(self) -> None: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    def _answers(self) -> bool:
        with contextlib.suppress(sa.exc.OperationalError):
            self.execute("SELECT 1")
            return True
        return False

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **_as_somebody())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout.decode(errors='replace')[-2000:]}")


class PostgresServer(DatabaseServer):
    """PostgreSQL, 15 or newer. Its collation is one that folds, so that ours is seen to be exact."""

    name = "PostgreSQL"
    _unit = "SCHEMA"
    _end_signal = 3  # SIGQUIT: at once.
    make_read_only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
    _waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    _others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    _drop = "SELECT pg_terminate_backend({}, 5000)"

    @property
    def admin_url(self) -> str:
        return f"postgresql+psycopg://{_USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def url(self, name: str) -> str:
        return f"{self.admin_url}?options={quote(f'-csearch_path={name}')}"

    def read_only(self, url: str) -> str:
        return f"{url}{quote(' -cdefault_transaction_read_only=on')}"

    def _initialize(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)  # In a folder that only the server's user may enter.
        self._run(
            *(_program("initdb"), "--pgdata", str(self._data), "--username", _USER, "--pwfile", str(password_file)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu"),
            *("--icu-locale=en-US", "--no-sync"),
        )

    def _command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "32MB",
            # What a power cut would do to it is no concern of a test.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        return [
            *(_program("postgres"), "-D", str(self._data)),
            *(f"--{name}={value}" for name, value in options.items()),
        ]


class MariaServer(DatabaseServer):
    """MariaDB, with its own defaults: REPEATABLE READ, and a collation that folds."""

    name = "MariaDB"
    _unit = "DATABASE"
    _end_signal = 9  # SIGKILL: it would tidy up first.
    make_read_only = "SET SESSION TRANSACTION READ ONLY"
    _waiting = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    _others = "SELECT id FROM information_schema.processlist WHERE user = 'tests' AND id <> connection_id()"
    _drop = "KILL {}"

    @property
    def admin_url(self) -> str:
        return f"mysql+pymysql://{_USER}:{self.password}@127.0.0.1:{self.port}/"

    def url(self, name: str) -> str:
        return f"mariadb+pymysql://{_USER}:{self.password}@127.0.0.1:{self.port}/{name}?charset=utf8mb4"

    def read_only(self, url: str) -> str:
        return f"{url}&init_command={quote(self.make_read_only)}"

    def _initialize(self) -> None:
        self._run(
            *(_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", "--skip-name-resolve", *_SMALL_INNODB),
        )
        (self._folder / "init.sql").write_text(
            f"CREATE USER {_USER}@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {_USER}@'%' WITH GRANT OPTION;\n"
            "DROP USER IF EXISTS root@localhost;\n"
        )

    def _command(self) -> list[str]:
        return [
            *(_program("mariadbd"), "--no-defaults", f"--datadir={self._data}", f"--port={self.port}"),
            *("--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}", "--skip-name-resolve"),
            *(f"--init-file={self._folder / 'init.sql'}", f"--pid-file={self._folder / 'pid'}"),
            *("--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4", *_SMALL_INNODB),
        ]


_ROOM_FOR_DATA = 2 * 1024**3
_SMALL_INNODB = ("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M")


def _fast_folder() -> str | None:
    """Return a folder in memory, where MariaDB's many calls of fsync cost nothing; ``None``: the usual one."""
    memory = "/dev/shm"
    is_usable = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_FOR_DATA
    return memory if is_usable else None


def _as_somebody() -> dict[str, Any]:
    """Return the options by which a root's child is an unprivileged user's."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _program(name: str) -> str:
    """Return the path of a server's program; Debian keeps those of PostgreSQL apart, one folder for each version."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin: -float(bin.parent.name))
    path = os.pathsep.join([*map(str, versions), os.environ.get("PATH", ""), *_PLACES])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"The registry is tested on real servers, and there is no {name}. Run: make databases", False)
    return found


class DatabaseServers:
    """Both servers of a run. They start together, when the first of them is asked for."""

    def __init__(self) -> None:
        self._servers: dict[Kind, DatabaseServer] = {}

    def get(self, kind: Kind) -> DatabaseServer:
        """Return a running server."""
        if not self._servers:
            self._servers = {"postgresql": PostgresServer(), "mariadb": MariaServer()}
            with ThreadPoolExecutor(2) as threads:
                for started in [threads.submit(server.start) for server in self._servers.values()]:
                    started.result()
        return self._servers[kind]

    def fresh_url(self, kind: Kind, folder: Path) -> str:
        """Return the URL of an empty database of any kind; SQLite's is in a folder below *folder*."""
        if kind == "sqlite":
            return f"sqlite:///{folder / 'new folder' / 'registry.sqlite'}"
        return self.get(kind).fresh_url()

    def stop(self) -> None:
        """Stop what runs."""
        for server in self._servers.values():
            server.stop()
