"""Ask whether anything that the lock files name is known to be vulnerable; end with 1 if so, or if nobody could say.

What could not be asked about has not been checked: that is never a success.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: What users install, what builds it, and what developers run. Test clients that are old on purpose are left out.
LOCK_FILES = ("demo", "build", "dev", "docs")
TIMEOUT_S = 600


def main() -> int:
    problems = [*of_python(), *of_browser()]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems." if problems else "Everything was checked, and nothing is known against it.")
    return 1 if problems else 0


def of_python() -> Iterator[str]:
    """Yield what is wrong with the Python packages."""
    for name in LOCK_FILES:
        path = f"requirements/{name}.txt"
        command = [sys.executable, "-m", "pip_audit", "--requirement", path, "--no-deps", "--disable-pip"]
        for problem in pip_problems(run([*command, "--format", "json"])):
            yield f"{path}: {problem}"


def of_browser() -> Iterator[str]:
    """Yield what is wrong with the npm packages, those that only build and test as well."""
    for problem in npm_problems(run(["npm", "audit", "--json"])):
        yield f"package-lock.json: {problem}"


def run(command: list[str]) -> str:
    """Return the report that a command prints; neither its status nor what else it says is worth as much."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if not done.stdout:
        print(done.stderr, file=sys.stderr)
    return done.stdout


def pip_problems(output: str) -> Iterator[str]:
    """Yield what pip-audit reports."""
    report = _parsed(output)
    if not isinstance(report, dict) or not report.get("dependencies"):
        yield "could not be checked: pip-audit gives no report."
        return
    unchecked = []
    for dependency in report["dependencies"]:
        if "skip_reason" in dependency:
            unchecked.append(dependency["name"])
        for found in dependency.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"{dependency['name']} {dependency['version']}: {found['id']}, fixed in {fixed}"
    if unchecked:
        yield f"could not be checked, the advisory service did not answer for them: {', '.join(unchecked)}"


def npm_problems(output: str) -> Iterator[str]:
    """Yield what npm audit reports."""
    report = _parsed(output)
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        reason = report.get("message") if isinstance(report, dict) else None
        yield f"could not be checked: {reason or 'npm audit gives no report'}"
        return
    for name, found in report["vulnerabilities"].items():
        yield f"{name} {found.get('range', '')}: {found.get('severity', 'unknown')}"


def _parsed(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
