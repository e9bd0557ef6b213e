"""Start a worker: a new interpreter, which inherits the listening sockets."""

import asyncio
import contextlib
import os
import pickle
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from kscope.config import Settings
from kscope.server.workers.messages import ToWorker, to_worker


@dataclass(frozen=True)
class Start:
    """All that a worker needs. `read`, `ingest`, `memory` and `parent` are numbers of open files.

    `number` counts from 1; `is_first` is false if it replaces another one; `key` is for hashes of
    hosts.
    """

    number: int
    workers: int
    is_first: bool
    settings: Settings
    verbose: bool
    key: bytes
    read: int
    ingest: int
    memory: int
    parent: int = -1


def start_of(pipe: BinaryIO) -> Start:
    """Return what the parent has written to a new worker's standard input."""
    found: Start = pickle.load(pipe)  # noqa: S301 - the parent's
    return found


async def launched(start: Start, program: Sequence[str]) -> tuple[Process, ToWorker]:
    """Start the program. Its settings are on standard input: arguments would show passwords.

    Raises OSError.
    """
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as stack:
        stack.enter_context(ours)
        start = replace(start, parent=theirs.fileno())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            stdin=PIPE,
            pass_fds=(start.read, start.ingest, start.memory, start.parent),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
            # Ctrl-C reaches the parent alone, which passes it on.
            start_new_session=True,
        )
        stack.pop_all()
    channel = await to_worker(ours)
    assert process.stdin
    process.stdin.write(pickle.dumps(start))
    with contextlib.suppress(OSError):  # of a process that has ended
        await process.stdin.drain()
    process.stdin.close()
    return process, channel
