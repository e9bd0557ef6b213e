"""Wait for the database, which may start later than the server."""

import asyncio
import logging

from kscope.config import Settings
from kscope.declare.model import Catalog
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.open import backend_of
from kscope.store.store import Store
from kscope.store.write.cardinality import NewTextLimits, NewTexts

_FIRST_PAUSE = 1
_LONGEST_PAUSE = 15

log = logging.getLogger(__name__)


async def open_when_ready(settings: Settings) -> tuple[Store, LiveCatalog]:
    """Open the store, repeatedly while the database is away. Raises StoreError."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await _opened(settings)
        except (StoreAway, StoreBusy) as error:
            log.warning("%s; retrying in %d s", error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def _opened(settings: Settings) -> tuple[Store, LiveCatalog]:
    limits = NewTextLimits(
        NewTexts(settings.new_stacks_per_hour), NewTexts(settings.new_strings_per_hour)
    )
    store = Store(backend_of(settings), Catalog(()), settings.query_deadline, limits)
    await store.connect()
    try:
        live = LiveCatalog(settings.categories, store)
        await live.begin()
    except BaseException:
        await store.close()
        raise
    return store, live
