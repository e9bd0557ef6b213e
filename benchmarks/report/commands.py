"""Benchmarks that print their tables themselves, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.report.machine import ROOT
from benchmarks.report.results import Found, Output
from benchmarks.report.turns import say

_PATIENCE = 3600


def printed(*commands: str) -> Found:
    """Return the output of each `MODULE ARGUMENT ...`; one that failed without any is a failure."""
    outputs, failures = [], []
    for command in commands:
        say(f"python -m {command}")
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if done.stdout.strip():
            # A benchmark also ends with 1 where it misses a target, which its lines show.
            outputs.append(Output(f"python -m {command}", done.stdout))
        lines = done.stderr.strip().splitlines()
        if done.returncode and lines:
            failures.append(f"python -m {command} ended with {done.returncode}: {lines[-1]}")
        elif not done.stdout.strip():
            failures.append(f"python -m {command} printed nothing")
    return Found(outputs=tuple(outputs), failures=tuple(failures))
