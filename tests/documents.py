"""The commands that a document shows, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving import Serving

_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a document that can be run."""
    return _BLOCK.findall((ROOT / name).read_text())


def install_commands(folder: Path) -> None:
    """Put `kscope` into folder/bin, and `sudo` if the machine has none: a root leaves it out."""
    (folder / "bin").mkdir()
    (folder / "bin" / "kscope").symlink_to(f"{sysconfig.get_path('scripts')}/kscope")
    if not shutil.which("sudo"):
        (folder / "bin" / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (folder / "bin" / "sudo").chmod(0o755)


def run(language: str, block: str, folder: Path, server: Serving, pid: int) -> str:
    """Run a block on the server's ports, with $PID as a process to look at; return its output."""
    block = block.replace("http://127.0.0.1:8080", server.read)
    block = block.replace("http://127.0.0.1:8081", server.ingest)
    command = [sys.executable, "-c", block] if language == "python" else ["sh", "-euc", block]
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PID": str(pid),
    }
    run = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, f"{block}\n{run.stdout}\n{run.stderr}"
    # curl succeeds at getting an error, too.
    assert '"status":4' not in run.stdout, f"{block}\n{run.stdout}"
    return run.stdout
