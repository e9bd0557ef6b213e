"""Units of systemd: whether it takes them, and what it thinks of them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests import needs

if TYPE_CHECKING:
    from pathlib import Path


def check_unit(shipped: Path, folder: Path, exposure: int) -> None:
    """No setting is unknown to systemd, and it finds the unit no more exposed than this."""
    analyze = needs.program("systemd-analyze", "systemd")
    unit = folder / shipped.name
    unit.write_text(shipped.read_text().replace("/opt/kernelscope/bin/kscope", sys.executable))
    checked = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert shipped.name not in checked.stderr
    judged = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={exposure}", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout
