"""benchmarks/measured.json: the figures that docs/scaling.md is computed from."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from benchmarks.scaling import FIGURES, MEASURED_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.report.results import Part


def known() -> dict[str, float]:
    return msgspec.json.decode(MEASURED_FILE.read_bytes(), type=dict[str, float])


def write(figures: Mapping[str, float]) -> None:
    """Keep the figures, and compute docs/scaling.md from them."""
    MEASURED_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    command = [sys.executable, "-m", "benchmarks.scaling", "--write"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def merged(figures: Mapping[str, float], parts: Sequence[Part]) -> dict[str, float]:
    """Return the figures, with the medians of those that the parts have in their place."""
    measured = {
        name: float(f"{value.median:.3g}")
        for part in parts
        if not part.is_quick
        for name, value in part.found.facts.items()
        if name in FIGURES
    }
    return {**figures, **measured}
