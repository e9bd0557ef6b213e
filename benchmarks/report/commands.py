"""Benchmarks that print their tables themselves, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.report.machine import ROOT
from benchmarks.report.results import Found, Output
from benchmarks.report.turns import say

_PATIENCE = 3600


def printed(*commands: str) -> Found:
    """Return the output of each `MODULE ARGUMENT ...`; one without any is a failure.

    The last line of a command that did not end with 0 is its message.
    """
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
        # A benchmark ends with 1 where it misses a target, and with more where it breaks off.
        last = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        if done.stdout.strip():
            outputs.append(Output(f"python -m {command}", "\n".join([done.stdout, *last])))
        else:
            failures.append(f"python -m {command} ended with {done.returncode}: {''.join(last)}")
    return Found(outputs=tuple(outputs), failures=tuple(failures))
