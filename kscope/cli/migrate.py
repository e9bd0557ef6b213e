"""`kscope migrate`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from kscope.cli.categories import warn
from kscope.cli.database import with_settings
from kscope.config import Settings, SQLite
from kscope.declare.files.catalog import read_catalog
from kscope.declare.model import Catalog
from kscope.errors import DeclarationError, Problem
from kscope.store.backends.base import Backend
from kscope.store.drop import Drop, drop, leftover, leftovers, plan_drop
from kscope.store.open import backend_of, check_there
from kscope.store.schema.alterations import Step
from kscope.store.schema.migrate import Migration
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store
from kscope.store.usable_categories import adopt_folders, adopt_good


@click.command()
@with_settings
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
@click.option(
    "--discard-sums",
    is_flag=True,
    help="Also drop rollup levels whose raw rows no longer exist.",
)
@click.option(
    "--drop",
    "dropped",
    multiple=True,
    metavar="TABLE[.COLUMN]",
    help="Drop a table or a column that no category file declares, with its data; --dry-run shows"
    " how much. Stop a server on a SQLite file first. Can be repeated.",
)
def migrate(
    *, settings: Settings, dry_run: bool, discard_sums: bool, dropped: tuple[str, ...]
) -> None:
    """Migrate a database to the present categories, as a server does when it starts.

    A change that would lose data is refused, with the file and the line (exit code 2). Good
    categories are migrated; a category whose file is bad keeps its stored columns.
    """
    if dropped:
        check_there(settings)
        asyncio.run(_drop(settings, dropped, dry_run=dry_run))
        return
    outcome = asyncio.run(_migrate(settings, dry_run=dry_run, discard_sums=discard_sums))
    for statement in outcome.statements:
        click.echo(f"{statement};")
    if outcome.problems:
        raise DeclarationError(outcome.problems)


async def _drop(settings: Settings, dropped: Sequence[str], *, dry_run: bool) -> None:
    """Check all of them before the first is dropped."""
    store = Store(backend_of(settings, alone=not dry_run), Catalog(()))
    await store.backend.open()
    try:
        before = await store.remembered()
        reading = read_catalog(settings.categories, before)
        declared = {c.table: [column.name for column in c.columns] for c in reading.catalog}
        plans = [await plan_drop(store, named, declared) for named in dropped]
        for each in plans:
            _say(each, dry_run=dry_run)
            if not dry_run:
                await drop(store, each)
        if not dry_run:
            warn(await adopt_good(reading.catalog, reading.problems, before, store.adopt))
    finally:
        await store.backend.close()


def _say(chosen: Drop, *, dry_run: bool) -> None:
    verb = "would lose" if dry_run else "lost"
    what = f" column '{chosen.column}'" if chosen.column else ""
    for loss in chosen.losses:
        since = f", {_day(loss.first)} to {_day(loss.last)}" if loss.rows else ""
        unit = "values" if chosen.column else "rows"
        click.echo(f"{loss.table}: {verb}{what}, {loss.rows} {unit}{since}")
    if not chosen.losses:
        click.echo(f"{chosen.category}: has no rows")


def _day(time: int | None) -> str:
    return "?" if time is None else _moment(time)


def _moment(time: int) -> str:
    """Return the text of microseconds since 1970; a year beyond the calendar stays a number."""
    try:
        return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time} us"


@dataclass(frozen=True)
class _Outcome:
    statements: Sequence[str]
    problems: Sequence[Problem]


async def _migrate(settings: Settings, *, dry_run: bool, discard_sums: bool) -> _Outcome:
    """Migrate all good categories; the others keep their stored columns."""
    backend, database = backend_of(settings), settings.database
    if dry_run and isinstance(database, SQLite) and not database.path.exists():
        reading = read_catalog(settings.categories)
        steps = _texts(Store(backend, reading.catalog).plan_from_nothing())
        return _Outcome(steps, reading.problems)
    await backend.open()
    try:
        return await _migrate_good(backend, settings, dry_run=dry_run, discard_sums=discard_sums)
    finally:
        await backend.close()


async def _migrate_good(
    backend: Backend, settings: Settings, *, dry_run: bool, discard_sums: bool
) -> _Outcome:
    store, statements = Store(backend, Catalog(())), list[str]()

    async def adopt(catalog: Catalog) -> None:
        nonlocal store, statements
        store = Store(backend, catalog)
        plan = store.plan_migration if dry_run else store.migrate
        statements = _texts(await plan(discard_sums=discard_sums))

    problems = await adopt_folders(settings.categories, await store.remembered(), adopt)
    for name in await leftovers(store):
        click.echo(f"note: {leftover(name)}", err=True)
    return _Outcome(statements, problems)


def _texts(migration: Migration) -> list[str]:
    return [str(step) for step in migration if isinstance(step, Step)]
