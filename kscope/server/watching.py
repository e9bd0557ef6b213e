"""The things that those who watch a server ask for: hosts, and figures of its database.

A task keeps them, so that an answer costs nothing, however often it is asked for.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from kscope.config import Settings
from kscope.errors import KscopeError
from kscope.query.across.losses import losses_of
from kscope.query.answers.heard import HeardHosts as HostsAnswer
from kscope.query.answers.heard import heard_hosts
from kscope.query.parse.timerange import SECOND, TimeRange
from kscope.query.sql.conditions import Group
from kscope.server.http import metric_list as of
from kscope.server.http.metric_list import Families, Family, Metric
from kscope.store.heard import HeardHosts, exchange
from kscope.store.housekeeping.figures import Figures, figures
from kscope.store.store import Store

_SECONDS = 15.0
_LOSSES_SECONDS = 600
_TURNS_OF_LOSSES = 4

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watching:
    """Keeps the hosts that are heard; with `reads_figures` also the figures of the database.

    Of several processes of a server one reads them.
    """

    store: Store
    settings: Settings
    reads_figures: bool = True
    heard: HeardHosts = field(default_factory=HeardHosts)
    found: Figures | None = None
    # By table.
    lost: Counter[str] = field(default_factory=Counter)
    _failing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Run until cancelled. A fault of the database has one line of the log until it is over."""
        for turn in count():
            await self._try("hosts", self._exchange)
            if self.reads_figures:
                await self._try("figures", self._read_figures)
            if self.reads_figures and turn % _TURNS_OF_LOSSES == 0:
                await self._try("losses", self._read_losses)
            await asyncio.sleep(_SECONDS)

    async def _try(self, what: str, work: Callable[[int], Awaitable[None]]) -> None:
        try:
            await work(time.time_ns() // 1000)
        except KscopeError as error:
            level = logging.DEBUG if what in self._failing else logging.WARNING
            log.log(level, "the %s of /metrics stay as they were: %s", what, error)
            self._failing.add(what)
        except Exception:
            log.exception("the %s of /metrics could not be read", what)
        else:
            self._failing.discard(what)

    async def _exchange(self, now: int) -> None:
        await exchange(self.store, self.heard, now / SECOND)

    async def _read_figures(self, now: int) -> None:
        self.found = await figures(self.store, now)

    async def _read_losses(self, now: int) -> None:
        reader = self.store.reader
        deadline = reader.deadline
        with deadline.running():
            span = TimeRange(now - _LOSSES_SECONDS * SECOND, now)
            losses = await losses_of(reader.within(deadline), span, Group(()))
        self.lost = Counter()
        for each in losses:
            # Rows may name any probe.
            if self.store.catalog.get(each.table):
                self.lost[each.table] += each.lost

    def hosts(self) -> HostsAnswer:
        now = time.time()
        return heard_hosts(self.heard.known(now), now, self.settings.silent_after)

    def families(self) -> Families:
        """Return the metrics of all this."""
        if not self.reads_figures:
            return []
        now, patience = time.time(), self.settings.silent_after
        known = self.heard.known(now).values()
        return [
            of.HOSTS.of(len(known)),
            of.HOSTS_SILENT.of(sum(now - each.last > patience for each in known)),
            of.SILENT_AFTER.of(patience),
            _by_category(of.LOST, self.lost),
            *(_of_figures(self.found) if self.found else ()),
        ]


def _of_figures(found: Figures) -> Iterator[Family]:
    for metric, value in (
        (of.LOOKED, found.read),
        (of.SIZE, found.space.used),
        (of.FREE, found.space.free),
        (of.RETENTION_RUN, found.retention_run),
    ):
        if value is not None:
            yield metric.of(value)
    yield _by_category(of.LAST_ROW, found.last_row)
    yield _by_category(of.ROLLUP_LAG, found.rollup_lag)
    yield _by_category(of.RETENTION_LAG, found.retention_lag)


def _by_category(metric: Metric, values: Mapping[str, float]) -> Family:
    return metric.family([({"category": table}, value) for table, value in sorted(values.items())])
