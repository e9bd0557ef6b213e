"""Folded text, `main;work 12`, and text with one stack a line, as profilers push it."""

from collections.abc import Iterator
from io import BytesIO

from kscope.declare.types.base import INT64_MAX
from kscope.server.http.problems import HttpProblem
from kscope.server.receive.gather import Pushed

_LONGEST = 256 * 1024
_MOST = 1_000_000
_SHOWN = 60
# Of the byte order, which some editors write first.
_MARK = "\ufeff"


def folded(body: bytes | bytearray, factor: int) -> Iterator[Pushed]:
    """Yield the stacks with their numbers times `factor`. Raises HttpProblem with the line."""
    for number, line in _lines(body):
        stack, _, count = line.rpartition(" ")
        if not (count.isascii() and count.isdigit() and len(count) < 20 and stack.strip()):
            shown = line[:_SHOWN]
            raise HttpProblem(400, f"line {number}: {shown!r} is not `main;work 12`")
        if int(count) * factor > INT64_MAX:
            raise HttpProblem(400, f"line {number}: {count} is too large a number")
        yield Pushed(_frames(stack), [int(count) * factor], {})


def stacks(body: bytes | bytearray, factor: int) -> Iterator[Pushed]:
    """Yield the stack of each line, which counts once."""
    for _, line in _lines(body):
        yield Pushed(_frames(line), [factor], {})


def _frames(stack: str) -> tuple[str, ...]:
    return tuple(name for name in stack.strip().split(";") if name)


def _lines(body: bytes | bytearray) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(BytesIO(body), 1):
        if number > _MOST:
            raise HttpProblem(413, f"more than {_MOST} lines: send fewer at a time")
        if len(line) > _LONGEST:
            raise HttpProblem(413, f"line {number} is longer than {_LONGEST} bytes")
        if text := line.decode(errors="replace").lstrip(_MARK if number == 1 else "").strip():
            yield number, text
