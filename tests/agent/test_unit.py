"""The systemd unit: systemd takes it, and what it leaves the agent is enough for the probes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT, kscope
from tests.units import check_unit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNIT = ROOT / "packaging" / "kernelscope-agent.service"

BUSY = """
import os, time
while True:
    time.sleep(0.01)
    if not os.fork():
        sum(range(300_000))
        os._exit(0)
    os.wait()
"""


def setting(name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_systemd_takes_it_and_calls_it_safe(tmp_path: Path) -> None:
    """No setting is unknown to it, and its exposure is well below that of an unguarded service."""
    check_unit(UNIT, tmp_path, exposure=40)


def test_its_command_is_one_that_kscope_takes(tmp_path: Path) -> None:
    """Its flags exist, and a percent sign is escaped as systemd expects."""
    _, *arguments = setting("ExecStart").split()
    assert all("%" not in part.replace("%%", "") for part in arguments)
    command = [part.replace("%%", "%") for part in arguments]
    (tmp_path / "empty.yaml").touch()
    command[command.index("--config") + 1] = str(tmp_path / "empty.yaml")
    done = subprocess.run(kscope(*command), capture_output=True, text=True, check=False)
    assert done.stderr.startswith("there is no probe to run"), done.stderr


def test_what_the_readme_installs_is_a_configuration(tmp_path: Path) -> None:
    """Its commands run unchanged except for the folders: doctor accepts the file."""
    readme = (UNIT.parent / "README.md").read_text()
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL))
    (tmp_path / "agent.token").write_text("kscope_secret\n")
    (tmp_path / "packaging").symlink_to(UNIT.parent)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for line in blocks.splitlines():
        if line.startswith("install "):
            # The group is one that useradd makes.
            plain = line.replace(" -g kernelscope", "")
            words = plain.replace(" /etc", f" {tmp_path}/etc").split()
            subprocess.run(words, cwd=tmp_path, check=True)
    (doctor,) = (
        line for line in blocks.splitlines() if line.startswith("/opt/") and " doctor " in line
    )
    _, *arguments = doctor.replace(" /etc", f" {tmp_path}/etc").split()
    done = subprocess.run(
        kscope(*arguments), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode in (0, 1), done.stderr  # this test does not depend on the host
    assert " server: http://127.0.0.1:8081" in done.stdout
    assert (tmp_path / "etc/systemd/system" / UNIT.name).is_file()


@pytest.fixture
def busy() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.bpf
def test_its_capabilities_are_enough(busy: int) -> None:
    """With no others root loads programs for tracepoints and perf events and names all frames;
    doctor has nothing to add.
    """
    kept = [name.removeprefix("CAP_").lower() for name in setting("CapabilityBoundingSet").split()]
    bounding = ",".join(["-all", *(f"+{name}" for name in kept)])
    confined = ["setpriv", f"--bounding-set={bounding}", "--inh-caps=-all", "--no-new-privs"]

    flags = ("--pid", str(busy), "--children", "--duration", "2", "--json")
    running = {
        probe: subprocess.Popen(
            [*confined, *kscope("agent", probe, *flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for probe in ("offcputime", "profile")
    }
    rows = {}
    for probe, process in running.items():
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        rows[probe] = [json.loads(line) for line in out.splitlines()]
    # Its own side has one sure frame, the last: distributions build without frame pointers.
    sides = [row["stack"].partition("_[k]") for row in rows["offcputime"]]
    assert any(
        re.search(r"clock_nanosleep\b[^;]*;\w+$", before) for before, mark, _ in sides if mark
    ), sides
    assert rows["profile"]
    command = [*confined, *kscope("doctor")]
    doctor = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "capabilities: lacking" not in doctor.stdout
    assert "bpf statistics: the probes' own cost can be measured" in doctor.stdout


@pytest.mark.bpf
def test_a_bound_that_cannot_see_the_kernel_says_so(busy: int, tmp_path: Path) -> None:
    """Without the right to switch BPF statistics on, only half of a probe's cost is known."""
    flags = ("--pid", str(busy), "--duration", "0.5", "--max-overhead", "1%")
    away = ("--server", "127.0.0.1:9", "--spool", str(tmp_path))
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all,+bpf,+perfmon,+syslog", "--inh-caps=-all",
         *kscope("agent", "offcputime", *flags, *away)],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    # There is no server: its rows are kept.
    assert done.returncode == 1, done.stderr
    assert "BPF statistics are off, so that only the agent's own time counts" in done.stderr
