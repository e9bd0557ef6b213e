"""A small fleet whose server is killed: the simulation of `benchmarks.fleet_simulation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.fleet_simulation import settings_of
from benchmarks.simulation.run import Scenario, simulate

if TYPE_CHECKING:
    from pathlib import Path

AGENTS = 40
MARIADB = pytest.param("mariadb", marks=pytest.mark.mysql)
CLICKHOUSE = pytest.param("clickhouse", marks=pytest.mark.clickhouse)


@pytest.mark.parametrize("engine", [MARIADB, CLICKHOUSE])
@pytest.mark.parametrize("dead", [1, 2])
def test_a_fleet_loses_no_row_when_servers_are_killed(
    engine: str, dead: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The database has each row of each agent once: one of two servers dies behind a load balancer,
    or both die without one.
    """
    server = request.getfixturevalue(engine)
    flags = server.options(server.new_database())
    scenario = Scenario(
        AGENTS, processes=1, interval=1, rows=20, away=1, dead=dead, balanced=dead == 1, drain=60
    )
    run = simulate(scenario, settings_of(flags), flags, tmp_path)
    assert run.verdict.exact, run.verdict
    assert run.verdict.made >= AGENTS * 20
    assert run.waiting_at_end == 0
    assert all(sum(traffic.requests.values()) for traffic in run.traffic)
