"""System calls, against strace and the caller's own count and clock."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.probes.acting import ACTIONS, traced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


COUNTED = ("getppid", "read", "clock_nanosleep")


def test_counts_failures_and_times(tmp_path: Path) -> None:
    """Calls that succeed, that fail, that sleep: as many as were made, as long as they took."""
    rows, truth = traced("calls", tmp_path, "syscalls")
    by_name = {row["syscall"]: row for row in rows}
    assert (by_name["getppid"]["count"], by_name["getppid"]["failed"]) == (500, 0)
    assert (by_name["read"]["count"], by_name["read"]["failed"]) == (40, 40)
    sleeps = by_name["clock_nanosleep"]
    assert sleeps["count"] == sum(sleeps["latency"]) == 10
    assert 200_000 <= sleeps["elapsed"] <= truth["said"]["slept_us"]
    assert sum(sleeps["latency"][14:]) == 10  # 2**14 us is the power of two below 20 ms
    assert {row["pid"] for row in rows} == {truth["actor"]}


def test_strace_counts_the_same(tmp_path: Path) -> None:
    """strace -c finds as many calls of the same program as the probe does."""
    rows, _ = traced("calls", tmp_path, "syscalls")
    strace = needs.program("strace", "strace")
    log = tmp_path / "strace"
    # The interpreter's own reads at its start are not failed calls.
    command = [strace, "-c", "-o", log, "-e", "trace=getppid,clock_nanosleep"]
    subprocess.run(
        [*command, sys.executable, ACTIONS, "calls", tmp_path],
        input="go\n", text=True, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    table = [line.split() for line in log.read_text().splitlines()]
    counted = {words[-1]: int(words[3]) for words in table if words and words[-1] in COUNTED}
    assert counted == {row["syscall"]: row["count"] for row in rows if row["syscall"] in counted}
    assert set(counted) == {"getppid", "clock_nanosleep"}
