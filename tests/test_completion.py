"""Completion in real shells, by the files that packages install and by `kscope completion`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.commands import command
from tests.serving import ROOT
from tests.shells import environment, shell

if TYPE_CHECKING:
    from collections.abc import Mapping

KSCOPE = Path(sys.executable).with_name("kscope")
BROKEN = "agent: {servr: x}\n"
OWN = """\
table: owntable
prettyname: Own
description: A data type of this test.
columns:
  - {name: process, type: string, prettyname: Process}
  - {name: stack, type: stack, prettyname: Stack}
  - {name: bytes, type: bytes, prettyname: Bytes}
charts:
  - {kind: flamegraph, stack: stack, value: bytes, by: process}
"""
# A line, and the line after Tab.
LINES = {
    "kscope que": "kscope query",
    "kscope agent offcput": "kscope agent offcputime",
    "kscope agent offcputime --thres": "kscope agent offcputime --threshold",
    "kscope agent offcputime --reason unin": "kscope agent offcputime --reason uninterruptible",
    "kscope spool li": "kscope spool list",
    "kscope query runql": "kscope query runqlat",
    "kscope log --categories mine owntab": "kscope log --categories mine owntable",
    "kscope query --fr": "kscope query --from",
    "kscope query runqlat --format fla": "kscope query runqlat --format flame",
    "kscope import offcputime recor": "kscope import offcputime recording.txt",
    "kscope agent --config recor": "kscope agent --config recording.txt",
    "kscope completion fi": "kscope completion fish",
}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a `/usr/share` as a package makes it."""
    folder = tmp_path_factory.mktemp("usr")
    subprocess.run([sys.executable, ROOT / "packaging/manuals", folder], check=True, timeout=60)
    return folder / "share"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a file, and with a folder of categories."""
    (tmp_path / "recording.txt").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.yaml").write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_tab_completes_words(name: str, share: Path, place: Path) -> None:
    """Commands, probes, options, their values, data types, also your own, and files."""
    with shell(name, share, KSCOPE, place) as opened:
        assert {line: opened.completed(line) for line in LINES} == LINES


def test_fish_completes_words(share: Path, place: Path) -> None:
    """As in the other shells; fish itself says what it would offer."""
    fish = needs.program("fish", "fish")
    for line, expected in LINES.items():
        done = subprocess.run(
            [fish, "--private", "-c", "complete -C $argv[1]", line],
            cwd=place,
            env=os.environ | environment(share, KSCOPE, place),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        offered = [each.partition("\t")[0] for each in done.stdout.splitlines()]
        assert offered == [expected.split()[-1]], line


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_user_can_install_it_by_a_line(name: str, place: Path) -> None:
    """`eval "$(kscope completion SHELL)"` in the shell's own file is enough."""
    own = f'eval "$(kscope completion {name})"\n'
    with shell(name, place, KSCOPE, place, own) as opened:
        assert opened.completed("kscope que") == "kscope query"


@pytest.mark.parametrize(
    "line", ["kscope nothing --", "kscope agent nothing --", "kscope query --config bad.yaml off"]
)
def test_nothing_is_printed_into_a_line(line: str, place: Path) -> None:
    """A mistake earlier in the line, or in the configuration, offers nothing, silently."""
    (place / "bad.yaml").write_text(BROKEN)
    done = answered(line, place, {})
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_command_is_completed_without_its_modules(place: Path) -> None:
    """So it takes no longer than the list of commands."""
    done = answered("kscope qu", place, {"PYTHONVERBOSE": "1"})
    assert done.stdout == "plain,query\n"
    assert "'kscope.cli.query'" not in done.stderr
    assert "'yaml'" not in done.stderr


def test_another_shell_is_refused() -> None:
    refused = command("completion", "csh")
    assert refused.returncode == 2
    assert "'bash', 'zsh', 'fish'" in refused.stderr


def answered(line: str, folder: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask as bash does."""
    asked = {
        "_KSCOPE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    return subprocess.run(
        [KSCOPE],
        cwd=folder,
        env=os.environ | asked | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
