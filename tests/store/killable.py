"""A server in a process that can be started fast, and killed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kscope.declare.catalog import load_catalog
from kscope.server import app
from kscope.store import mysql, retention, upkeep  # noqa: F401 - loaded before the fork

if TYPE_CHECKING:
    from pathlib import Path

    from kscope.config import Settings


def run(settings: Settings, log: Path) -> None:
    """Serve, with housekeeping all the time and in tiny steps, so that a kill meets it."""
    logging.basicConfig(filename=log, level=logging.INFO)
    retention.ROWS_PER_STEP = 40
    upkeep._ROLLUP_SECONDS = upkeep._RETENTION_SECONDS = 0
    catalog = load_catalog(settings.categories)
    asyncio.run(app.serve(settings, catalog, lambda *_: None))
