"""`kscope migrate`."""

import asyncio
from collections.abc import Mapping, Sequence

import click

from kscope.cli import audit
from kscope.cli.categories import warn
from kscope.cli.database import moment, name_of, opened, with_settings
from kscope.config import Settings, SQLite
from kscope.declare.files.catalog import read_catalog
from kscope.declare.model import Catalog
from kscope.errors import DeclarationError, Problem
from kscope.store.drop import Drop, leftover, leftovers
from kscope.store.drop_parts import drop_all, plan_drops, summed
from kscope.store.open import backend_of, check_there
from kscope.store.schema.alterations import Step
from kscope.store.schema.migrate import Migration
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
    problems = asyncio.run(_migrate(settings, dry_run=dry_run, discard_sums=discard_sums))
    if problems:
        raise DeclarationError(problems)


async def _drop(settings: Settings, dropped: Sequence[str], *, dry_run: bool) -> None:
    """Check all of them before the first is dropped."""
    async with opened(settings, alone=not dry_run) as store:
        await store.check_whole()
        before = await store.remembered()
        reading = read_catalog(settings.categories, before)
        declared = {c.table: [column.name for column in c.columns] for c in reading.catalog.stored}
        plans = [await plan_drops(store, named, declared) for named in dict.fromkeys(dropped)]
        for each in plans:
            _say(summed(each), dry_run=dry_run)
            if not dry_run:
                await drop_all(store, each)
        if not dry_run:
            audit.note(f"dropped {', '.join(dict.fromkeys(dropped))} of {name_of(settings)}")
        if not dry_run:
            warn(await adopt_good(reading.catalog, reading.problems, before, store.adopt))


def _say(chosen: Drop, *, dry_run: bool) -> None:
    verb = "would lose" if dry_run else "lost"
    what = f" column '{chosen.column}'" if chosen.column else ""
    for loss in chosen.losses:
        since = f", {moment(loss.first)} to {moment(loss.last)}" if loss.rows else ""
        unit = "values" if chosen.column else "rows"
        click.echo(f"{loss.table}: {verb}{what}, {loss.rows} {unit}{since}")
    if not chosen.losses:
        click.echo(f"{chosen.category}: has no rows")


async def _migrate(settings: Settings, *, dry_run: bool, discard_sums: bool) -> Sequence[Problem]:
    """Migrate all good categories, print the statements, and return the problems of the others."""
    database = settings.database
    if dry_run and isinstance(database, SQLite) and not database.path.exists():
        reading = read_catalog(settings.categories)
        _print({"": Store(backend_of(settings), reading.catalog).plan_from_nothing()})
        return reading.problems
    async with opened(settings) as store:
        good = Catalog(())
        migrations: Mapping[str, Migration] = {}

        async def adopt(catalog: Catalog) -> None:
            nonlocal good, migrations
            good = catalog
            migrations = await store.migrate_parts(
                catalog, dry_run=dry_run, discard_sums=discard_sums
            )

        await store.check_whole()
        problems = await adopt_folders(settings.categories, await store.remembered(), adopt)
        parts = [Store(part.backend, good) for part in store.parts.values()]
        for name in sorted({name for part in parts for name in await leftovers(part)}):
            click.echo(f"note: {leftover(name)}", err=True)
    _print(migrations)
    if not dry_run and any(migrations.values()):
        audit.note(f"migrated {name_of(settings)}")
    return problems


def _print(migrations: Mapping[str, Migration]) -> None:
    """Print the statements, of shards with a comment before them."""
    for name, migration in migrations.items():
        statements = [step for step in migration if isinstance(step, Step)]
        if name and statements:
            click.echo(f"-- {name}")
        for step in statements:
            click.echo(f"{step};")
