"""The workers of a server, as the kernel shows them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.serving import Serving

_PATIENCE = 60.0


def workers(server: Serving) -> list[int]:
    """Return the processes that the server has started."""
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(met: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + _PATIENCE
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def client_of(server: Serving, worker: int) -> httpx.Client:
    """Return a client whose connection to the ingest listener the worker has accepted."""
    kept: list[httpx.Client] = []
    try:
        for _ in range(50):
            kept.append(httpx.Client(base_url=server.ingest, timeout=60))
            answer = kept[-1].get("/healthz").raise_for_status()
            if _has_accepted(worker, answer):
                return kept.pop()
    finally:
        for each in kept:
            each.close()
    raise AssertionError("the worker accepts no connection")


def _has_accepted(worker: int, answer: httpx.Response) -> bool:
    """Return whether the other end of the connection, which is still open, is the worker's."""
    stream = answer.extensions["network_stream"]
    theirs, mine = (stream.get_extra_info(f"{end}_addr")[1] for end in ("server", "client"))
    ends = {_inode(each) for each in _lines() if _ports(each) == (theirs, mine)}
    return bool(ends & _sockets_of(worker))


def _sockets_of(worker: int) -> set[str]:
    """Return the inodes of a process's sockets."""
    found = set()
    for file in Path(f"/proc/{worker}/fd").iterdir():
        try:
            found.add(str(file.readlink()).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    return found


def _lines() -> Iterator[list[str]]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        yield line.split()


def _ports(fields: list[str]) -> tuple[int, int]:
    local, remote = (int(each.rpartition(":")[2], 16) for each in fields[1:3])
    return local, remote


def _inode(fields: list[str]) -> str:
    return fields[9]
