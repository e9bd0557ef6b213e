"""docs/security.md and docs/reliability.md: each promise names a test that there is."""

from __future__ import annotations

import ast
import re

import pytest

from tests.serving import ROOT

PAGES = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("security", "reliability")}
LINES = [
    line for text in PAGES.values() for line in text.splitlines() if re.match(r"\| .*::", line)
]


@pytest.mark.parametrize("page", [*PAGES])
def test_every_promise_has_a_test(page: str) -> None:
    """No line of a table is without one."""
    rows = re.findall(r"^\| (?!Promise|Fault).*\| (.+) \|$", PAGES[page], re.MULTILINE)
    assert len(rows) > 30
    assert all(re.fullmatch(r"`[\w/]+\.py::test_\w+`", each) for each in rows)


@pytest.mark.parametrize("line", LINES)
def test_the_test_exists(line: str) -> None:
    file, _, name = re.findall(r"`([^`]+\.py::\w+)`", line)[-1].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
