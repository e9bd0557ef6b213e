"""`kscope` in this process: starting another one takes half a second."""

from __future__ import annotations

import io
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import kscope.cli
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str
    output: bytes


def command(*arguments: str | Path, stdin: bytes = b"", folder: Path = ROOT) -> Ran:
    """Run the command line in a folder; its logs go to pytest's handlers."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    err = io.StringIO()
    code = 0
    given = io.TextIOWrapper(io.BytesIO(stdin))
    with chdir(folder), mock.patch("sys.stdin", given), redirect_stdout(out), redirect_stderr(err):
        try:
            kscope.cli.main([*map(str, arguments)])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    output: bytes = out.buffer.getvalue()  # type: ignore[attr-defined]
    return Ran(code, output.decode(errors="replace"), err.getvalue(), output)
