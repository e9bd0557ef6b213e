"""How long commands take to start, and a server until it is ready."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.report.results import Found, Measured, Table
from benchmarks.report.turns import Options, Taken, take_turns
from tests.serving import kscope, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BARE = "python -c pass"
_FILES = 1024  # a limit of its files makes it a process that begins with nothing imported
_COMMANDS = {
    "kscope --help": kscope("--help"),
    "kscope agent --help": kscope("agent", "--help"),
    "kscope query --help": kscope("query", "--help"),
}


def measure(options: Options) -> Found:
    ways: dict[str, Callable[[Path], float]] = {BARE: partial(_ended, [sys.executable, "-c", ""])}
    ways |= {name: partial(_ended, command) for name, command in _COMMANDS.items()}
    ways["kscope serve, a new SQLite file"] = _ready
    ways["kscope serve, its file again"] = _ready_again
    repeat = options.repeat if options.is_quick else max(5, options.repeat)
    taken: Taken[float] = take_turns(ways, repeat)
    values = {name: Measured(tuple(each)) for name, each in taken.results.items()}
    rows = tuple(
        (f"`{name}`", value.times(1000), value.over(values[BARE])) for name, value in values.items()
    )
    title = f"Commands and servers, {repeat} times each"
    return Found(
        tables=(Table(title, ("command", "ms", f"times {BARE}"), rows),),
        failures=tuple(taken.failures),
    )


def _ended(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _ready(folder: Path) -> float:
    started = time.perf_counter()
    with serving(folder, files=_FILES) as server:
        _wait_for(server.ingest)
        return time.perf_counter() - started


def _ready_again(folder: Path) -> float:
    _ready(folder)
    return _ready(folder)


def _wait_for(url: str) -> None:
    parts = urlsplit(url)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        time.sleep(0.01)
    raise RuntimeError("the server does not become ready")
