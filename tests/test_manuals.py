"""The manual pages, by the programs that read them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kscope.cli import COMMANDS
from tests import needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NEWYEAR = 1767225600


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `share/man` of a package."""
    folder = tmp_path_factory.mktemp("usr")
    write(folder)
    return folder / "share" / "man"


def test_each_command_and_the_configuration_have_a_page(pages: Path) -> None:
    """Commands in commands too, and the probes that are shipped."""
    found = {path.name for path in pages.rglob("*.?")}
    assert {f"kscope-{name}.1" for name in COMMANDS} < found
    more = {"kscope.1", "kscope-spool-list.1", "kscope-agent-offcputime.1", "kernelscope.yaml.5"}
    assert more < found


def test_man_groff_and_mandoc_find_no_fault(pages: Path) -> None:
    """Lines of NAME are longer than mandoc's style asks for: they cannot be broken."""
    man, mandoc = needs.program("man", "man-db"), needs.program("mandoc", "mandoc")
    files = sorted(pages.rglob("*.?"))
    checked = run(mandoc, "-T", "lint", "-W", "warning", *files)
    assert (checked.returncode, checked.stdout) == (0, "")
    for file in files:
        shown = run(man, "--warnings=w", "-E", "UTF-8", "-l", file)
        assert (shown.returncode, shown.stderr) == (0, ""), file


def test_apropos_finds_the_sentence_of_a_command(pages: Path) -> None:
    """`lexgrog` reads each NAME as `mandb` does."""
    lexgrog = needs.program("lexgrog", "man-db")
    done = run(lexgrog, *sorted(pages.rglob("*.?")))
    assert done.returncode == 0, done.stdout
    for name, command in COMMANDS.items():
        assert f'"kscope-{name} - {command.does.rstrip(".")}"' in done.stdout


def test_a_page_says_what_help_says(pages: Path) -> None:
    """Options with their values and defaults; examples as they are, to be copied."""
    text = " ".join(shown(pages / "man1/kscope-agent-offcputime.1").split())
    assert "-m, --threshold ELAPSED Record only waits of at least this many micro" in text
    assert "One of any, blocked, uninterruptible, idle, preempted, stopped. Default: any." in text
    lines = [line.strip() for line in shown(pages / "man1/kscope-log.1").splitlines()]
    assert "offcputime-bpfcc -f -p 1234 10 | kscope log offcputime" in lines


def test_a_page_names_each_setting(pages: Path) -> None:
    text = shown(pages / "man5/kernelscope.yaml.5")
    for setting in ("database.mysql.password_file", "tokens[].scopes", "agent.probes.NAME"):
        assert setting in text


def test_the_same_sources_make_the_same_pages(pages: Path, tmp_path: Path) -> None:
    """SOURCE_DATE_EPOCH dates them, so packages can be made again byte for byte."""
    write(tmp_path)
    for file in pages.rglob("*.?"):
        again = tmp_path / "share" / "man" / file.relative_to(pages)
        assert again.read_bytes() == file.read_bytes()
        assert b" 2026-01-01 " in again.read_bytes()


def write(folder: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "packaging/manuals", folder],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(NEWYEAR)},
        check=True,
        timeout=60,
    )


def shown(page: Path) -> str:
    mandoc = needs.program("mandoc", "mandoc")
    done = run(mandoc, "-T", "ascii", "-O", "width=200", page)
    return re.sub(".\b", "", done.stdout)  # bold letters are struck twice


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PAGER": "cat"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
