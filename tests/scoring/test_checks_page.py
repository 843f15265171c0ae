"""`docs/checks.md` says of every finding what it means, and of none that does not exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import posebench
from posebench.datasets.checks.findings import KINDS, LEVELS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "checks.md"


def test_every_finding_is_on_the_page_with_its_level() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+) \| (.+) \|$", PAGE.read_text(), re.M)
    assert {name: level for name, level, _, _ in rows} == dict(KINDS)
    assert len(rows) == len(KINDS)
    assert all(len(meaning) > 15 and len(remedy) > 5 for _, _, meaning, remedy in rows)


def test_the_table_of_kinds_is_that_of_the_code() -> None:
    package = Path(posebench.__file__).parent
    words = {
        node.value
        for path in package.rglob("*.py")
        if path.name != "findings.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(KINDS) - words == set()
    assert set(KINDS.values()) == set(LEVELS)
