"""What could not be checked is never taken for checked; and each line that bandit is told to skip says why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.audit import npm_problems, pip_problems

SOURCES = Path(__file__).parents[1] / "src"


def pip(*dependencies: Any) -> list[str]:
    return list(pip_problems(json.dumps({"dependencies": dependencies, "fixes": []})))


def test_packages_that_nothing_is_known_against() -> None:
    assert pip({"name": "click", "version": "8", "vulns": []}) == []
    assert list(npm_problems('{"vulnerabilities": {}}')) == []


def test_packages_with_a_hole() -> None:
    found = {"id": "PYSEC-1", "fix_versions": ["8.1", "9"]}
    assert pip({"name": "click", "version": "8", "vulns": [found]}) == ["click 8: PYSEC-1, fixed in 8.1, 9"]
    (line,) = npm_problems('{"vulnerabilities": {"axios": {"range": "<1", "severity": "high"}}}')
    assert line == "axios <1: high"


def test_packages_that_nobody_could_say_anything_about() -> None:
    (line,) = pip({"name": "click", "version": "8", "vulns": []}, {"name": "flask", "skip_reason": "not found"})
    assert line == "could not be checked, the advisory service did not answer for them: flask"


@pytest.mark.parametrize("output", ["", "Traceback", "[]", "{}", '{"dependencies": []}', '{"message": "405"}'])
def test_no_report_is_no_success(output: str) -> None:
    assert len(list(pip_problems(output))) == len(list(npm_problems(output))) == 1
    assert "could not be checked" in next(pip_problems(output))
    assert "could not be checked" in next(npm_problems(output))


def test_each_line_that_bandit_skips_names_the_rule_and_a_reason() -> None:
    skipped = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        for line in path.read_text().splitlines()
        if "nosec" in line
    ]
    assert skipped
    assert [line for line in skipped if not re.search(r"  # nosec B[0-9]{3}  # \w[^#]{10,}$", line)] == []
