"""A small fleet whose server is killed: the simulation of `benchmarks.fleet_simulation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.fleet_simulation import settings_of
from benchmarks.simulation.run import Scenario, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mariadb import MariaDB

pytestmark = pytest.mark.mysql

AGENTS = 40


@pytest.mark.parametrize(("dead", "balanced"), [(1, True), (2, False)])
def test_a_fleet_loses_no_row_when_servers_are_killed(
    *, dead: int, balanced: bool, mariadb: MariaDB, tmp_path: Path
) -> None:
    """Each row of each agent is stored once, behind a load balancer and without one."""
    flags = mariadb.options(mariadb.new_database())
    scenario = Scenario(
        AGENTS, processes=1, interval=1.0, rows=20, away=1.0, dead=dead, balanced=balanced, drain=60
    )
    run = simulate(scenario, settings_of(flags), flags, tmp_path)
    assert run.verdict.exact, run.verdict
    assert run.verdict.made >= AGENTS * 20
    assert run.waiting_at_end == 0
    assert all(sum(traffic.requests.values()) for traffic in run.traffic)
