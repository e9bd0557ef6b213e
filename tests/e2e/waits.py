"""The waits of workloads/waiter.c that the API's flame graph must show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.workloads import agrees

if TYPE_CHECKING:
    from collections.abc import Iterator

# Its function that waits, the kind that it counts the wait under, and the kernel's part in it.
WAITS = {
    "wait_sleep": ("sleep", "nanosleep"),
    "wait_pipe": ("pipe", "pipe_read"),
    "wait_futex": ("futex", "futex_wait"),
    "wait_fsync": ("fsync", "fsync"),
}


def assert_waits(graph: dict[str, Any], truth: dict[str, Any], stolen_us: int = 0) -> None:
    """Each wait has its user and kernel frames, and the time that the workload itself measured."""
    nodes = list(_nodes(graph))
    for function, (kind, kernel) in WAITS.items():
        own = [(path, value) for path, value in nodes if path[-1] == function]
        # A thread is named after its wait, and the graph has the process next to its root.
        assert {path[:2] for path, _ in own} == {("all", kind)}
        measured = sum(value for _, value in own)
        assert agrees(measured, truth[kind]["us"], stolen_us), (function, measured, truth)
        assert any(function in path and _in_kernel(path[-1], kernel) for path, _ in nodes)


def waited(graph: dict[str, Any]) -> int:
    """Return the sums of all of them in the graph."""
    return sum(value for path, value in _nodes(graph) if path[-1] in WAITS)


def _in_kernel(frame: str, part: str) -> bool:
    return part in frame and frame.endswith("_[k]")


def _nodes(graph: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each node's path from the root and its value."""
    path: list[str] = []
    for name, level, value in zip(graph["name"], graph["level"], graph["value"], strict=True):
        path[level:] = [graph["names"][name]]
        yield tuple(path), value
