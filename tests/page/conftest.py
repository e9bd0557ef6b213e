from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.incident.play import fill
from tests.page import world
from tests.serving import ROOT, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.page.recording import Row
    from tests.serving import Serving


@pytest.fixture(scope="module")
def server(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One for each module: two may send rows of the same hour."""
    del built_page
    with serving(tmp_path_factory.mktemp("page")) as started:
        yield started


class Fleets:
    """A server with three hosts' rows of most of an hour, until now.

    It is made again before its rows leave the page's last hour.
    """

    def __init__(self, folders: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._folders = folders
        self._stack = stack
        self._end: datetime | None = None
        self.rows: list[Row] = []
        self.server: Serving | None = None

    def current(self) -> Serving:
        now = datetime.now(UTC)
        if self.server is None or self._end is None or now - self._end > timedelta(minutes=10):
            self._stack.close()
            self._end, self.rows = now, world.fleet(now)
            self.server = self._stack.enter_context(serving(self._folders.mktemp("fleet")))
            world.send(self.server, "offcputime", self.rows)
            world.send(self.server, "agent", world.reports(self.rows))
        return self.server


@pytest.fixture(scope="session")
def fleets(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleets]:
    del built_page
    with ExitStack() as stack:
        yield Fleets(tmp_path_factory, stack)


@pytest.fixture
def fleet(fleets: Fleets) -> Serving:
    """Three hosts for most of an hour, whose rows are `fleet_rows`."""
    return fleets.current()


@pytest.fixture
def fleet_rows(fleets: Fleets, fleet: Serving) -> list[Row]:
    del fleet
    return fleets.rows


@pytest.fixture(scope="session")
def recorded(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Twenty minutes of what a real agent recorded on a real kernel."""
    del built_page
    folder = tmp_path_factory.mktemp("recorded")
    with serving(folder) as started:
        replay = kscope("agent", "offcputime", "--replay", "bundled", "--history", "1200")
        to = ["--duration", "2", "--server", started.ingest, "--spool", str(folder / "spool")]
        subprocess.run([*replay, *to], cwd=ROOT, check=True, capture_output=True)
        yield started


@dataclass(frozen=True)
class Incident:
    """A server with four hours of the made-up fleet, until `end`."""

    server: Serving
    end: datetime

    def ago(self, minutes: float) -> datetime:
        return self.end - timedelta(minutes=minutes)

    def between(self, first: float, last: float) -> str:
        """The range of an address, from so many minutes before the end to so many."""
        return "&".join(f"{name}={time}" for name, time in self.asked(first, last).items())

    def asked(self, first: float, last: float) -> dict[str, str]:
        """The same range, of a question."""
        return {"from": _iso(self.ago(first)), "to": _iso(self.ago(last))}

    def address(self, path: str = "", first: float = 60, last: float = 0) -> str:
        return f"{self.server.read}/?{self.between(first, last)}{path}"

    def box(self, first: float, last: float) -> str:
        start, end = (round(self.ago(each).timestamp() * 1e6) for each in (first, last))
        return f"&box=,{start},{end}"


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="session")
def incident(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Incident]:
    """Times are those of its addresses, so it does not age while the tests run."""
    del built_page
    with serving(tmp_path_factory.mktemp("incident")) as started:
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        fill(started, end)
        yield Incident(started, end)
