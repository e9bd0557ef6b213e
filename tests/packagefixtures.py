"""Things that users install, built once: the wheel, the Debian packages, and a bare root for them.

Tests with these are in the xdist group `install`, so that one worker builds them.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import bareroot, needs
from tests.serving import ROOT


@dataclass(frozen=True)
class Packages:
    agent: Path
    server: Path


@pytest.fixture(scope="session")
def wheel(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    del built_page
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*build, "-w", folder, ROOT], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build both packages, as `packaging/build-deb` does for a user."""
    needs.program("dh", "debhelper")
    folder = tmp_path_factory.mktemp("packages")
    command = [ROOT / "packaging/build-deb", "--wheel", wheel, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    agent, server = sorted(folder.glob("*.deb"))
    return Packages(agent, server)


@pytest.fixture(scope="session")
def bare_root() -> bareroot.BareRoot:
    """Return a root that tests copy before they change it."""
    return bareroot.bare_root()
