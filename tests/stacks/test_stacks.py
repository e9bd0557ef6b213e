"""Every kind of program, traced by the real agent: its stacks are whole, and no name is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT
from tests.stacks import kinds
from tests.stacks.running import traced
from tests.stacks.table import problems, table

if TYPE_CHECKING:
    from tests.stacks.running import Line

# All programs run at once, before the first of these tests.
pytestmark = [pytest.mark.bpf, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    lines = traced(tmp_path_factory.mktemp("stacks"))
    folder = ROOT / ".work"
    folder.mkdir(exist_ok=True)
    (folder / "stacks.md").write_text(table(lines))
    return {line.kind.label: line for line in lines}


@pytest.mark.parametrize("label", kinds.LABELS)
def test_stacks(label: str, lines: dict[str, Line]) -> None:
    """At least 98 % of its stacks show all calls and reach the thread's start, as 95 % of the time
    does, 99 % of its frames have a name if there is one on the machine, and none has a wrong one.
    """
    assert problems(lines[label]) == []
