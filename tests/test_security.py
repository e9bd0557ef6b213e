"""docs/security.md: each promise names a test that there is, and each name leads to one."""

from __future__ import annotations

import ast
import re

import pytest

from tests.serving import ROOT

PAGE = ROOT / "docs/security.md"
LINES = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "::" in line]


def test_every_promise_has_a_test() -> None:
    """No line of a table is without one."""
    tables = re.findall(r"^\| (?!Promise)[^|]+\|([^|]+)\|$", PAGE.read_text(), re.MULTILINE)
    assert len(tables) == len(LINES) > 30
    assert all(re.fullmatch(r" `[\w/]+\.py::test_\w+` ", each) for each in tables)


@pytest.mark.parametrize("line", LINES)
def test_the_test_exists(line: str) -> None:
    file, _, name = re.findall(r"`([^`]+\.py::\w+)`", line)[-1].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
