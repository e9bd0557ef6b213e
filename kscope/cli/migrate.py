"""`kscope migrate`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from kscope.cli.database import with_settings
from kscope.config import Settings, SQLite
from kscope.declare.catalog import load_catalog
from kscope.store.alterations import Step
from kscope.store.open import engine_of
from kscope.store.store import Store

if TYPE_CHECKING:
    from kscope.store.migrate import Migration


@click.command()
@with_settings
@click.option("--dry-run", is_flag=True, help="Print the statements; change nothing.")
@click.option(
    "--discard-sums",
    is_flag=True,
    help="Let rollup levels go that are no longer declared, though their rows are gone already.",
)
def migrate(*, settings: Settings, dry_run: bool, discard_sums: bool) -> None:
    """Bring a database up to the categories, as a server does at its start.

    Whatever would lose data is refused, with the file and the line (exit code 2).
    """
    for statement in asyncio.run(_migrate(settings, dry_run, discard_sums)):
        click.echo(f"{statement};")


async def _migrate(settings: Settings, dry_run: bool, discard_sums: bool) -> list[str]:  # noqa: FBT001
    store = Store(engine_of(settings), load_catalog(settings.categories))
    database = settings.database
    if dry_run and isinstance(database, SQLite) and not database.path.exists():
        return _texts(store.plan_from_nothing())
    await store.engine.open()
    try:
        plan = store.plan_migration if dry_run else store.migrate
        return _texts(await plan(discard_sums=discard_sums))
    finally:
        await store.engine.close()


def _texts(migration: Migration) -> list[str]:
    return [str(step) for step in migration.steps if isinstance(step, Step)]
