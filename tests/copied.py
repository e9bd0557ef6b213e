"""A copy of the package, to which a test adds one file; nothing else in it is edited."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_UNUSED = ("__pycache__", "*.pyc")


def copied(folder: Path, *, page: bool = False) -> Path:
    """Copy the package, with its page if wanted, its categories and probes; return the folder."""
    unused = _UNUSED if page else (*_UNUSED, "static")
    shutil.copytree(ROOT / "kscope", folder / "kscope", ignore=shutil.ignore_patterns(*unused))
    for name in ("categories", "probes"):
        shutil.copytree(ROOT / name, folder / name)
    return folder
