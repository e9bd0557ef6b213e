"""The text of a `.bpf.c` program."""

import re
from collections.abc import Iterator
from pathlib import Path

from kscope.agent.host import kernel
from kscope.files import MAX_PROGRAM, read_text

_TRACEPOINT = re.compile(r"^TRACEPOINT_PROBE\((\w+),\s*(\w+)\)", re.MULTILINE)
_ENUM_FIELD = re.compile(
    r"^\s*field:enum (\w+) \w+;\s*offset:\d+;\s*size:(\d+);\s*signed:(\d);", re.MULTILINE
)
_INCLUDE = re.compile(r'#include "([\w.-]+)"')


def read(path: Path) -> str:
    """Return the program, with the files that it includes from its folder inserted.

    Raises KscopeError. bcc does not find programs and maps in an included file.
    """
    return "\n".join(_lines(path, including=True)) + "\n"


def _lines(path: Path, *, including: bool = False) -> Iterator[str]:
    """Yield the lines, with #line, so that the compiler names the user's file and line."""
    yield f'#line 1 "{path.name}"'
    for number, line in enumerate(read_text(path, MAX_PROGRAM).splitlines(), 1):
        included = _INCLUDE.fullmatch(line) if including else None
        if included:
            yield from _lines(path.with_name(included[1]))
            yield f'#line {number + 1} "{path.name}"'
            continue
        if line.startswith("TRACEPOINT_PROBE"):
            # bcc inserts the struct of the arguments in front of a tracepoint's program.
            yield "extern"
            yield f'#line {number} "{path.name}"'
        yield line


def enums(program: str) -> str:
    """Return definitions of the enums in the program's tracepoints that it does not define itself.

    The format of a tracepoint contains only the name and the size of an enum.
    """
    fields = {
        found[1]: (int(found[2]), found[3] == "1")
        for group, name in sorted(set(_TRACEPOINT.findall(program)))
        for found in _ENUM_FIELD.finditer(kernel.tracepoint_format(group, name))
        if not re.search(rf"\benum\s+{found[1]}\s*\{{", program)
    }
    return "".join(_enum(name, size, signed=signed) for name, (size, signed) in fields.items())


def _enum(name: str, size: int, *, signed: bool) -> str:
    """Return an enum of `size` bytes: a packed enum has the size of its largest number."""
    most = f"KS_MOST_{name} = {1 << (8 * size - 2):#x}"
    least = f", KS_LEAST_{name} = -1" if signed else ""
    return f"enum {name} {{ {most}{least} }} __attribute__((packed));\n"


def tracepoints(program: str) -> Iterator[str]:
    """Yield the tracepoints that the program requires: those outside any #if."""
    depth = 0
    for line in program.splitlines():
        if conditional := re.match(r"\s*#\s*(if|endif)", line):
            depth += 1 if conditional[1] == "if" else -1
        if not depth and (found := _TRACEPOINT.match(line)):
            yield f"tracepoint:{found[1]}:{found[2]}"
