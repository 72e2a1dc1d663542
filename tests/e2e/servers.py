"""A site and its hub as the documents run them: gunicorn, `flask chatix hub`, uvicorn and nginx in processes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.support import wait_until
from tests.ports import free_port

BIN = Path(sys.executable).parent
NGINX_NAMES = ("nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx")

#: What the documents name, and these tests put in place of it.
SITE_PORT, HUB_PORT = "8000", "5001"
POLICY = """

@app.after_request
def only_what_the_documents_say(response):
    response.headers["Content-Security-Policy"] = {policy!r}
    return response
"""


@dataclass
class Program:
    """One server process, with a log; started, killed and started again."""

    command: list[str]
    folder: Path
    log_name: str
    is_up: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / self.log_name).read_text(errors="replace")

    def start(self) -> None:
        with (self.folder / self.log_name).open("ab") as log:
            # A session of its own: its workers end with it.
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**_clean_environment(), **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._has_come_up, f"{self.log_name} listens")

    def _has_come_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return self.is_up()

    def kill(self) -> None:
        """End it and its workers as a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """End it as systemd does; return the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.kill()


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "CHATIX_"))}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def answers(url: str) -> bool:
    """Whether somebody answers there, with whatever."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=5, context=trusting):
            return True
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Place:
    """A folder for a site of the documents, its ports and its settings."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    site_port: int = field(default_factory=free_port)
    hub_port: int = field(default_factory=free_port)
    proxy_port: int = field(default_factory=free_port)
    programs: list[Program] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site_port}"

    @property
    def proxy_url(self) -> str:
        return f"https://127.0.0.1:{self.proxy_port}"

    def write_blog(self, code: str, *more: str, policy: str | None = None) -> None:
        extra = POLICY.format(policy=policy) if policy else ""
        # What mount(app) returns does not mind what the site gets later.
        (self.folder / "blog.py").write_text("\n".join([code, *more]) + extra)

    def run(self, line: str, log_name: str) -> Program:
        """Start a command of the documents, on the ports of this place."""
        program, *arguments = shlex.split(line)
        ports = {SITE_PORT: self.site_port, HUB_PORT: self.hub_port}
        for name, port in ports.items():
            arguments = [f"127.0.0.1:{port}" if one.endswith(f":{name}") else one for one in arguments]
            arguments = [str(port) if one == name else one for one in arguments]
        is_hub = "chatix" in arguments
        url = f"http://127.0.0.1:{self.hub_port}/v1/health" if is_hub else f"{self.url}/"
        command = [str(BIN / program), *arguments]
        return self.add(Program(command, self.folder, log_name, lambda: answers(url), self.environment))

    @property
    def environment(self) -> dict[str, str]:
        return {f"FLASK_{name}": value for name, value in self.settings.items()}

    def chatix(self, *arguments: str) -> Any:
        """Run `flask chatix ...` as a process of its own and return its JSON document."""
        command = [str(BIN / "flask"), "--app", "blog", "chatix", *arguments, "--json"]
        environment = {**_clean_environment(), **self.environment}
        answer = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def run_nginx(self, snippet: str) -> Program:
        """Start nginx with the snippet of a document, on the ports of this place."""
        certificate, key = make_certificate(self.folder)
        for theirs, ours in {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.proxy_port} ssl;",
            f"127.0.0.1:{SITE_PORT}/": f"127.0.0.1:{self.site_port}/",
            f"127.0.0.1:{HUB_PORT}/": f"127.0.0.1:{self.hub_port}/",
            "/etc/ssl/blog.example.com.pem": str(certificate),
            "/etc/ssl/blog.example.com.key": str(key),
            "/var/log/nginx/chat.log": str(self.folder / "nginx-chat.log"),
        }.items():
            snippet = snippet.replace(theirs, ours)
        assert "/etc/" not in snippet and "/var/" not in snippet
        temporary = "\n".join(
            f"{name}_temp_path {self.folder / 'nginx' / name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx").mkdir(exist_ok=True)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            f"""
            {"user root;" if os.getuid() == 0 else ""}
            daemon off;
            pid {self.folder / "nginx.pid"};
            error_log {self.folder / "nginx-error.log"};
            events {{}}
            http {{
                access_log {self.folder / "nginx-access.log"};
                {temporary}
                {snippet}
            }}
            """
        )
        command = [find_nginx(), "-c", str(configuration), "-p", str(self.folder), "-e", "stderr"]
        return self.add(Program(command, self.folder, "nginx.log", lambda: listens(self.proxy_port)))

    def add(self, program: Program) -> Program:
        self.programs.append(program)
        program.start()
        return program

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.stop()

    def logs(self) -> str:
        """Return all that any server has written."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))


def find_nginx() -> str:
    for name in (os.environ.get("NGINX", ""), *NGINX_NAMES):
        path = shutil.which(name) if name else None
        if path:
            return path
    raise RuntimeError("These tests need nginx: apt-get install nginx, or set NGINX to its path.")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "certificate.key"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", *options, *subject, "-out", str(certificate), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )
    return certificate, key
