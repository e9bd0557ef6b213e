"""All that takes bytes from outside takes any: no 500, no exception but ours, no hang or growth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.serving import ROOT

# Of each target. `scripts/fuzz` runs as many as one likes.
EXAMPLES = 50
FOUND = sorted((ROOT / "tests/fuzz/found").glob("*/*"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*TARGETS])
def test_any_bytes_are_refused_with_words_or_taken(name: str) -> None:
    """In a process with bounds of memory and of time for each input; the examples are the same
    each time.
    """
    assert "nothing found" in fuzzed("--one", name, "--examples", EXAMPLES)


@pytest.mark.parametrize("file", FOUND, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_was_found_stays_fixed(file: Path) -> None:
    """Each input that once was a fault, made small."""
    assert "nothing is wrong" in fuzzed("--again", file.parent.name, file)


def test_a_fault_is_said_with_its_input() -> None:
    """The file is there, and the command that runs it again has the traceback."""
    said = fuzzed("--one", "fault", "--examples", 500, code=77)
    found = re.search(r"again with: scripts/fuzz (--again fault (\S+))", said)
    assert found
    assert "ZeroDivisionError" in said
    again = fuzzed(*found[1].split(), code=77)
    assert "fault.py" in again
    assert Path(found[2]).read_bytes().startswith(b"fault")


def fuzzed(*arguments: str | int | Path, code: int = 0) -> str:
    """Return what the fuzzer says."""
    command = [sys.executable, "-m", "tests.fuzz", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    said = done.stdout[-3000:] + done.stderr[-6000:]
    assert done.returncode == code, said
    return said
