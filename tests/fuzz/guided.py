"""atheris: inputs that reach new places of the code are changed further."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.fuzz.target import Target

_LONGEST = 16 * 1024


def targets() -> dict[str, Target]:
    """Import the targets, and note which places of the package their inputs reach."""
    # It names each module.
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),
        atheris.instrument_imports(include=["kscope"]),
    ):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - within
    return dict(TARGETS)


def run(
    check: Callable[[bytes], None], seeds: Sequence[bytes], corpus: Path, seconds: float
) -> None:
    """Fuzz for a time; `seeds` are the first inputs. The process ends with it, or at a fault."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(each)
    options = [
        f"-max_total_time={max(1, int(seconds))}", f"-max_len={_LONGEST}", "-verbosity=0",
        "-rss_limit_mb=0", "-timeout=100000", "-print_final_stats=0",
        f"-artifact_prefix={corpus.parent}/", str(corpus),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], check)
    atheris.Fuzz()
