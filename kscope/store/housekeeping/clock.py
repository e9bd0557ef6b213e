"""Removal by age waits while the clock may be wrong: the rows that it removes are gone."""

import logging
from dataclasses import dataclass
from time import monotonic

import sqlalchemy as sa

from kscope.store.schema.meta import write_meta
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store

# The note of the time (us) of the last removal, in kscope_meta.
NOTE = "removal by age"
# A clock that is so far ahead of the last removal may have jumped; in seconds. A server that was
# off for longer waits as long.
_LEAP = 86400

log = logging.getLogger(__name__)


@dataclass
class ClockCheck:
    """`doubted` is since when the clock is in doubt, by the monotonic one; 0 if it is not."""

    doubted: float = 0.0

    async def trusts(self, store: Store, now: int) -> bool:
        """Return whether rows may be removed by their age at `now` (us).

        A clock that is still there after a day is right: its machine was off.
        """
        last = await _last_run(store)
        if last is None or now - last <= _LEAP * SECOND:
            self.doubted = 0.0
            return True
        if not self.doubted:
            self.doubted = monotonic()
            log.warning(
                "the clock is %d hours ahead of the last removal by age: in case it is wrong,"
                " nothing is removed for a day; `kscope retention` removes now",
                (now - last) // SECOND // 3600,
            )
        return monotonic() - self.doubted >= _LEAP


async def is_behind(store: Store, now: int) -> bool:
    """Return whether the clock is surely wrong: `now` (us) is before the last removal by age."""
    last = [await _last_run(part) for part in store.parts.values()]
    return any(each is not None and now < each for each in last)


async def note_run(store: Store, now: int) -> None:
    async with store.backend.transaction() as session:
        await write_meta(session, store.schema, NOTE, str(now))


async def _last_run(store: Store) -> int | None:
    meta = store.schema.dictionaries.meta
    found = await store.backend.fetch_in_background(
        sa.select(meta.c.value).where(meta.c.name == NOTE)
    )
    return int(found[0][0]) if found else None
