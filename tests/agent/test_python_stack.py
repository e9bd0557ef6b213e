"""Python functions in place of the C frames that run them, in the right order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.agent.stacks.python_names import PythonFrame
from kscope.agent.stacks.python_stack import NAMELESS, loops, merged

EVAL = "_PyEval_EvalFrameDefault"


def python(text: str) -> list[PythonFrame]:
    """Functions by their names; `|` behind one says that C code called it."""
    return [PythonFrame(each.rstrip("|"), each.endswith("|")) for each in text.split()]


JOINED = {
    "through C and back": (
        f"nanosleep {EVAL} sort {EVAL} main _start",
        "leaf key| app module|",
        "nanosleep leaf key sort app module main _start",
    ),
    "a library": (
        f"nanosleep {EVAL}.cold main",
        "module|",
        "nanosleep module main",
    ),
    "a loop that starts": (
        f"{EVAL} call {EVAL} main",
        "module|",
        f"{EVAL} call module main",
    ),
    "a loop that ends": (
        f"free _PyEvalFrameClearAndPop {EVAL} call {EVAL} main",
        "module|",
        f"free _PyEvalFrameClearAndPop {EVAL} call module main",
    ),
    "one interpreter in another": (
        f"nanosleep {EVAL} run {EVAL} main",
        "inner|",
        f"nanosleep inner run {EVAL} main",
    ),
    "a loop without its name": (
        f"nanosleep unnamed sort {EVAL} main",
        "key| app module|",
        "nanosleep unnamed sort key app module main",
    ),
    "no loop at all": (
        "nanosleep unnamed main",
        "app module|",
        "nanosleep unnamed main app module",
    ),
    "Python functions that were cut": (
        f"nanosleep {EVAL} sort {EVAL} main",
        "key| app",
        "nanosleep key sort app main",
    ),
    "more Python functions that were cut": (
        f"nanosleep {EVAL} sort {EVAL} main",
        "leaf key",
        f"nanosleep leaf key sort {EVAL} main",
    ),
    "no Python functions": (f"nanosleep {EVAL} main", "", f"nanosleep {EVAL} main"),
}


@pytest.mark.parametrize("name", JOINED)
def test_whole_stacks(name: str) -> None:
    """Each C frame of the interpreter becomes the functions that it runs."""
    native, functions, expected = JOINED[name]
    frames = native.split()
    assert merged(frames, loops(frames), python(functions), whole=True) == expected.split()


def test_trampolines_are_not_shown_twice() -> None:
    """With -X perf each function is there once, by our name, or by that of the map without it."""
    native = ["read", EVAL, "py::app:/srv/app.py", EVAL, "py::<module>:/srv/app.py", "run", "main"]
    functions = python("app| module|")
    expected = ["read", "app", "module", "run", "main"]
    assert merged(native, loops(native), functions, whole=True) == expected
    assert merged(native, loops(native), [], whole=True) == native
    unnamed = [name if name[:4] != "py::" else "[unknown]" for name in native]
    assert merged(unnamed, loops(unnamed), functions, whole=True) == expected


BROKEN = {
    "an outer loop is missing": (
        f"read {EVAL} sort",
        "key| app module|",
        "read key sort app module",
    ),
    "all loops are missing": ("read call", "app module|", "read call app module"),
    "loops but for their functions": (f"read {EVAL} a {EVAL}", "app|", f"read app a {EVAL}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_stacks_that_were_cut(name: str) -> None:
    """The rest of the Python functions follow where the native stack breaks off."""
    native, functions, expected = BROKEN[name]
    frames = native.split()
    assert merged(frames, loops(frames), python(functions), whole=False) == expected.split()


def test_an_interpreter_with_a_function_for_each_instruction() -> None:
    """That function belongs to the loop, with and without its name; other callees stay."""
    loop = f"{EVAL} [libpython3.14.so.1.0]"
    for called in ("_TAIL_CALL_CALL_KW.llvm.1", "libpython3.14.so.1.0+0x19f0@3c05", "python3+0x1f"):
        assert merged_one(["read", called, loop, "main"]) == ["read", "app", "main"]
    for called in ("PyErr_Clear", "libc.so.6+0x19f0@3c05"):
        assert merged_one(["read", called, loop, "main"]) == ["read", called, "app", "main"]


def merged_one(native: list[str]) -> list[str]:
    return merged(native, loops(native, tail_calls=True), python("app|"), whole=True)


def test_a_loop_that_runs_no_function() -> None:
    """Each function stays with its own loop, whatever the innermost one calls before it returns."""
    native = ["free", "unnamed", EVAL, "call", EVAL, "main"]
    nothing = PythonFrame("", entered=True, is_function=False)
    expected = ["free", "unnamed", EVAL, "call", "module", "main"]
    assert merged(native, loops(native), [nothing, *python("module|")], whole=True) == expected
    assert merged(native[:-1], loops(native), [nothing], whole=False) == native[:-1]


def test_a_function_without_a_name() -> None:
    """It is shown as such, in its place."""
    frames = [PythonFrame("", entered=False), PythonFrame("app", entered=True)]
    native = ["read", EVAL, "main"]
    assert merged(native, loops(native), frames, whole=True) == ["read", NAMELESS, "app", "main"]


@given(
    native=st.lists(st.sampled_from([EVAL, f"{EVAL} [libpython.so]", "c", "d"])),
    entered=st.lists(st.booleans()),
    whole=st.booleans(),
)
def test_nothing_is_lost(native: list[str], entered: list[bool], whole: bool) -> None:  # noqa: FBT001
    """All Python functions are there in their order, and all C functions in theirs."""
    functions = [PythonFrame(f"f{at}", each) for at, each in enumerate(entered)]
    stack = merged(native, loops(native), functions, whole=whole)
    assert [name for name in stack if name[0] == "f"] == [each.text for each in functions]
    assert [name for name in stack if name in {"c", "d"}] == [
        name for name in native if name in {"c", "d"}
    ]
    groups = sum(entered) + (entered[-1:] == [False])
    left = sum(name.startswith(EVAL) for name in stack)
    assert left == max(0, sum(name.startswith(EVAL) for name in native) - groups)
