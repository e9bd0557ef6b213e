"""Losses of each host in a range, as its agent reports them by probe."""

from dataclasses import dataclass
from functools import partial

from kscope.declare.model import HOSTNAME
from kscope.query.across.amounts import number
from kscope.query.answers.quality import AGENT, LOSSES
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import TimeRange
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import sum_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import columns, scan_of
from kscope.query.sql.conditions import Group
from kscope.store.reader import Reader

_PROBE = "probe"
# Of time, or of names: nothing is missing from the sums.
_NOT_LOST = ("raised_time", "paused_time", "frames_unknown", "lost_stacks_truncated")
_TEXTS = {loss.column: loss.text for loss in LOSSES if loss.column not in _NOT_LOST}


@dataclass(frozen=True, slots=True)
class Loss:
    """The events or rows that a host's probe of a table lost, and why."""

    host: str
    table: str
    lost: int
    reason: str

    @property
    def text(self) -> str:
        why = self.reason.removeprefix("of ")
        return f"on {self.host}, {number(self.lost)} {why} [{self.table}]"


async def losses_of(reader: Reader, span: TimeRange, hosts: Group) -> list[Loss]:
    """Return the losses in a range of the hosts that pass the filters, the largest first."""
    agent = reader.catalog.get(AGENT)
    if agent is None:
        return []
    counts = [column for name in _TEXTS if (column := agent.column(name))]
    by = [HOSTNAME, *filter(None, [agent.column(_PROBE)])]
    scan = await scan_of(reader, Scope(agent, span, hosts), (*by, *counts))
    found = await summed(scan, columns(*by), [sum_of(column) for column in counts])
    name = partial(labels, reader)
    named = [await name(column, {key[i] for key in found}) for i, column in enumerate(by)]
    listed = []
    for key, sums in found.items():
        lost = sum(map(int, sums))
        if lost:
            worst = max(range(len(sums)), key=sums.__getitem__)
            host, *table = (texts[part] for texts, part in zip(named, key, strict=True))
            reason = _TEXTS[counts[worst].name]
            listed.append(Loss(host, table[0] if table else "", lost, reason))
    return sorted(listed, key=lambda each: (-each.lost, each.host, each.table))
