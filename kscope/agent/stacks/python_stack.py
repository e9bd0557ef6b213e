"""Python functions in the middle of a native stack, in place of the C frames that run them."""

import re
from collections.abc import Sequence

from kscope.agent.stacks.python_names import PythonFrame

NAMELESS = "[unknown] [python]"
# With the endings that compilers give to parts of a function, and the library behind it.
_LOOP = re.compile(r"_PyEval_EvalFrameDefault(\.[\w.]+)?( \[.*\])?")
# It removes the function's frame, then frees what that held.
_LEAVING = re.compile(r"(_PyEval_?FrameClearAndPop|clear_thread_frame)(\.[\w.]+)?( \[.*\])?")
# The C function of an instruction, in interpreters that have one for each.
_INSTRUCTION = re.compile(
    r"_TAIL_CALL_\w+(\.[\w.]+)?( \[.*\])?|[^ ]*python[^ ]*\+0x[0-9a-f]+(@\w*)?"
)
# The code of `-X perf`, which calls the loop for one Python function; unnamed with `-X perf_jit`.
_TRAMPOLINE = re.compile(r"py::.*|\[unknown\]")
# The frames of one C frame that runs Python: from the first to before the second.
Span = tuple[int, int]


def loops(native: Sequence[str], *, tail_calls: bool = False) -> list[Span]:
    """Return where in a native stack, leaf first, the interpreter's loop runs.

    With `tail_calls` the function of an instruction, which the loop calls, is part of it. So is the
    code that calls it for `-X perf`: its name is that of the Python function.
    """
    found = []
    for at, name in enumerate(native):
        if _LOOP.fullmatch(name):
            called = tail_calls and at > 0 and _INSTRUCTION.fullmatch(native[at - 1])
            caller = at + 1 < len(native) and _TRAMPOLINE.fullmatch(native[at + 1])
            found.append((at - bool(called), at + 1 + bool(caller)))
    return found


def merged(
    native: Sequence[str], spans: Sequence[Span], python: Sequence[PythonFrame], *, whole: bool
) -> list[str]:
    """Return both in one stack, leaf first: no Python frame is lost, whatever the others show.

    Each loop's frames are replaced by the Python functions that it runs. `whole` tells that the
    native stack reaches the thread's start.

    The numbers of loops and of groups of Python functions can differ. Outer loops are missing from
    a native stack that was cut, outer functions if one interpreter runs in another: both are joined
    from the leaf on. In a whole stack the innermost loop has no function if it has just started or
    is about to end, and a loop can be without its name: those are joined from the root on.
    """
    groups = _groups(python)
    reaches_root = whole and bool(python) and python[-1].entered
    is_starting = bool(spans) and _is_between(native[: spans[0][0]])
    from_root = reaches_root and (len(groups) > len(spans) or is_starting)
    shift = len(groups) - len(spans) if from_root else 0
    return _joined(native, spans, groups, shift, whole=whole)


def _is_between(called: Sequence[str]) -> bool:
    """Return whether the loop that calls these may have no function yet, or not any more."""
    return not called or _LEAVING.fullmatch(called[-1]) is not None


def _joined(
    native: Sequence[str],
    spans: Sequence[Span],
    groups: Sequence[list[str]],
    shift: int,
    *,
    whole: bool,
) -> list[str]:
    """Put group number `shift` in place of the first loop, and so on; the rest beside them."""
    stack: list[str] = []
    done = placed = 0
    for number, (start, end) in enumerate(spans):
        stack += native[done:start]
        # Functions further in than the first loop are put in its place too, and those further out
        # in that of the last one, if the native stack is whole.
        upto = number + shift + 1
        if number + 1 == len(spans) and whole:
            upto = len(groups)
        group = [name for each in groups[placed : max(upto, 0)] for name in each]
        placed = max(placed, upto)
        stack += group or native[start:end]
        done = end
    stack += native[done:]
    return stack + [name for each in groups[placed:] for name in each]


def _groups(python: Sequence[PythonFrame]) -> list[list[str]]:
    """Return the names of the functions that share a C frame, innermost group first; a group is
    empty if that frame runs none.
    """
    groups: list[list[str]] = []
    is_new = True
    for frame in python:
        if is_new:
            groups.append([])
        if frame.is_function:
            groups[-1].append(frame.text or NAMELESS)
        is_new = frame.entered
    return groups
