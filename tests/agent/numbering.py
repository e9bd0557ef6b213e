"""A real agent whose probe numbers its rows, so that a test can tell which arrived.

`python -m tests.agent.numbering URL FOLDER ROWS SETTINGS` runs until SIGTERM. Its host is called as
the folder is. There it keeps its spool, writes the numbers it gave to `given`, a line for each
drain, and reads from `clock` by how many seconds its clock is to be wrong.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscope.agent.agent import Delivery
from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.interval import Drained
from kscope.agent.run.runner import ProbeRun
from kscope.cli.running import Parts, prepare, run
from kscope.declare.files.catalog import load_catalog
from tests.agent.tracing import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL = 0.3


class Numbering:
    """Each drain gives the next numbers, as off-CPU rows of so many microseconds."""

    def __init__(self, given: Path, rows: int) -> None:
        self._given = given
        self._rows = rows

    def start(self) -> None:
        pass

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> Drained:
        with self._given.open("a+") as file:
            file.seek(0)
            first = sum(len(json.loads(line)) for line in file) + 1
            numbers = list(range(first, first + self._rows))
            file.write(f"{json.dumps(numbers)}\n")
        row = {"process": "p", "pid": 1, "stack": "main;wait"}
        return Drained([row | {"elapsed": number} for number in numbers])

    def full(self) -> bool:
        return False

    def cost(self) -> Cost:
        return Cost()

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None:
        pass


class NumberingAgent(Agent):
    """`delivery`: settings of that name; the spool may lie elsewhere than in the folder."""

    def __init__(self, url: str, folder: Path, rows: int, **delivery: Any) -> None:
        self._folder = folder
        settings = json.dumps({"spool": str(folder / "spool"), **delivery})
        command = ["-m", "tests.agent.numbering", url, str(folder), str(rows), settings]
        super().__init__(command=[sys.executable, *command])

    @property
    def given(self) -> list[list[int]]:
        """The numbers of each drain so far, by all agents in the folder."""
        with suppress(FileNotFoundError):
            return [json.loads(line) for line in (self._folder / "given").read_text().splitlines()]
        return []

    def wait_for_drains(self, count: int) -> None:
        end = time.monotonic() + 30
        while len(self.given) < count:
            assert time.monotonic() < end, "".join(self.log)
            time.sleep(0.05)


@contextmanager
def numbering(url: str, folder: Path, rows: int = 3, **delivery: Any) -> Iterator[NumberingAgent]:
    running = NumberingAgent(url, folder, rows, **delivery)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def _parts(url: str, folder: Path, rows: int, settings: dict[str, Any]) -> Parts:
    catalog = load_catalog()
    category = catalog.get("offcputime")
    assert category
    plan = ProbeRun(category, lambda: Numbering(folder / "given", rows), INTERVAL)
    spool = Path(settings.pop("spool"))
    delivery = Delivery(url, folder.name, spool=spool, longest_pause=0.3)
    return Parts(catalog, [plan], replace(delivery, **settings), catalog.get("agent"))


def _set_clock(file: Path) -> None:
    right = time.time

    def wrong() -> float:
        with suppress(FileNotFoundError, ValueError):
            return right() + float(file.read_text())
        return right()

    time.time = wrong


if __name__ == "__main__":
    _url, _folder, _rows, _settings = sys.argv[1:]
    _set_clock(Path(_folder) / "clock")
    run(
        lambda _: _parts(_url, Path(_folder), int(_rows), json.loads(_settings)),
        prepare(),
    )
