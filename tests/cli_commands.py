"""Commands of ``flask chatix``, run in the test's own process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result

from tests.flask_support import Site


def run(site: Site, *arguments: str, **options: Any) -> Result:
    """Run a command; *options* are those of Click's runner."""
    return site.app.test_cli_runner().invoke(args=["chatix", *arguments], **options)


def run_json(site: Site, *arguments: str, status: int = 0) -> Any:
    """Run a command and return its one JSON document."""
    result = run(site, *arguments, "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def error_of(result: Result) -> str:
    """Return the error of a command that failed: one line on stderr, and nothing on stdout."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line.removeprefix("Error: ")
