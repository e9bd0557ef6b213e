"""`kscope retention`."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import click

from kscope.cli import audit
from kscope.cli.categories import good_catalog, warn
from kscope.cli.database import moment, name_of, opened, with_settings
from kscope.config import Settings
from kscope.store.backends.errors import StoreBusy
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.housekeeping.retention import Expiry, count, expiries
from kscope.store.housekeeping.unused_texts import orphans
from kscope.store.open import check_there, open_to_read
from kscope.store.store import Store
from kscope.store.usable_categories import adopt_folders

# Seconds between attempts: a server has its turn for as long as there is work.
_PAUSES = (1.0,) * 60


@click.command()
@with_settings
@click.option(
    "--dry-run", is_flag=True, help="Print the rows that would be removed; remove nothing."
)
def retention(*, settings: Settings, dry_run: bool) -> None:
    """Remove rows that are older than their retention. A running server does this itself."""
    now = time.time_ns() // 1000
    asyncio.run(_print_plan(settings, now) if dry_run else _remove(settings, now))


async def _remove(settings: Settings, now: int) -> None:
    """Remove the rows. A category whose file is bad keeps its stored columns, as in a server."""
    check_there(settings)
    async with opened(settings) as store:
        await store.check_whole()
        warn(await adopt_folders(settings.categories, await store.remembered(), store.adopt))
        for name, part in store.parts.items():
            if name:
                click.echo(f"{name}:")
            async with _turn(part):
                await roll_up(part, now)
                await _print_due(part, await expiries(part, now))
                await retain(part, now)
    audit.note(f"rows past their retention removed from {name_of(settings)}")


@asynccontextmanager
async def _turn(store: Store) -> AsyncIterator[None]:
    """Wait until no server does the background work, and keep them from it."""
    for pause in (*_PAUSES, None):
        async with store.backend.duty() as is_ours:
            if is_ours:
                yield
                return
        if pause is not None:
            await asyncio.sleep(pause)
    raise StoreBusy("a server removes old rows of this database: that is what the command does")


async def _print_plan(settings: Settings, now: int) -> None:
    """Print what the command would do, as if the rollups were up to date."""
    async with open_to_read(settings, good_catalog(settings.categories)) as store:
        await store.check_whole()
        await _print_due(store, await expiries(store, now, as_if_summed=True))
        for table, ids in await orphans(store):
            if ids:
                click.echo(f"{table.name}: {len(ids)} texts that nothing refers to")


async def _print_due(store: Store, due: Sequence[Expiry]) -> None:
    for expiry in due:
        rows = await count(store, expiry)
        click.echo(f"{expiry.table.name}: {rows} rows before {moment(expiry.before)}")
    if not due:
        click.echo("no rows are too old")
