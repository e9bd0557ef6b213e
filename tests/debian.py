"""The files of Debian packages, without installing them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests import needs

if TYPE_CHECKING:
    from pathlib import Path


def candidate(need: str, package: str) -> str:
    """Return the version that apt would install; skip a test if there is none."""
    known = _asked("apt-cache", "policy", package)
    version = re.search(r"Candidate: (\d\S*)", known.stdout)
    if version is None:
        needs.lacking(need, f"apt has no candidate for {package}; run apt-get update")
    return version[1]


def depends(package: str) -> list[str]:
    """Name the packages that a package needs; none where apt does not know it."""
    known = _asked("apt-cache", "depends", package)
    return re.findall(r"^ *Depends: (\S+)$", known.stdout, re.MULTILINE)


def unpack(need: str, package: str, version: str, folder: Path) -> Path:
    """Download a package into a folder and give the files that are in it."""
    asked = _asked("apt-get", "download", "-qq", f"{package}={version}", cwd=folder)
    if asked.returncode:
        needs.lacking(need, f"run apt-get update: {asked.stderr.strip()}")
    unpacked = folder / "unpacked"
    subprocess.run(["dpkg", "-x", *folder.glob("*.deb"), unpacked], check=True)
    return unpacked


def _asked(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
