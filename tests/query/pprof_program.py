"""The `pprof` of Debian's Go: one program of 10 MB out of a package that unpacks to 330."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests import debian, needs
from tests.serving import ROOT

CACHE = ROOT / ".work" / "pprof"


def pprof(profile: Path, *options: str) -> str:
    """Return pprof's output for a profile; skip the test if apt has no Go."""
    # Names are in the profile: it looks for no binary.
    command = [_program(), *options, "-symbolize=none", profile]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def _program() -> Path:
    needs.program("apt-cache", "apt")
    package = next((name for name in debian.depends("golang-go") if name.endswith("-go")), None)
    if package is None:
        needs.lacking("pprof", "apt lists no golang-go; run apt-get update")
    version = debian.candidate("pprof", package)
    program = CACHE / f"{package}_{version}"
    if not program.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            files = debian.unpack("pprof", package, version, Path(temporary))
            found = next(files.glob("usr/lib/go-*/pkg/tool/*/pprof"), None)
            if found is None:  # newer ones build it when it is asked for
                needs.lacking("pprof", f"{package} has no pprof in it")
            shutil.move(found, program)
    return program
