"""`kscope retention`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kscope.cli.database import run_with_store, with_settings
from kscope.store import retention as removal
from kscope.store import upkeep
from kscope.store.planner import SECOND

if TYPE_CHECKING:
    from kscope.config import Settings
    from kscope.store.store import Store


@click.command()
@with_settings
@click.option("--dry-run", is_flag=True, help="Say what there is to remove; remove nothing.")
def retention(*, settings: Settings, dry_run: bool) -> None:
    """Remove what is older than its category keeps it; a server does so by itself."""

    async def work(store: Store) -> None:
        now = time.time_ns() // 1000
        if not dry_run:
            await upkeep.roll_up(store, now)
        due = await removal.expiries(store, now)
        for expiry in due:
            before = datetime.fromtimestamp(expiry.before / SECOND, UTC)
            rows = await removal.count(store, expiry)
            click.echo(f"{expiry.table.name}: {rows} rows before {before:%Y-%m-%d %H:%M} UTC")
        if not due:
            click.echo("nothing is too old")
        if not dry_run:
            await upkeep.retain(store, now)

    run_with_store(settings, work)
