"""The Debian packages, in a bare Debian root: install, run, upgrade, remove, purge."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import needs
from tests.packagefixtures import Packages
from tests.serving import few, serving
from tests.store.test_older import DUMPS, NOW, RANGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bareroot import BareRoot

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(600)]

# A row of a user's script, with the Python of the distribution.
SCRIPT = """
import sys
from kscope.client import Logger

with Logger(sys.argv[1]) as log:
    log("offcputime", process="script", pid=1, stack="main;wait", elapsed=7)
"""
ROW = {"process": "mysqld", "pid": 1, "stack": "main;wait", "elapsed": 5}
DATA = "var/lib/kernelscope-server"


@pytest.fixture
def root(bare_root: BareRoot, tmp_path: Path) -> Iterator[BareRoot]:
    copy = bare_root.copied(tmp_path / "root")
    yield copy
    subprocess.run(["rm", "-rf", "--one-file-system", copy.path], check=True)


def test_lintian_finds_no_error(packages: Packages) -> None:
    """Debian's own checks of what a package has to have."""
    lintian = needs.program("lintian", "lintian")
    command = [lintian, "--allow-root", "--fail-on", "error", packages.agent, packages.server]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_agent_brings_no_library(packages: Packages) -> None:
    """It is for all machines, and depends on Debian's Python alone."""
    names = contents(packages.agent)
    places = (
        r"\./(etc/kernelscope/|lib/systemd/|usr/(bin/kscope|share/)|usr/lib/python3/dist-packages/"
    )
    own = re.compile(rf"{places}(kscope|kernelscope-[\d.]+\.dist-info)/)")
    assert [name for name in names if not name.endswith("/") and not own.match(name)] == []
    assert [name for name in names if name.endswith((".so", ".pyc")) or "/static/" in name] == []
    for shared in (
        "man/man1/kscope-agent.1.gz",
        "man/man1/kscope-agent-offcputime.1.gz",
        "bash-completion/completions/kscope",
        "zsh/vendor-completions/_kscope",
    ):
        assert f"./usr/share/{shared}" in names
    needed = field(packages.agent, "Depends")
    assert {each.split()[0] for each in needed.split(",")} == {
        "python3",
        "python3-click",
        "python3-jsonschema",
        "python3-yaml",
        "python3-zstandard",
    }


@pytest.mark.bpf
@pytest.mark.xdist_group("install")
def test_an_agent_on_a_bare_root(packages: Packages, root: BareRoot, tmp_path: Path) -> None:
    """With Debian's Python and bcc: it traces a process, and a server elsewhere has the rows."""
    root.install(packages.agent)
    assert "Commands:" in root.run("kscope", "--help")
    assert "--threshold" in root.run("kscope", "agent", "offcputime", "--help")
    said = root.run("kscope", "serve", code=2)
    assert "install the Debian package kernelscope-server" in said
    assert len(said.splitlines()) == 1
    (root.path / "tmp/script.py").write_text(SCRIPT)
    config = tmp_path / "server"
    config.mkdir()
    with (
        serving(config, "--sqlite", config / "rows.db", *few(config, "agent")) as server,
        subprocess.Popen(["sh", "-c", "while sleep 0.05; do :; done"]) as target,
    ):
        to = ("--server", server.ingest)
        try:
            trace = ("agent", "offcputime", "-p", str(target.pid), "--duration", "2", *to)
            root.run("kscope", *trace, "--spool", "/tmp/spool")
        finally:
            target.kill()
        root.run("python3", "/tmp/script.py", server.ingest)
        piped = '{"process": "piped", "pid": 1, "stack": "main;wait", "elapsed": 5}\n'
        root.run("kscope", "log", "offcputime", *to, stdin=piped)
        found = set(server.get("/api/v1/flamegraph/offcputime").json()["names"])
    assert {"sh", "script", "piped"} <= found
    removed = root.run("apt-get", "purge", "-y", "kernelscope-agent")
    assert "/var/lib/kernelscope stays" in removed
    assert not (root.path / "etc/kernelscope").exists()
    assert leftovers(root) == []


def test_a_server_on_a_bare_root(packages: Packages, root: BareRoot, tmp_path: Path) -> None:
    """As its unit starts it, on a database of 0.1.0: rows, the page, an upgrade, and a purge."""
    root.install(packages.agent, packages.server)
    choose_ports(root)
    bring_database_of_0_1_0(root)
    with running(root, tmp_path) as (page, ingest):
        assert "<title>Kernelscope" in httpx.get(page).text
        waited = httpx.get(f"{page}api/v1/flamegraph/waits", params={"value": "elapsed", **RANGE})
        # 50 rows of one host, and 4 late ones of another: see tests/store/test_older.py.
        assert waited.json()["value"][0] == 500 + 20
        body = {"hostname": "web-001", "offcputime": [ROW]}
        assert httpx.post(ingest, json=body).status_code == 200
    newer = Packages(*(repacked(each, tmp_path) for each in (packages.agent, packages.server)))
    root.install(newer.agent, newer.server)
    with running(root, tmp_path) as (page, _):
        names = httpx.get(f"{page}api/v1/flamegraph/offcputime").json()["names"]
        assert sorted(names) == ["all", "main", "mysqld", "wait"]
    owned = root.run("stat", "--format=%U %a", f"/{DATA}", "/etc/kernelscope/server.yaml")
    assert owned.split() == ["kernelscope", "700", "root", "640"]
    # A removed package keeps its configuration, a purged one does not.
    root.run("apt-get", "remove", "-y", "kernelscope-server")
    assert (root.path / "etc/kernelscope/server.yaml").exists()
    said = root.run("kscope", "serve", code=2)
    assert "install the Debian package kernelscope-server" in said
    root.run("rm", "-r", "/etc/kernelscope/mine")
    said = root.run("apt-get", "purge", "-y", "kernelscope-server", "kernelscope-agent")
    assert f"/{DATA} and the user kernelscope stay" in said
    assert (root.path / DATA / "kernelscope.db").exists()
    assert not (root.path / "etc/kernelscope").exists()
    assert leftovers(root) == []


def bring_database_of_0_1_0(root: BareRoot) -> None:
    """Put a database that an older version made in its place, with the data type of its rows."""
    database = root.path / DATA / "kernelscope.db"
    subprocess.run(["sqlite3", database], input=(DUMPS / "sqlite.sql").read_bytes(), check=True)
    root.run("chown", "kernelscope:kernelscope", f"/{DATA}/kernelscope.db")
    (root.path / "etc/kernelscope/mine").mkdir()
    (root.path / "etc/kernelscope/mine/waits.yaml").write_text(NOW)
    with (root.path / "etc/kernelscope/server.yaml").open("a") as file:
        file.write("categories: [builtin, mine]\n")


def choose_ports(root: BareRoot) -> None:
    """Edit the configuration as an administrator does; the machine's own ports may be in use."""
    file = root.path / "etc/kernelscope/server.yaml"
    commented = re.compile(r"^# (read|ingest): \S+:80\d\d", re.MULTILINE)
    text = commented.sub(r"\1: 127.0.0.1:0", file.read_text())
    assert text.count("127.0.0.1:0") == 2
    file.write_text(text)


@contextmanager
def running(root: BareRoot, folder: Path) -> Iterator[list[str]]:
    """Start the server as systemd does, and yield the addresses of the page and of the ingest."""
    unit = root.unit("kernelscope-server.service")
    user = f"{unit['User']}:{unit['Group']}"
    with (folder / "server.log").open("wb") as output:
        command = unit["ExecStart"].split()
        process = root.start(*command, user=user, folder=unit["WorkingDirectory"], output=output)
    try:
        yield addresses(folder / "server.log", process)
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, (folder / "server.log").read_text()


def addresses(log: Path, process: subprocess.Popen[bytes]) -> list[str]:
    deadline = time.monotonic() + 90
    while True:
        found = re.findall(r"^(?:page|ingest) +(\S+)", log.read_text(), re.MULTILINE)
        if len(found) == 2:
            return found
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def repacked(package: Path, folder: Path) -> Path:
    """Return the package with a later version, as a release without changes would be."""
    tree = folder / package.stem
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    version = field(package, "Version")
    control.write_text(control.read_text().replace(version, f"{version}+1"))
    newer = folder / f"{package.stem}+1.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, newer]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return newer


def leftovers(root: BareRoot) -> list[Path]:
    """Return what is left of the program; the user's data is elsewhere."""
    places = (
        "usr/lib/python3/dist-packages/kscope",
        "usr/lib/kernelscope",
        "var/cache/kernelscope",
    )
    return [root.path / place for place in places if (root.path / place).exists()]


def contents(package: Path) -> list[str]:
    listed = subprocess.run(
        ["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True
    )
    return [line.split(maxsplit=5)[5] for line in listed.stdout.splitlines()]


def field(package: Path, name: str) -> str:
    command = ["dpkg-deb", "--field", package, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
