"""Page faults, against getrusage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.probes.acting import recording
from tests.workloads import workload

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def test_each_new_page_is_a_fault_of_the_stack_that_wrote_it(tmp_path: Path) -> None:
    """Writing to 3000 new pages is as many write faults as getrusage counts, in that function."""
    with workload("stacks.c", tmp_path, 1, 3000) as toucher:
        with recording("pagefaults", "--pid", toucher.pid) as rows:
            toucher.go()
            truth = toucher.truth()
        found = [row for row in rows if row["stack"].endswith("touch_pages")]
    assert truth["faults"] >= 3000
    assert sum(row["count"] for row in found) == truth["faults"]
    assert {(row["pid"], row["access"]) for row in found} == {(toucher.pid, "write")}
