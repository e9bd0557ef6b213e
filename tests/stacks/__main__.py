"""Trace all kinds of programs and write the table: python -m tests.stacks FILE."""

import sys
import tempfile
from pathlib import Path

from tests.stacks.running import traced
from tests.stacks.table import problems, write

with tempfile.TemporaryDirectory() as _folder:
    _lines = traced(Path(_folder))
for _line in _lines:
    for _problem in problems(_line):
        sys.stderr.write(f"{_line.kind.label}: {_problem}\n")
write(Path(sys.argv[1]), _lines)
