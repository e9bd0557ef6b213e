"""Debian's bcc tools, changed as docs/bcc-tools.md changes them, in a folder without kscope."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests import needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = ROOT / "docs/bcc-tools.md"
LOGGER = ROOT / "packaging/kscope_logger.py"
WRITTEN_SERVER = "http://127.0.0.1:8081"
PYTHON = "/usr/bin/python3"


def changed(tool: str, folder: Path, server: str) -> Path:
    """Return the tool with the guide's lines, beside a copy of the Logger."""
    original = needs.program(f"{tool}-bpfcc", "bpfcc-tools")
    patch = folder / f"{tool}.patch"
    patch.write_text(block("diff", f"+++ {tool}\n"))
    made = folder / tool
    command = [needs.program("patch", "patch"), "--fuzz=0", "-o", made, original, patch]
    patched = subprocess.run(command, check=False, capture_output=True, text=True)
    if patched.returncode:
        needs.lacking(tool, f"{GUIDE.name} has lines for bpfcc-tools 0.26: {patched.stdout}")
    text = made.read_text()
    assert text.count(WRITTEN_SERVER) == 1
    made.write_text(text.replace(WRITTEN_SERVER, server))
    shutil.copy(LOGGER, folder)
    return made


def categories(folder: Path) -> Path:
    """Return a folder with the data types of the guide."""
    made = folder / "categories"
    made.mkdir()
    for table in ("softirq_time", "disk_latency"):
        (made / f"{table}.yaml").write_text(block("yaml", f"table: {table}\n"))
    return made


def block(language: str, having: str) -> str:
    """Return the guide's only block of a language that has such a line."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    (block,) = (each for each in blocks if having in each)
    return block


def histograms(lines: list[str]) -> dict[str, list[int]]:
    """Return the counts of each of the tool's histograms; the first line has 0 and 1."""
    found: dict[str, list[int]] = {}
    for line in lines:
        if section := re.fullmatch(r"\w+ = (\w+)", line):
            counts = found.setdefault(section[1], [])
        elif count := re.match(r" +\d+ -> \d+ +: (\d+)", line):
            counts.append(int(count[1]))
    return found
