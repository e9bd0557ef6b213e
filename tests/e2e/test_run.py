"""scripts/run in a clone that nothing has been installed in."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.fakesudo import sudo
from tests.serving import ROOT
from tests.workloads import workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
OWN = """
table: own
columns: [{{name: pid, type: int}}, {{name: n, type: count}}]
probe:
  engine: bpftrace
  script: 'interval:ms:500 {{ @n[{pid}] = count(); }}'
  collect: {{map: n, columns: {{pid: key.0, n: value}}}}
"""
pytestmark = [pytest.mark.bpf, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """Return a copy of all files that are, or would be, committed; any user may enter it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "clone")
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target / name)
        Path(folder).chmod(0o755)
        yield target


@contextmanager
def started(
    clone: Path, *arguments: object, path: Path | None = None, **user: Any
) -> Iterator[tuple[str, str]]:
    """Run it until the body is done, then Ctrl-C; gives the page's address and what it printed.

    `path` is where programs are looked for first.
    """
    first = f"{path}:" if path else ""
    log = clone.parent / "output"
    with log.open("w") as output:
        process = subprocess.Popen(
            # Tests that run in the background ignore Ctrl-C, and so would all that they start.
            ["env", "--default-signal=INT", "scripts/run", *map(str, arguments)],
            cwd=clone,
            env=os.environ | {"KSCOPE_PORT": "0", "PATH": f"{first}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **user,
        )
    try:
        address = _eventually(300, lambda: _said(log, process))
        yield address, log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode == 130
    assert _running_in(clone) == []


def test_it_shows_the_process_it_was_told_to_trace(clone: Path, tmp_path: Path) -> None:
    """From nothing to a page with real waits; Ctrl-C leaves no process behind."""
    with (
        workload("waiter.c", tmp_path, 60_000) as waiter,
        started(clone, "--pid", waiter.pid, "--interval", 1) as (address, printed),
    ):
        waiter.go()
        assert "recording" not in printed
        assert "runs offcputime alone: no probe of kernelscope.yaml or mine/ starts" in printed
        assert "<title>Kernelscope" in httpx.get(address).text
        question = f"{address}api/v1/flamegraph/offcputime?pid={waiter.pid}"
        _eventually(30, lambda: "wait_pipe" in httpx.get(question).json()["names"])


def test_a_mistake_is_told_and_nothing_is_made_up(clone: Path) -> None:
    """A flag that there is not, a process that there is not: no recording in their place."""
    environment = os.environ | {"KSCOPE_PORT": "0"}
    for arguments, words in ((["--bogus"], "No such option"), (["-p", "3999999"], "no process")):
        done = subprocess.run(
            ["scripts/run", *arguments],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (1, 2)
        assert words in done.stderr
        assert "recording" not in done.stdout
        assert "Fatal" not in done.stderr
        assert _running_in(clone) == []


def test_an_agent_that_ends_is_told_and_the_page_stays(clone: Path) -> None:
    with (
        subprocess.Popen(["sleep", "300"]) as asleep,
        started(clone, "--pid", asleep.pid, "--duration", "8") as (address, _),
    ):
        told = "The agent has ended; the page stays"
        _eventually(30, lambda: told in (clone.parent / "output").read_text())
        assert "<title>Kernelscope" in httpx.get(address).text
        asleep.kill()


def test_without_bpf_it_says_why_and_plays_a_recording(clone: Path) -> None:
    """A user without rights gets a page too, marked as recorded."""
    subprocess.run(["chown", "-R", "nobody", clone], check=True)
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    with started(clone, **nobody) as (address, printed):
        assert "pip install" not in printed  # the second run has nothing to do
        assert "No BPF data from this machine" in printed
        assert re.search(r"root|not permitted|CAP_", printed)
        question = f"{address}api/v1/flamegraph/offcputime"
        notices = _eventually(30, lambda: httpx.get(question).json()["notices"])
        assert "Recorded data" in notices[0]["text"]


def test_with_sudo_it_leaves_no_agent_of_roots_behind(clone: Path, tmp_path: Path) -> None:
    """A user's Ctrl-C ends what sudo started, though sudo would want a password by then."""
    subprocess.run(["chown", "-R", "nobody", clone], check=True)
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        workload("waiter.c", tmp_path, 60_000) as waiter,
    ):
        Path(folder).chmod(0o755)
        with (
            sudo(Path(folder), "nobody") as path,
            started(clone, "--pid", waiter.pid, "--interval", 1, path=path, **nobody) as (
                address,
                printed,
            ),
        ):
            waiter.go()
            assert "recording" not in printed
            assert any("--pid" in command for command in _running_in(clone))
            question = f"{address}api/v1/flamegraph/offcputime?pid={waiter.pid}"
            _eventually(30, lambda: "wait_pipe" in httpx.get(question).json()["names"])


def test_it_runs_the_probes_of_the_configuration(clone: Path) -> None:
    """Without arguments: those that it lists, and one from a file in mine/."""
    config = clone / "kernelscope.yaml"
    listed = "  probes:\n    offcputime: {threshold: 1000}"
    assert listed in config.read_text()
    # The listed probes would trace the whole machine here.
    config.write_text(config.read_text().replace(listed, ""))
    with subprocess.Popen(["sleep", "300"]) as asleep:
        (clone / "mine" / "own.yaml").write_text(OWN.format(pid=asleep.pid))
        with started(clone) as (address, printed):
            assert "recording" not in printed
            assert "alone" not in printed
            question = f"{address}api/v1/rows/own"
            _eventually(60, lambda: httpx.get(question).json().get("rows"))
        asleep.kill()


def test_the_readme_installs_it(clone: Path, tmp_path: Path) -> None:
    """Piece by piece: environment, package, and a command that serves by the file of the clone."""
    block = next(b for b in BLOCKS if b.startswith("python3 -m venv"))
    fresh = tmp_path / "fresh"
    shutil.copytree(clone, fresh, ignore=shutil.ignore_patterns(".venv", ".work", "own.yaml"))
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    block = block.replace("/usr/local/bin", str(tmp_path))
    subprocess.run(["sh", "-euc", block], cwd=fresh, env=environment, check=True)
    free = ["--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0"]
    with subprocess.Popen(
        ["kscope", "serve", "--config", "kernelscope.yaml", *free],
        cwd=fresh,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        page = server.stdout.readline().split()[1]
        assert "<title>Kernelscope" in httpx.get(page).text
        server.terminate()


def _said(log: Path, process: subprocess.Popen[bytes]) -> str:
    assert process.poll() is None, log.read_text()
    found = re.search(r"Kernelscope is at (http://\S+)", log.read_text())
    return found[1] if found else ""


def _eventually(seconds: float, ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.2)
    return answer


def _running_in(folder: Path) -> list[str]:
    """Return the command lines of processes that were started from the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found
