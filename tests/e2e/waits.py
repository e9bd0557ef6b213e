"""What the API's flame graph must hold of workloads/waiter.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Its function that waits, the kind that it counts the wait under, and the kernel's part in it.
WAITS = {
    "wait_sleep": ("sleep", "nanosleep"),
    "wait_pipe": ("pipe", "pipe_read"),
    "wait_futex": ("futex", "futex_wait"),
    "wait_fsync": ("fsync", "fsync"),
}


def assert_waits(graph: dict[str, Any], truth: dict[str, Any]) -> None:
    """Each wait has its user and kernel frames, and the time that the workload itself measured."""
    nodes = list(_nodes(graph))
    for function, (kind, kernel) in WAITS.items():
        own = [(path, value) for path, value in nodes if path[-1] == function]
        # A thread is named after its wait, and the graph has the process next to its root.
        assert {path[:2] for path, _ in own} == {("all", kind)}
        assert sum(value for _, value in own) == pytest.approx(truth[kind]["us"], rel=0.1)
        assert any(function in path and _in_kernel(path[-1], kernel) for path, _ in nodes)


def _in_kernel(frame: str, part: str) -> bool:
    return part in frame and frame.endswith("_[k]")


def _nodes(graph: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each node's path from the root and its value."""
    path: list[str] = []
    for name, level, value in zip(graph["name"], graph["level"], graph["value"], strict=True):
        path[level:] = [graph["names"][name]]
        yield tuple(path), value
