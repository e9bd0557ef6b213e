"""Compare the rows that agents made with those that a database has, host by host."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from benchmarks.simulation.agents import TABLE
from benchmarks.simulation.plan import Made
from kscope.agent.run import health
from kscope.config import Settings
from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.store.open import open_to_read
from kscope.store.store import Store

_DEADLINE = 300.0


@dataclass
class Stored:
    """A host's rows in the database; `distinct` counts the different numbers among them."""

    rows: int = 0
    distinct: int = 0
    elapsed: int = 0
    last: int = -1
    reports: int = 0


@dataclass(frozen=True)
class Verdict:
    """Numbers of rows over all hosts, and hosts whose sums differ although their counts agree."""

    made: int
    lost: int
    doubled: int
    strange: int
    reports_made: int
    reports_lost: int
    reports_doubled: int
    given_up: int

    @property
    def exact(self) -> bool:
        """Return whether the database has each row of each agent exactly once."""
        faults = (self.lost, self.doubled, self.strange, self.reports_lost, self.reports_doubled)
        return not any((*faults, self.given_up))


async def verdict(settings: Settings, made: Sequence[Made]) -> Verdict:
    stored = await _stored(settings)
    pairs = [(each, stored.get(each.host, Stored())) for each in made]
    return Verdict(
        made=sum(each.rows for each in made),
        lost=sum(max(0, each.rows - found.distinct) for each, found in pairs),
        doubled=sum(found.rows - found.distinct for _, found in pairs),
        strange=sum(_is_strange(each, found) for each, found in pairs),
        reports_made=sum(each.reports for each in made),
        reports_lost=sum(max(0, each.reports - found.reports) for each, found in pairs),
        reports_doubled=sum(max(0, found.reports - each.reports) for each, found in pairs),
        given_up=sum(each.given_up for each in made),
    )


def _is_strange(made: Made, found: Stored) -> bool:
    """Numbers from 0 on, each once, have the last one less than their count."""
    same_count = found.rows == found.distinct == made.rows
    return same_count and (found.elapsed != made.elapsed or found.last != made.rows - 1)


async def _stored(settings: Settings) -> dict[str, Stored]:
    tables = (TABLE, health.TABLE)
    catalog = Catalog(tuple(each for each in load_catalog() if each.table in tables))
    async with open_to_read(replace(settings, query_deadline=_DEADLINE), catalog) as store:
        names = await _names(store)
        found: dict[str, Stored] = defaultdict(Stored)
        rows = store.schema.categories[TABLE].rows.c
        counted = (
            *(rows.hostname, sa.func.count(), sa.func.count(rows.tid.distinct())),
            *(sa.func.sum(rows.elapsed), sa.func.max(rows.tid)),
        )
        for host, *counts in await store.reader.fetch(sa.select(*counted).group_by(rows.hostname)):
            found[names[host]] = Stored(*map(int, counts))
        reports = store.schema.categories[health.TABLE].rows.c
        each_host = sa.select(reports.hostname, sa.func.count()).group_by(reports.hostname)
        for host, count in await store.reader.fetch(each_host):
            found[names[host]].reports = int(count)
    return found


async def _names(store: Store) -> dict[int, str]:
    """Return the texts by id. A table that merges later may have one several times."""
    strings = store.schema.dictionaries.string.c
    found = await store.reader.fetch(sa.select(strings.id, strings.text))
    return {int(key): text for key, text in found}
