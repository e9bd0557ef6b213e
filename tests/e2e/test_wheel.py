"""The wheel, in a separate environment, away from the sources."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import zipfile
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("install")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `kscope` command of an environment that has the wheel and no sources.

    What it depends on is lent by this environment: test_run.py installs that from nothing.
    """
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", folder)
    _run(folder / "bin" / "python", "-m", "pip", "install", "--no-deps", wheel)
    own = next(folder.glob("lib/python*/site-packages"))
    # A path that a .pth file adds comes last, and its own .pth files, such as that of an editable
    # installation, are not read.
    (own / "lent.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "kscope"


def test_it_carries_what_is_no_code(wheel: Path) -> None:
    """Categories, probes, the page and the licences are in the wheel; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "kscope/builtin/categories/offcputime.yaml",
        "kscope/builtin/probes/offcputime.bpf.c",
        "kscope/server/static/index.html",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSES/GPL-2.0-only.txt") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "web/", "benchmarks/"))]


def test_it_serves_the_page_and_takes_rows(installed: Path, tmp_path: Path) -> None:
    """`kscope serve` in an empty folder: built-in categories, the page, a row in and out."""
    process = _start(installed, tmp_path, "serve", "0")
    try:
        page, ingest = _addresses(tmp_path / "output", process)
        assert "<title>Kernelscope" in httpx.get(page).text
        row = {"process": "mysqld", "pid": 1, "stack": "main;wait", "elapsed": 5}
        body = {"hostname": "web-001", "offcputime": [row]}
        assert httpx.post(ingest, json=body).status_code == 200
        graph = httpx.get(f"{page}api/v1/flamegraph/offcputime").json()
        assert sorted(graph["names"]) == ["all", "main", "mysqld", "wait"]
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_it_is_built_from_the_source_archive(wheel: Path, tmp_path: Path) -> None:
    """As a distribution builds it: the archive has all that the wheel needs, the page included."""
    sources = tmp_path / "sources"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", sources]
    _run(*build, folder=ROOT)
    (archive,) = sources.glob("*.tar.gz")
    make = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    _run(*make, "-w", tmp_path, archive)
    (made,) = tmp_path.glob("*.whl")
    assert _contents(made) == _contents(wheel)


def test_without_extras_it_is_an_agent(wheel: Path, tmp_path: Path) -> None:
    """`pip install` of it in an empty environment: a few libraries, and no server's."""
    _run(sys.executable, "-m", "venv", tmp_path / "environment")
    programs = tmp_path / "environment/bin"
    _run(programs / "python", "-m", "pip", "install", "--disable-pip-version-check", wheel)
    helped = _start(programs / "kscope", tmp_path, "agent", "offcputime", "--help")
    assert helped.wait(60) == 0, (tmp_path / "output").read_text()
    assert "--threshold" in (tmp_path / "output").read_text()
    assert _start(programs / "kscope", tmp_path, "serve").wait(60) == 2
    assert "pip install 'kernelscope[server]'" in (tmp_path / "output").read_text()


@pytest.mark.bpf
@pytest.mark.xdist_group("install")
def test_its_agent_finds_its_probe(installed: Path, tmp_path: Path) -> None:
    """The packaged program is compiled and traces a process."""
    with subprocess.Popen(["sleep", "60"]) as asleep:
        target = ["-p", str(asleep.pid), "--json", "--duration", "1"]
        agent = _start(installed, tmp_path, "agent", "offcputime", *target)
        code = agent.wait(60)
        asleep.kill()
    assert code == 0, (tmp_path / "output").read_text()


def _start(kscope: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [kscope, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
        )


def _addresses(output: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    deadline = time.monotonic() + 30
    while (
        len(found := re.findall(r"^(?:page|ingest) +(\S+)", output.read_text(), re.MULTILINE)) < 2
    ):
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    return iter(found)


def _contents(wheel: Path) -> dict[str, int]:
    """Return the checksum of each file, except of the list of them."""
    entries = zipfile.ZipFile(wheel).infolist()
    return {each.filename: each.CRC for each in entries if not each.filename.endswith("RECORD")}


def _run(*command: str | Path, folder: str | Path = "/") -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
