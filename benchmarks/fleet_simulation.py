"""A fleet of simulated agents, two servers over one database, and a server that dies.

    python -m benchmarks.fleet_simulation [--agents 1000] [--dead 1] [--no-balancer] [--json FILE]
        [--start clickhouse | --mysql HOST --dbport PORT ... | --clickhouse HOST ...]

The agents have the project's own spools (on disk), senders and bodies of off-CPU rows; `kscope
serve` runs twice on loopback, over the database that the flags of `kscope serve` name: an empty
one. Without flags the script starts a throw-away MariaDB, or with `--start clickhouse` the node
of ClickHouse that tests use, which needs the package chdb. Agents know the address of a TCP load
balancer, a part of this script; with `--no-balancer` half of them know the one server, half the
other. After two intervals a server (`--dead 2`: both) is killed with SIGKILL, and returns later.

Each row has a number. At the end the database must have each number of each host once, and the same
sums; else the script exits with 1.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from benchmarks.simulation.figures import as_json, lines
from benchmarks.simulation.run import Scenario, simulate
from benchmarks.throwaway import ENGINES, database
from kscope.cli.database import with_settings
from kscope.config import Settings


def main() -> None:
    options, flags = _options()
    scenario = Scenario(
        agents=options.agents,
        processes=options.processes,
        interval=options.interval,
        rows=options.rows,
        away=options.away,
        dead=options.dead,
        balanced=not options.no_balancer,
        drain=options.drain,
    )
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f}; {scenario}; {scenario.making:.0f} s, and up to"
        f" {scenario.drain:.0f} s until spools are empty",
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        chosen = nullcontext(flags) if flags else database(options.start, folder / "database")
        with chosen as named:
            run = simulate(scenario, settings_of(named), named, folder)
    print(*lines(run), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(as_json(run), indent=2) + "\n")
    if not run.verdict.exact:
        print("NOT EXACT: rows are lost, doubled or changed")
    sys.exit(not run.verdict.exact)


def settings_of(flags: Sequence[str]) -> Settings:
    """Return the settings that `kscope` reads from the flags of a database."""
    found: list[Settings] = []

    @click.command()
    @with_settings
    def take(*, settings: Settings) -> None:
        found.append(settings)

    take.main([*flags], standalone_mode=False)
    return found[0]


def _options() -> tuple[argparse.Namespace, list[str]]:
    default = Scenario()
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--agents", type=int, default=default.agents)
    parser.add_argument("--processes", type=int, default=default.processes, help="of agents")
    parser.add_argument("--interval", type=float, default=default.interval, help="seconds")
    parser.add_argument("--rows", type=int, default=default.rows, help="of a host in an interval")
    parser.add_argument("--away", type=float, default=default.away, help="seconds")
    parser.add_argument("--dead", type=int, choices=(0, 1, 2), default=default.dead)
    parser.add_argument("--no-balancer", action="store_true", help="each agent knows one server")
    parser.add_argument("--drain", type=float, default=default.drain, help="seconds at most")
    parser.add_argument("--start", choices=ENGINES, default="mariadb")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_known_args()


if __name__ == "__main__":
    main()
