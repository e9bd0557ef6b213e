"""Hosts, and when each was heard last: kept in memory, and in a note of the database.

A question for them reads one note, whatever the number of rows. Several servers of one database
write the same note: each adds what it has heard, and learns what the others have.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from kscope.generate.tables import Schema
from kscope.store.backends.base import Session
from kscope.store.schema.meta import write_meta
from kscope.store.schema.progress import Fetch
from kscope.store.store import Store

# Hosts that were heard in so many seconds are known.
WINDOW = 86400.0
# The most of them; those that were heard longest ago make room.
MOST = 10_000
# Rows that are older than so many seconds when they come do not show that their host is there now.
RECENT = 3600.0
# A host that was heard less than so many seconds ago is not noted again.
_SOON = 1.0
# The note's name in kscope_meta.
NOTE = "hosts heard"
_LONGEST_PROGRAM = 60
# Of a host's name, as DNS bounds it: the note of all is below the 16 MiB that MySQL takes.
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Heard:
    """`last` is in seconds since 1970; `program` names the sender, such as `kscope/0.1.0`."""

    last: float
    program: str = ""


@dataclass
class HeardHosts:
    """The hosts that one process knows of."""

    _hosts: dict[str, Heard] = field(default_factory=dict)

    def is_news(self, host: str, now: float) -> bool:
        """Return whether `note` would change anything."""
        known = self._hosts.get(host)
        is_name = 0 < len(host) <= _LONGEST_NAME
        return is_name and (known is None or now - known.last >= _SOON)

    def note(self, host: str, now: float, program: str = "") -> None:
        """Note that rows of a host have just been stored."""
        self._hosts[host] = Heard(now, program[:_LONGEST_PROGRAM])
        if len(self._hosts) > MOST + MOST // 10:
            self._forget(now)

    def known(self, now: float) -> dict[str, Heard]:
        """Return the hosts that were heard in the last day."""
        return {host: each for host, each in self._hosts.items() if now - each.last < WINDOW}

    def learn(self, others: Mapping[str, Heard], now: float) -> bool:
        """Take over what others have heard later; return whether they know less than this."""
        for host, each in others.items():
            if host not in self._hosts or self._hosts[host].last < each.last:
                self._hosts[host] = each
        self._forget(now)
        return any(
            host not in others or others[host].last < each.last
            for host, each in self._hosts.items()
        )

    def _forget(self, now: float) -> None:
        latest = sorted(self.known(now).items(), key=lambda each: -each[1].last)
        self._hosts = dict(latest[:MOST])


async def read_heard(fetch: Fetch, schema: Schema) -> dict[str, Heard]:
    """Return the hosts that the database's note has."""
    meta = schema.dictionaries.meta
    found = await fetch(sa.select(meta.c.value).where(meta.c.name == NOTE))
    return _read(str(found[0][0])) if found else {}


async def exchange(store: Store, heard: HeardHosts, now: float) -> None:
    """Read the note, and write it if this process has heard more. Raises StoreError."""
    home = store.home
    others = await read_heard(home.reader.fetch, home.schema)
    if heard.learn(others, now):
        async with home.backend.transaction() as session:
            await _write(session, home.schema, heard, now)


async def _write(session: Session, schema: Schema, heard: HeardHosts, now: float) -> None:
    # Another server may have written since: its hosts are taken over at the next turn, and it
    # writes those that this text is without again.
    hosts = {host: [round(each.last, 1), each.program] for host, each in heard.known(now).items()}
    await write_meta(session, schema, NOTE, json.dumps(hosts, ensure_ascii=False))


def _read(text: str) -> dict[str, Heard]:
    return {
        str(host): Heard(float(last), str(program))
        for host, (last, program) in json.loads(text).items()
    }
