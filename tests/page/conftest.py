from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.page import world
from tests.serving import ROOT, kscope, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.page.recording import Row
    from tests.serving import Serving


@pytest.fixture(scope="session")
def server(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    del built_page
    with serving(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture(scope="session")
def fleet_rows() -> list[Row]:
    return world.fleet(datetime.now(UTC))


@pytest.fixture(scope="session")
def fleet(
    built_page: None, tmp_path_factory: pytest.TempPathFactory, fleet_rows: list[Row]
) -> Iterator[Serving]:
    """Three hosts for most of an hour, whose rows are `fleet_rows`."""
    del built_page
    with serving(tmp_path_factory.mktemp("fleet")) as started:
        world.send(started, "offcputime", fleet_rows)
        world.send(started, "agent", world.reports(fleet_rows))
        yield started


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
