"""A new export format or question is one new file: the API, the CLI, tools and docs have it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.copied import copied
from tests.databases import SQLiteFile
from tests.query.world import waits
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.query.world import World

FORMAT = '''
"""The number of stacks as text."""

from kscope.query.answers.stacks import FoldedStacks
from kscope.query.export.base import StackFormat


def _counted(stacks: FoldedStacks) -> bytes:
    return f"{len(stacks.values)} of {stacks.title}".encode()


FORMATS = (
    StackFormat(
        name="counted",
        media_type="text/x-counted",
        ending="counted",
        help="how many stacks there are",
        encode=_counted,
    ),
)
'''
QUESTION = '''
"""The length of a question's range."""

from kscope.query.answers.question import JsonAnswer, Question, Table
from kscope.query.parse.parameters import Asked
from kscope.store.reader import Reader


class Length(JsonAnswer, frozen=True):
    hours: float

    def as_table(self) -> Table:
        return Table(["hours"], [[self.hours]])


async def _length(reader: Reader, asked: Asked) -> Length:
    return Length((asked.scope.range.end - asked.scope.range.start) / 3.6e9)


QUESTIONS = (
    Question(
        name="length",
        help="How long the range is.",
        parameters=(),
        ask=_length,
        answer=Length,
    ),
)
'''
# Asks the read API of a package that is not this one.
ASK = """
import sys
from pathlib import Path
from tests.databases import SQLiteFile
from tests.query.world import World

world = World(SQLiteFile(Path(sys.argv[1])))
answer = world.get(sys.argv[2])
print(answer.status_code, answer.headers["content-type"], answer.text)
world.close()
"""
# Calls a tool of a package that is not this one.
CALL = """
import sys
from pathlib import Path
from kscope.cli.source import source_of
from tests.assistant.asked import asked

source = source_of(None, None, Path(sys.argv[1]), None)
print(asked(source, "length", table="offcputime", start="2026-11-23", end="2026-11-24"))
"""
DAY = "from=2026-11-23&to=2026-11-24"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Copy the package to a folder from which Python imports it first."""
    return copied(tmp_path / "copy")


@pytest.fixture
def file(world: World) -> Path:
    """Insert six off-CPU waits."""
    world.insert("offcputime", waits())
    assert isinstance(world.database, SQLiteFile)
    return world.database.path


def python(package: Path, *arguments: str | Path) -> str:
    path = os.pathsep.join(map(str, (package, ROOT)))
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def reference(package: Path) -> str:
    """Return the generated page on HTTP."""
    python(package, "-m", "kscope", "generate", "--output", package / "out")
    return (package / "out/docs/reference/http.md").read_text()


def test_an_export_format_is_one_file(package: Path, file: Path) -> None:
    """The API, the command line and the reference page have the format of a new file."""
    (package / "kscope/query/export/counted.py").write_text(FORMAT)
    answer = python(package, "-c", ASK, file, f"/api/v1/flamegraph/offcputime?{DAY}&format=counted")
    told = "5 of Off-CPU time: elapsed by stack"
    assert answer.split(maxsplit=1) == ["200", f"text/x-counted; charset=utf-8 {told}\n"]
    days = ("--from", "2026-11-23", "--to", "2026-11-24")
    asked = ("query", "offcputime", *days, "--sqlite", file, "--format", "counted")
    assert python(package, "-m", "kscope", *asked) == told
    assert "| `counted` | text/x-counted | how many stacks there are |" in reference(package)


def test_a_question_is_one_file(package: Path, file: Path) -> None:
    """The API, the command line, assistants and the reference page have a new file's question."""
    (package / "kscope/query/answers/length.py").write_text(QUESTION)
    address = f"/api/v1/length/offcputime?{DAY}"
    assert python(package, "-c", ASK, file, address) == '200 application/json {"hours":24.0}\n'
    days = ("--from", "2026-11-23", "--to", "2026-11-24")
    assert "| 24 |" in python(package, "-c", CALL, file)
    asked = ("query", "offcputime", *days, "--sqlite", file, "-q", "length")
    assert python(package, "-m", "kscope", *asked) == "hours\n   24\n"
    assert "### `GET /api/v1/length/{table}`" in reference(package)
