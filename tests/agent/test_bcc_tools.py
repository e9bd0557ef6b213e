"""Stock tools of bcc, changed by the few lines of the guide, log rows of what they print."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import bcc_headers, bcc_tools
from tests.probes.acting import actor
from tests.serving import serving
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving import Serving

pytestmark = [pytest.mark.bpf, pytest.mark.xdist_group("tools")]
_PATIENCE = 60.0
# Softirqs has no option for a process: this replaces the tool's filter of a CPU.
_ANY_CPU = "bpf_text.replace('FILTER_CPU', '')"
_OF_PROCESS = """bpf_text.replace('FILTER_CPU',
        'if (bpf_get_current_pid_tgid() >> 32 != %d) { return 0; }')"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, "--categories", bcc_tools.categories(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bcc_headers.headers(tmp_path_factory.mktemp("bcc") / "headers")


@contextmanager
def running(tool: Path, headers: Path, *arguments: object) -> Iterator[list[str]]:
    """Run a tool while the body runs, up to Ctrl-C; the list holds the lines that it printed."""
    command = [bcc_tools.PYTHON, tool, *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/usr/sbin", "BCC_KERNEL_SOURCE": str(headers)}
    lines: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _wait_until_attached(process)
            yield lines
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=_PATIENCE)
        finally:
            process.kill()
    assert not [line for line in err.splitlines() if "Traceback" in line or "rows" in line], err
    lines += out.splitlines()


def _wait_until_attached(process: subprocess.Popen[str]) -> None:
    """Return when the tool sleeps with its perf events open."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError):  # a file that is closed, or a process that ends, in between
            if _sleeps_with_events(Path(f"/proc/{process.pid}")):
                return
        time.sleep(0.02)
    process.kill()
    raise AssertionError(process.communicate())


def _sleeps_with_events(process: Path) -> bool:
    files = (str(path.readlink()) for path in (process / "fd").iterdir())
    return any("perf_event" in file for file in files) and "nanosleep" in (
        (process / "wchan").read_text()
    )


def rows(server: Serving, table: str, **filters: str | int) -> list[dict[str, Any]]:
    """Return the newest rows of a table, the last one first."""
    answer = server.get(f"/api/v1/rows/{table}", **{"from": "now-1h", "limit": 1000}, **filters)
    said = answer.raise_for_status().json()
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


def test_profile(server: Serving, headers: Path, tmp_path: Path) -> None:
    """Each sample that the tool prints is in the database, below its function."""
    tool = bcc_tools.changed("profile", tmp_path, server.ingest)
    with workload("stacks.c", tmp_path, 300, 1) as burner:
        with running(tool, headers, "-f", "-a", "-F", 499, "-p", burner.pid) as lines:
            burner.go()
            burner.truth()
        logged = rows(server, "profile", pid=burner.pid)
    printed = Counter[str]()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        printed[_burner(stack)] += int(count)
    stored = Counter[str]()
    for row in logged:
        stored[_burner(row["stack"])] += row["samples"]
        assert row["process"] == "stacks"
        assert row["stack"].split(";")[-1] not in {"stacks", "0"}
        assert row["elapsed"] == pytest.approx(row["samples"] * 1e6 / 499, abs=1)
    assert stored == printed
    assert printed["burn_most"] > printed["burn_rest"] > 5


def _burner(stack: str) -> str:
    return next((name for name in ("burn_most", "burn_rest") if f";{name}" in stack), "")


@pytest.mark.parametrize("option", ["", "-C", "-d"])
def test_softirqs(option: str, server: Serving, headers: Path, tmp_path: Path) -> None:
    """Sums, counts and histograms are those that the tool prints."""
    before = len(rows(server, "softirq_time"))
    tool = bcc_tools.changed("softirqs", tmp_path, server.ingest)
    with actor("packets", tmp_path) as acting:
        text = tool.read_text()
        assert _ANY_CPU in text
        tool.write_text(text.replace(_ANY_CPU, _OF_PROCESS % acting.pid))
        with running(tool, headers, *option.split()) as lines:
            acting.go()
            acting.truth()
    logged = rows(server, "softirq_time")
    new = {row["softirq"]: row for row in logged[: len(logged) - before]}
    if option == "-d":
        assert {name: row["duration"] for name, row in new.items()} == bcc_tools.histograms(lines)
    else:
        column = "count" if option else "elapsed"
        assert {name: row[column] for name, row in new.items()} == sums(lines)
    assert "net_rx" in new


def sums(lines: list[str]) -> dict[str, int]:
    """Return the numbers of the tool's table."""
    found = (re.fullmatch(r"(\w+) +(\d+)", line) for line in lines)
    return {each[1]: int(each[2]) for each in found if each}
