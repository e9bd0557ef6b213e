"""A process of our own that acts while one probe looks at it."""

from __future__ import annotations

import functools
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from kscope.declare.files.catalog import load_catalog
from kscope.generate.jsonschema import row_schema
from tests.agent import tracing
from tests.workloads import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent.tracing import Rows

# Of a hundred requests, beyond what the agent says: where interrupts nest, Linux leaves out a
# tracepoint's program now and then, and does not count every time.
UNSAID = 5
ACTIONS = Path(__file__).with_name("actions.py")


@contextmanager
def actor(action: str, folder: Path) -> Iterator[Workload]:
    process = subprocess.Popen(
        [sys.executable, ACTIONS, action, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    running = Workload(process)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def recording(probe: str, *arguments: object) -> Iterator[Rows]:
    """Run one probe while the body runs; the list holds its rows afterwards, each of them such
    as a server takes.
    """
    with tracing.tracing(probe, *arguments) as rows:
        yield rows
    for row in rows:
        _validator(probe).validate(row)


def read_bytes(pid: int) -> int:
    """Return the bytes that the process read from disks, as the kernel counts them."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def traced_reads(folder: Path, probe: str) -> tuple[Rows, dict[str, Any]]:
    """Rows that `probe` recorded of one reader beside another, and what both say."""
    with actor("reads", folder) as acting, actor("endless_reads", folder) as other:
        with recording(probe, "--pid", acting.pid) as rows:
            before = read_bytes(acting.pid)
            acting.go()
            truth = acting.truth() | {"actor": acting.pid}
            other.go()
            truth["other"] = other.truth()["sectors"]
        truth["bytes"] = read_bytes(acting.pid) - before
    return rows, truth


def traced(action: str, folder: Path, probe: str, *arguments: object) -> tuple[Rows, Any]:
    """Rows that `probe` recorded of one actor alone, and what the actor says that it did."""
    with (
        actor(action, folder) as acting,
        recording(probe, "--pid", acting.pid, *arguments) as rows,
    ):
        acting.go()
        truth = acting.truth()
    return rows, {"actor": acting.pid, "said": truth}


@functools.cache
def _validator(table: str) -> jsonschema.Draft202012Validator:
    category = load_catalog().get(table)
    assert category
    return jsonschema.Draft202012Validator(row_schema(category))
