"""The text of a `.bpf.c` program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kscope.agent.host import kernel
from kscope.files import MAX_PROGRAM, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TRACEPOINT = re.compile(r"^TRACEPOINT_PROBE\((\w+),\s*(\w+)\)", re.MULTILINE)
_ENUM_FIELD = re.compile(
    r"^\s*field:enum (\w+) \w+;\s*offset:\d+;\s*size:(\d+);\s*signed:(\d);", re.MULTILINE
)
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


def enums(program: str) -> str:
    """Return a definition of each enum that a field of the program's tracepoints has.

    The format of a tracepoint has an enum's name and size alone. One that the program defines
    itself is left to it.
    """
    fields = {
        found[1]: (int(found[2]), found[3] == "1")
        for group, name in sorted(set(_TRACEPOINT.findall(program)))
        for found in _ENUM_FIELD.finditer(kernel.tracepoint_format(group, name))
        if not re.search(rf"\benum\s+{found[1]}\s*\{{", program)
    }
    return "".join(_enum(name, size, signed=signed) for name, (size, signed) in fields.items())


def _enum(name: str, size: int, *, signed: bool) -> str:
    """An enum of so many bytes: a packed one is as large as its largest number needs."""
    most = f"KS_MOST_{name} = {1 << (8 * size - 2):#x}"
    least = f", KS_LEAST_{name} = -1" if signed else ""
    return f"enum {name} {{ {most}{least} }} __attribute__((packed));\n"


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
