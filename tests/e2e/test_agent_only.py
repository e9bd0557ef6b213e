"""An installation without the server's libraries, as on a host that only sends rows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from kscope.cli import COMMANDS
from kscope.cli.missing import SERVER
from tests.serving import ROOT, few, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

# Those that need no server's libraries; a new command is in one of the lists.
ALONE = {"agent", "completion", "doctor", "import", "log", "marker", "spool", "token"}
# How those of the server are called, so that nothing but a library can be missing.
NEEDING = {
    "backup": ("x.db",),
    "changes": (),
    "copy": ("--from", "sqlite:a.db", "--to", "sqlite:b.db"),
    "generate": (),
    "hosts": (),
    "mcp": (),
    "migrate": ("--dry-run",),
    "query": ("rows", "offcputime"),
    "restore": ("x.db",),
    "retention": (),
    "serve": ("0",),
    "symbols": ("list",),
}
# Imported by the names that Python has for them.
MODULES = {"google-re2": "re2", "sqlalchemy": "sqlalchemy"}
REFUSING = """
import sys

class Refusing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing)
"""
LOGGING = """
import sys
from kscope.client import Logger

with Logger(sys.argv[1]) as log:
    log("offcputime", process="script", pid=1, stack="main;wait", elapsed=7)
"""


def project() -> dict[str, list[str]]:
    """Return the requirements by extra; those of every installation are under an empty name."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": read["dependencies"], **read["optional-dependencies"]}


def modules(extra: str) -> set[str]:
    """Return the modules of an extra's own libraries."""
    names = {Requirement(line).name for line in project()[extra]} - {"kernelscope"}
    return {MODULES.get(name, name.replace("-", "_")) for name in names}


@dataclass(frozen=True)
class AgentOnly:
    """Runs Python in which the libraries of all extras are missing."""

    environment: dict[str, str]
    folder: Path

    def run(self, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def kscope(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.run(*kscope(*arguments), stdin=stdin)


@pytest.fixture
def alone(tmp_path: Path) -> AgentOnly:
    missing = {
        name for extra in ("server", "mysql", "clickhouse", "mcp") for name in modules(extra)
    }
    folder = tmp_path / "refusing"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REFUSING.format(missing=sorted(missing - modules(""))))
    paths = os.pathsep.join((str(folder), str(ROOT)))
    return AgentOnly(os.environ | {"PYTHONPATH": paths, "HOME": str(tmp_path)}, tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(folder, "--sqlite", folder / "kernelscope.db", *few(folder, "marker")) as server:
        yield server


def test_every_library_of_the_server_is_known() -> None:
    """The words for a missing library are there for each that `[server]` brings, and no other."""
    assert modules("server") - modules("") == SERVER
    assert {*NEEDING} | ALONE == {*COMMANDS}


@pytest.mark.parametrize("extra", ["mysql", "clickhouse", "mcp", "parquet"])
def test_each_extra_brings_the_server(extra: str) -> None:
    """`pip install 'kernelscope[mysql]'` alone is enough for a server with MySQL."""
    own = [Requirement(line) for line in project()[extra] if line.startswith("kernelscope")]
    assert [each.extras for each in own] == [{"server"}]


@pytest.mark.parametrize("command", ["", *sorted(ALONE)])
def test_help(alone: AgentOnly, command: str) -> None:
    """The list of commands, and the options of those that need no more."""
    done = alone.kscope(*filter(None, [command]), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: kscope" in done.stdout


@pytest.mark.parametrize("command", [*NEEDING])
def test_a_command_of_the_server_says_what_to_install(alone: AgentOnly, command: str) -> None:
    """One line, and the code of a wrong command."""
    done = alone.kscope(command, *NEEDING[command])
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "kernelscope-server" in done.stderr
    assert "pip install 'kernelscope[server]'" in done.stderr


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("kscope qu", "plain,query\n"),
        ("kscope agent runq", "plain,runqlat\n"),
        ("kscope query r", ""),
    ],
)
def test_shells_complete_what_is_there(alone: AgentOnly, line: str, answer: str) -> None:
    """A command of the server offers nothing more, silently."""
    asked = (f"COMP_WORDS={line}", f"COMP_CWORD={line.count(' ')}")
    done = alone.run("env", "_KSCOPE_COMPLETE=bash_complete", *asked, *kscope())
    assert (done.stdout.lstrip("\n"), done.stderr) == (answer, "")


def test_rows_reach_a_server(alone: AgentOnly, server: Serving) -> None:
    """From the agent, a pipe, a file and a script."""
    to = ("--server", server.ingest)
    replay = ("agent", "offcputime", "--replay", "bundled", "--history", "60")
    folded, table = alone.folder / "some.folded", "offcputime"
    folded.write_text("main;wait 5\n")
    row = '{"process": "piped", "pid": 1, "stack": "main;wait", "elapsed": 5}\n'
    script = alone.folder / "script.py"
    script.write_text(LOGGING)
    spool = ("--spool", alone.folder / "spool")
    for done in (
        alone.kscope(*replay, *to, *spool, "--duration", "1"),
        alone.kscope("log", table, *to, *spool, "--hostname", "h2", stdin=row),
        alone.kscope("import", table, folded, *to, "--hostname", "h3", "--unit", "us"),
        alone.run(sys.executable, script, server.ingest),
        alone.kscope("marker", "deployed", *to),
    ):
        assert done.returncode == 0, textwrap.indent(done.stdout + done.stderr, str(done.args))
    answer = server.get("/api/v1/values/offcputime/hostname").json()
    hosts = {each["value"] for each in answer["values"]}
    # That of the recording and this machine's are the others.
    assert len(hosts) == 4
    assert {"h2", "h3"} < hosts


def test_a_wrong_row_is_refused_before_it_is_sent(alone: AgentOnly, server: Serving) -> None:
    """`kscope log` judges rows with the same limits as a server."""
    rows = '{"pid": -1, "process": 5, "stack": "a", "elapsed": -5, "other": 1}\n'
    done = alone.kscope("log", "offcputime", "--server", server.ingest, stdin=rows)
    assert done.returncode == 1
    for word in ("process", "elapsed", "there is no column 'other'"):
        assert word in done.stderr
