"""Whether servers answer while others work: a process that asks for /healthz, again and again."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
    from multiprocessing.synchronize import Event

_PROBE = 0.02
_TICK = os.sysconf("SC_CLK_TCK")
spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Shared:
    """Numbers that the processes share: rows stored, the prober's findings of each side."""

    rows: Synchronized[int]
    longest: SynchronizedArray[float]
    since: SynchronizedArray[float]
    stop: Event


def new_shared() -> Shared:
    return Shared(spawn.Value("q", 0), spawn.Array("d", 3), spawn.Array("d", 3), spawn.Event())


def begin_window(shared: Shared) -> None:
    for number in range(3):
        shared.longest[number] = 0.0


def silences(shared: Shared) -> tuple[float, float, float]:
    now = time.monotonic()
    read, ingest, machine = (
        max(shared.longest[number], now - shared.since[number]) for number in range(3)
    )
    return read, ingest, machine


def idle_server(port: int, stop: Event) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
        await reader.read()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            await asyncio.to_thread(stop.wait)

    asyncio.run(serve())


def prober(sides: Sequence[str], shared: Shared) -> None:
    threads = [
        threading.Thread(target=_probe, args=(side, number, shared), daemon=True)
        for number, side in enumerate(sides)
    ]
    for thread in threads:
        thread.start()
    shared.stop.wait()


def _probe(side: str, number: int, shared: Shared) -> None:
    """Ask until there is an answer; what fails goes on counting."""
    parts = urlsplit(side)
    shared.since[number] = time.monotonic()
    while not shared.stop.is_set():
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                now = time.monotonic()
                shared.longest[number] = max(shared.longest[number], now - shared.since[number])
                connection.close()
                time.sleep(_PROBE)
                shared.since[number] = time.monotonic()
                continue
        connection.close()
        time.sleep(_PROBE)


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0
