"""The judge of stacks, which a table full of 100 % depends on."""

from __future__ import annotations

import pytest

from tests.stacks.judge import Judge, Sums, Truth
from tests.stacks.oracle import plain

TRUTH = Truth(("main", "outer", "inner"), wait="start|libc_start_main|poll")
STARTS = {0x1000: "start", 0x1100: "main", 0x1200: "outer", 0x1300: "inner"}


def judged(stack: str, *, whole: bool = True) -> Sums:
    judge = Judge(
        known=lambda file, name: (file, name) == ("libc.so.6", "poll"),
        starts=lambda file, address: STARTS.get(address) if file == "app" else "",
    )
    return judge.judged(stack, [TRUTH], 1, whole=whole)


def test_a_whole_stack() -> None:
    """Kernel frames do not count; names of libc that mean the same are one."""
    sums = judged(
        "_start;__libc_start_main@@GLIBC_2.34 [libc.so.6];main;outer;inner;__GI___poll;schedule_[k]"
    )
    assert (sums.frames, sums.named, sums.complete, sums.rooted) == (6, 6, 1, 1)
    assert not sums.wrong
    assert not sums.examples


@pytest.mark.parametrize(
    ("stack", "complete", "rooted"),
    [
        ("_start;main;inner;poll", 0, 1),
        ("_start;main;outer;poll", 0, 1),
        ("main;outer;inner;poll", 1, 0),
        ("[broken];_start;main;outer;inner;poll", 1, 0),
        ("[truncated];main;outer;inner;poll", 1, 0),
        ("poll", 0, 0),
        ("schedule_[k]", 0, 0),
    ],
)
def test_what_lacks(stack: str, complete: int, rooted: int) -> None:
    """A caller that is missing, and an end before the thread's start, do not count as whole."""
    sums = judged(stack)
    assert (sums.complete, sums.rooted) == (complete, rooted)
    assert not sums.wrong
    assert sums.examples


@pytest.mark.parametrize(
    "stack",
    [
        "_start;main;outer;inner;strlen [libc.so.6]",
        "_start;main;outer;other;poll",
        "_start;outer;main;inner;poll",
        "_start;main;outer;outer;inner;poll",
        "_start;main [libc.so.6];outer;inner;poll",
        "_start;main;outer;app+0x1234;poll",
    ],
)
def test_a_wrong_name(stack: str) -> None:
    """A function that is not there, that is elsewhere, or whose address is no function's."""
    assert judged(stack).wrong.total() == 1


def test_an_interrupted_thread() -> None:
    """It may be in any of its calls, and in any function that the file has."""
    assert judged("_start;main;outer", whole=False).complete
    assert judged("_start;main;poll [libc.so.6]", whole=False).complete
    assert not judged("_start;outer", whole=False).complete
    assert judged("_start;main;strlen [libc.so.6]", whole=False).wrong


def test_frames_without_names() -> None:
    """An address that is the start of the right function is true, and no name."""
    sums = judged("app+0x1000@00ff;app+0x1100@00ff;app+0x1200@00ff;app+0x1300@00ff;poll")
    assert (sums.frames, sums.named, sums.complete, sums.rooted) == (5, 1, 1, 1)
    assert not sums.wrong


@pytest.mark.parametrize(
    "name", ["[unknown]", "_ZN3foo3barEv", "_RNvC4main3foo", "a..$LT$T$GT$::f"]
)
def test_no_names(name: str) -> None:
    assert judged(f"_start;main;outer;inner;{name}").named == 4


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("__GI___poll", "poll"),
        ("pthread_cond_wait@@GLIBC_2.3.2", "pthread_cond_wait"),
        ("int shop::take<int>(shop::Shelf<int>&)", "shop::take<int>"),
        ("shop::Shelf<int>::operator()(int)", "shop::Shelf<int>::operator"),
        ("(anonymous namespace)::wait(std::mutex&)", "{anonymous}::wait"),
        ("main.(*Shop).two", "main.(*Shop).two"),
        ("waits::one::h5e1a3b2c5e1a3b2c", "waits::one"),
        ("void App.run(int)", "App.run"),
        ("runtime.goexit.abi0", "runtime.goexit"),
    ],
)
def test_names_that_mean_the_same(name: str, same: str) -> None:
    assert plain(name) == same
