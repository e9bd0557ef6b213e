"""Leases: one of several servers does a work at a time, and another one once it dies.

Time is cut into slots. The first INSERT with the token of a slot counts, and the engine drops
others: the server whose row is there has the work until the slot ends. It takes the next slots as
long as it works. What it writes carries the end of its slot, after which the engine refuses it.
"""

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from kscope.generate.clickhouse.tables import LEASE

_SECOND = 1_000_000
_SLOT = 20 * _SECOND
# How often a server that waits for a lease asks, and one that has it takes the next slot.
_AGAIN_SECONDS = 0.5
_RENEW_SECONDS = 5
# How often a server that stores rows says so.
_PRESENT = "presence"
_PRESENT_SECONDS = 10


class _Session(Protocol):
    async def rows(self, text: str, parameters: Any = None) -> Sequence[Sequence[Any]]: ...

    async def now(self) -> int: ...

    async def note_lease(self, row: Mapping[str, Any], token: str) -> None: ...


@dataclass(eq=False)
class Lease:
    """A work, until a time of the engine's clock in us, which rises while it is renewed."""

    work: str
    until: int
    turn: int
    # The slot before, while it lasts: the next one is taken early.
    before: "Lease | None" = None


@dataclass(eq=False)
class Leases:
    """The leases of one server, by a name that no other has."""

    session: _Session
    # Returns whether this server has lost a statement, which may go on without it, since a time of
    # the monotonic clock.
    lost_one_since: Callable[[float], bool]
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    # When this server last said that it stores rows.
    _noted: float = -math.inf

    @asynccontextmanager
    async def held(self, work: str, patience: float) -> AsyncIterator[Lease | None]:
        """Lend the lease; None if another server has it for longer than `patience` in seconds.

        It is given back, unless a statement of this server may still run: then its slot ends.
        """
        begun = time.monotonic()
        lease = await self._wait_for(work, patience)
        if lease is None:
            yield None
            return
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield lease
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if not self.lost_one_since(begun):
                await self._release(lease)

    async def be_present(self) -> None:
        """Note that this server may store rows, before it does."""
        if time.monotonic() - self._noted < _PRESENT_SECONDS:
            return
        await self._note_presence(released=0)
        self._noted = time.monotonic()

    async def be_gone(self) -> None:
        """Note that this server stores no more rows: none that it began still runs."""
        if self._noted != -math.inf:
            await self._note_presence(released=1)

    async def _note_presence(self, *, released: int) -> None:
        row = {"work": _PRESENT, "slot": await self.session.now(), "turn": 0}
        row |= {"released": released}
        await self.session.note_lease({**row, "holder": self.holder}, uuid.uuid4().hex)

    async def others_present(self, seconds: float) -> bool:
        """Return whether another server may have stored rows in these last seconds."""
        rows = await self.session.rows(
            "SELECT count() FROM (SELECT max(released) AS gone"  # noqa: S608
            f" FROM {LEASE} WHERE work = {{work:String}}"
            " AND holder != {holder:String} AND slot > {since:Int64} GROUP BY holder)"
            " WHERE NOT gone",
            {
                "work": _PRESENT,
                "holder": self.holder,
                "since": await self.session.now() - int((seconds + _PRESENT_SECONDS) * _SECOND),
            },
        )
        return bool(rows[0][0])

    async def _wait_for(self, work: str, patience: float) -> Lease | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            now = await self.session.now()
            lease = await self._take(work, now - now % _SLOT + _SLOT)
            if lease is not None or loop.time() >= until:
                return lease
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _take(self, work: str, slot: int) -> Lease | None:
        """Take a free slot, or one whose holder has given it back."""
        given = await self.session.rows(
            f"SELECT turn, max(released) FROM {LEASE} WHERE work = {{work:String}}"  # noqa: S608
            " AND slot = {slot:Int64} GROUP BY turn ORDER BY turn DESC LIMIT 1",
            {"work": work, "slot": slot},
        )
        last, is_free = (int(given[0][0]), bool(given[0][1])) if given else (0, True)
        if not is_free:
            return None
        lease = Lease(work, slot, last + 1)
        await self._note(lease, released=0)
        found = await self.session.rows(
            f"SELECT min(holder) FROM {LEASE} WHERE work = {{work:String}}"  # noqa: S608
            " AND slot = {slot:Int64} AND turn = {turn:Int32}",
            {"work": work, "slot": slot, "turn": lease.turn},
        )
        return lease if found and found[0][0] == self.holder else None

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            left = lease.until - await self.session.now()
            if left <= 0:
                return  # another server may have it: the engine refuses what is written now
            if left < _SLOT // 2:
                further = await self._take(lease.work, lease.until + _SLOT)
                if further is None:
                    return
                lease.before = Lease(lease.work, lease.until, lease.turn)
                lease.until, lease.turn = further.until, further.turn

    async def _release(self, lease: Lease) -> None:
        for each in (lease, lease.before):
            if each is not None:
                await self._note(each, released=1)

    async def _note(self, lease: Lease, *, released: int) -> None:
        row = {
            "work": lease.work,
            "slot": lease.until,
            "turn": lease.turn,
            "holder": self.holder,
            "released": released,
        }
        token = f"{lease.work} {lease.until} {lease.turn} {released}"
        await self.session.note_lease(row, token)
