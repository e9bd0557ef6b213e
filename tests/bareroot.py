"""A bare root of Debian 12, from the mirror that this machine uses."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
import time
from pathlib import Path

from tests import needs
from tests.serving import ROOT

SUITE = "bookworm"
_FOLDER = ROOT / ".work" / "bareroot"
# After it the packages in the archive may be others.
_DAY = 86400.0


def archive() -> Path:
    """Return a tar archive of the root; it is made at most once a day, which takes a minute."""
    needs.root("debootstrap")
    debootstrap = needs.program("debootstrap", "debootstrap")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    path = _FOLDER / f"{SUITE}.tar"
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and time.time() - path.stat().st_mtime < _DAY:
            return path
        with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
            root = Path(folder, "root")
            _run(debootstrap, "--variant=minbase", SUITE, root, mirror())
            _run("tar", "--one-file-system", "-C", root, "-cf", Path(folder, "part"), ".")
            Path(folder, "part").rename(path)
    return path


def mirror() -> str:
    """Return the address of the Debian archive in this machine's apt configuration."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    origin = ["Origin: Debian", "Label: Debian"]
    done = subprocess.run([*asked, *origin], capture_output=True, text=True, check=False)
    if not (found := done.stdout.split()):
        needs.lacking("debootstrap", "apt knows no mirror of Debian; run apt-get update")
    return found[0]


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
