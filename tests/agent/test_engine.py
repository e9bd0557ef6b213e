"""An engine is one file: its row, and the class that the row names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.copied import copied
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "tests/agent/one_file/words.py"
CATEGORY = """\
table: speech
columns:
  - {name: pid, type: int}
  - {name: word, type: label}
  - {name: spoken, type: count, default: 1}
probe:
  engine: words
  %s: one two
  collect: {map: said, columns: {pid: key.pid, word: key.word}}
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kscope", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_in_the_folder_of_engines_is_an_engine(tmp_path: Path) -> None:
    """A category can name it, its options are flags, and the agent runs its probes."""
    copied(tmp_path)
    shutil.copy(EXAMPLE, tmp_path / "kscope/declare/engines")
    (tmp_path / "categories/speech.yaml").write_text(CATEGORY % "script")
    (tmp_path / "kernelscope.yaml").write_text("categories: [./categories]\n")
    probe = ("agent", "speech", "--json", "--duration", "0.2", "--pid", str(os.getpid()))
    ran = run(tmp_path, *probe)
    assert ran.returncode == 0, ran.stderr
    rows = {(row["pid"], row["word"]) for row in map(json.loads, ran.stdout.splitlines())}
    assert rows == {(os.getpid(), "one"), (os.getpid(), "two")}
    (refused,) = run(tmp_path, *probe, "--keys", "1").stderr.splitlines()[-1:]
    assert "'--keys': 1 is less than 64" in refused

    (tmp_path / "categories/speech.yaml").write_text(CATEGORY % "program")
    ran = run(tmp_path, "generate", "--categories", "categories", "--output", "made")
    assert ran.returncode == 2
    said = "probe.program: is not for words, which runs a 'script', a text in this file"
    assert f"categories/speech.yaml:8: {said}" in ran.stderr
