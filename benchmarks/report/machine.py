"""The machine of a run, its load, and the commit that is measured."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path

from benchmarks.report.results import Machine

ROOT = Path(__file__).resolve().parent.parent.parent
_WRITTEN = ("docs/performance.md", "docs/scaling.md", "benchmarks/measured.json")


def machine() -> Machine:
    return Machine(
        cpu=_first("/proc/cpuinfo", r"^model name\s*: (.+)$") or platform.machine(),
        cores=os.cpu_count() or 0,
        memory=int(_first("/proc/meminfo", r"^MemTotal:\s*(\d+) kB") or 0) * 1024,
        system=f"Linux {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
    )


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1] if found else ""


def load() -> float:
    return round(os.getloadavg()[0], 2)


def commit() -> str:
    """Return the short name of the commit; with `and changes` if other files differ from it.

    Those that a report writes do not count.
    """
    name = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "-uno", "--", ".", *(f":!{path}" for path in _WRITTEN))
    return f"{name} and changes" if changed else name


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def version(*command: str) -> str:
    """Return the first number with dots that a program prints; empty if there is no program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else ""
