"""`kscope copy`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from kscope.cli import audit
from kscope.cli.copyaddress import FORMS, read_address
from kscope.cli.database import name_of
from kscope.cli.options import FILE
from kscope.config import ClickHouse, Settings, SQLite
from kscope.declare.model import Catalog
from kscope.errors import KscopeError, UsageError
from kscope.store.backends.errors import StoreError
from kscope.store.copy.copier import Report, copy_all, plan_all
from kscope.store.copy.source import opened_source
from kscope.store.copy.target import opened_target
from kscope.store.open import open_to_read
from kscope.store.store import Store

_AGAIN = "run the same command again: it copies the rest"
_INTERRUPTED = 130
# Seconds between two lines of progress, on a terminal and in a log.
_ON_TERMINAL, _IN_LOG = 0.2, 10.0


@click.command()
@click.option("--from", "from_", required=True, metavar="DATABASE", help=f"Source: {FORMS}.")
@click.option("--to", required=True, metavar="DATABASE", help="Target, in the same forms.")
@click.option(
    "--from-password-file", type=FILE, help="File with its password. [$KSCOPE_FROM_PASSWORD]"
)
@click.option("--to-password-file", type=FILE, help="File with its password. [$KSCOPE_TO_PASSWORD]")
@click.option("--dry-run", is_flag=True, help="Print what would be copied; write nothing.")
def copy(
    *,
    from_: str,
    to: str,
    from_password_file: Path | None,
    to_password_file: Path | None,
    dry_run: bool,
) -> None:
    """Copy a database into another one, of any engine. Servers can keep using both.

    Run it again to copy what came since, or to go on after it was interrupted. It adds to the rows
    that the target has, copies each row once, and compares both at the end.
    """
    source = read_address("from", from_, from_password_file)
    target = read_address("to", to, to_password_file)
    if isinstance(target.database, ClickHouse) and target.database.cluster:
        raise UsageError(
            "--to names a cluster, and rows are copied into one server: let `kscope migrate` make"
            " the cluster's tables, then name the first server of a shard,"
            " --to clickhouse:HOST/NAME; questions to the cluster find the rows there"
        )
    if source.database == target.database:
        raise UsageError("--from and --to are the same database; name another one as --to")
    if dry_run:
        _print_plan(asyncio.run(_plan(source, target, from_)))
        return
    progress = _Progress()
    try:
        report = asyncio.run(_copy(source, target, from_, progress))
    except KeyboardInterrupt:
        progress.end()
        click.echo(f"interrupted; {_AGAIN}", err=True)
        sys.exit(_INTERRUPTED)
    except StoreError as error:
        progress.end()
        raise KscopeError(f"{error}\n{_AGAIN}") from None
    progress.end()
    audit.note(f"{name_of(source)} copied into {name_of(target)}")
    _print(report)


async def _copy(source: Settings, target: Settings, name: str, progress: "_Progress") -> Report:
    async with opened_source(source, name) as reading, opened_target(target) as store:
        return await copy_all(reading, store, progress.tell)


async def _plan(source: Settings, target: Settings, name: str) -> Report:
    async with opened_source(source, name) as reading, _to_look_at(target) as store:
        return await plan_all(reading, store)


@asynccontextmanager
async def _to_look_at(settings: Settings) -> AsyncIterator[Store | None]:
    """Open the target without creating a file."""
    if isinstance(settings.database, SQLite) and not settings.database.path.exists():
        yield None
        return
    async with open_to_read(settings, Catalog(())) as store:
        yield store


def _print_plan(report: Report) -> None:
    for table, tally in report.tables.items():
        there = f"; {tally.before} rows were copied before" if tally.before else ""
        click.echo(f"{table}: would copy {tally.rows} rows and {tally.sums} sums{there}")
    click.echo(f"the keys of up to {report.keys} batches, the names of {report.symbols} files")


def _print(report: Report) -> None:
    for table, tally in report.tables.items():
        check = report.checks[table]
        parts = [f"{tally.rows} rows and {tally.sums} sums copied"]
        if tally.before:
            parts.append(f"{tally.before} rows were copied before")
        if check.others or check.others_summed:
            parts.append(
                f"the target has {check.others} rows from elsewhere, {check.others_summed} in sums"
            )
        if check.arriving:
            parts.append(f"{check.arriving} rows arrived in the meantime")
        click.echo(f"{table}: {', '.join(parts)}")
    click.echo(f"{report.keys} keys of batches, the names of {report.symbols} files")
    if differing := report.differing:
        listed = "\n".join(f"  {each}" for each in differing[:20])
        raise KscopeError(
            f"{len(differing)} stretches of time differ (microseconds since 1970):\n{listed}\n"
            "The target is missing rows of the source there: copy into a new database"
        )
    if doubled := report.doubled:
        listed = "\n".join(f"  {each}" for each in doubled[:20])
        raise KscopeError(
            f"the target has rows of {len(doubled)} times more often than the source (number, and"
            f" microseconds since 1970):\n{listed}\n"
            "Both databases stored them, or they were stored twice; copy into a new database if"
            " they must count once"
        )
    if report.arriving:
        click.echo(f"rows are still arriving at the source: stop its server, and {_AGAIN}")
    else:
        click.echo("compared: the target has everything that the source has")


@dataclass
class _Progress:
    """A line that changes on a terminal, or one line now and then in a log."""

    _last: float = field(default_factory=time.monotonic)
    _is_open: bool = False

    def tell(self, name: str, done: int, found: int) -> None:
        is_terminal = sys.stderr.isatty()
        if time.monotonic() - self._last < (_ON_TERMINAL if is_terminal else _IN_LOG):
            return
        self._last = time.monotonic()
        share = f" of {found} ({100 * done // found} %)" if found else ""
        text = f"{name}: {done}{share}"
        if is_terminal:
            click.echo(f"\r\033[K{text}", nl=False, err=True)
            self._is_open = True
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        if self._is_open:
            click.echo("\r\033[K", nl=False, err=True)
            self._is_open = False
