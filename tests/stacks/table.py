"""The table of docs/stacks.md: one line for each kind of program, in percent."""

from __future__ import annotations

import math
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.stacks.kinds import NODE
from tests.stacks.running import Line

BEGIN, END = "<!-- scripts/stacks writes from here -->", "<!-- to here -->"
WHOLE, NAMED, ROOTED_TIME = 98, 99, 95
_HEAD = """
| Program | Stacks | Frames named | All calls, in order | To the start | by time | Wrong names |
|---|--:|--:|--:|--:|--:|--:|
"""
_VERSIONS = {
    "gcc": ("gcc", "-dumpfullversion"),
    "rustc": ("rustc", "--version"),
    "Go": ("go", "version"),
    "Python": ("/usr/bin/python3", "--version"),
    "Node.js": (NODE, "--version"),
    "Java": ("java", "--version"),
    "MariaDB": ("/usr/sbin/mariadbd", "--version"),
    "Chromium": ("chromium", "--version"),
}


def problems(line: Line) -> list[str]:
    """Return where a kind of program misses the goals."""
    sums, found = line.sums, []
    if not sums.waits:
        return ["no stack"]
    if sums.wrong:
        found.append(f"wrong names: {dict(sums.wrong.most_common(5))}")
    if line.kind.whole:
        for what, part, of in (
            ("have all calls", sums.complete, sums.known),
            ("reach the thread's start", sums.rooted, sums.waits),
        ):
            if part < of * WHOLE / 100:
                found.append(f"{_percent(part, of)} of the stacks {what}")
        if sums.rooted_time < sums.time * ROOTED_TIME / 100:
            share = _percent(sums.rooted_time, sums.time)
            found.append(f"{share} of the time is in stacks that reach the thread's start")
    if line.kind.named and sums.named < sums.frames * NAMED / 100:
        found.append(f"{_percent(sums.named, sums.frames)} of the frames have a name")
    if found:
        found += (f"{n} x {stack}" for stack, n in sums.examples.most_common(5))
    return found


def table(lines: Sequence[Line]) -> str:
    rows = "".join(_row(line.kind.label, line) for line in lines)
    return f"{BEGIN}\n{_machine()}\n{_HEAD}{rows}{END}"


def write(path: Path, lines: Sequence[Line]) -> None:
    """Put the table into a file, between the marks."""
    text = path.read_text()
    old = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    assert old.search(text), f"{path} has no mark {BEGIN}"
    path.write_text(old.sub(lambda _: table(lines), text))


def _row(label: str, line: Line) -> str:
    sums = line.sums
    shares = (
        _percent(sums.named, sums.frames) + (" \\*" if not line.kind.named else ""),
        _percent(sums.complete, sums.known),
        _percent(sums.rooted, sums.waits),
        _percent(sums.rooted_time, sums.time),
    )
    return f"| {label} | {sums.waits} | {' | '.join(shares)} | {sums.wrong.total()} |\n"


def _percent(part: int, of: int) -> str:
    """Round down, so that 100 % is all."""
    return f"{math.floor(1000 * part / of) / 10:g} %" if of else ""


def _machine() -> str:
    release = platform.freedesktop_os_release()["PRETTY_NAME"]
    versions = [f"Linux {platform.release().split('-')[0]}", release]
    versions.append("glibc " + platform.libc_ver()[1])
    for name, command in _VERSIONS.items():
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        number = re.search(r"\d+(\.\d+)+", said)
        versions.append(f"{name} {number[0] if number else '?'}")
    return f"{platform.machine()}, " + ", ".join(versions) + "."
