"""The text of a `.bpf.c` program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kscope.files import MAX_PROGRAM, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INCLUDE = re.compile(r'#include "([\w.-]+)"')


def read(path: Path) -> str:
    """Return the program with what it includes from beside it in its place.

    Raises KscopeError. Put in, because of an included file bcc does not see the programs and maps.
    """
    return "\n".join(_lines(path, including=True)) + "\n"


def _lines(path: Path, *, including: bool = False) -> Iterator[str]:
    """With #line, so that the compiler's messages name the file and line that a person looks at."""
    yield f'#line 1 "{path.name}"'
    for number, line in enumerate(read_text(path, MAX_PROGRAM).splitlines(), 1):
        included = _INCLUDE.fullmatch(line) if including else None
        if included:
            yield from _lines(path.with_name(included[1]))
            yield f'#line {number + 1} "{path.name}"'
        elif line.startswith("TRACEPOINT_PROBE"):
            # In front of a tracepoint's program, which begins here, bcc puts the struct of its
            # arguments.
            yield "extern"
            yield f'#line {number} "{path.name}"'
            yield line
        else:
            yield line


def tracepoints(program: str) -> Iterator[str]:
    """Those that the program cannot do without: declared outside any #if."""
    depth = 0
    for line in program.splitlines():
        if re.match(r"\s*#\s*if", line):
            depth += 1
        elif re.match(r"\s*#\s*endif", line):
            depth -= 1
        found = re.match(r"TRACEPOINT_PROBE\((\w+),\s*(\w+)\)", line)
        if found and not depth:
            yield f"tracepoint:{found[1]}:{found[2]}"
