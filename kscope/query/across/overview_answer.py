"""The answer to `overview`: every table and host at a glance."""

import msgspec

from kscope.query.answers.markers import Marker
from kscope.query.answers.meta import Notice

_SPAN = {"start": "from", "end": "to"}


class Stretch(msgspec.Struct, frozen=True, rename=_SPAN):
    """A stretch in which a table is unusual on these hosts, `factor` times the usual."""

    start: int
    end: int
    factor: float | None
    text: str
    hosts: list[str]


class OnTop(msgspec.Struct, frozen=True):
    """The frame, process or label with the largest share of the total."""

    column: str
    name: str
    share: float


class TableOverview(msgspec.Struct, frozen=True, kw_only=True):
    """`values` are rates in `unit`, one for each step; `low` to `high` is usual; `now` is the last.

    `last` is the time of the newest row (us), null without rows. `inactive` are the filters that
    the table does not take.
    """

    table: str
    prettyname: str
    description: str
    unit: str
    now: float
    now_text: str
    total_text: str
    values: list[float]
    low: float
    high: float
    unusual: list[Stretch]
    on_top: list[OnTop]
    rows: int
    last: int | None
    inactive: list[str]


class HostOverview(msgspec.Struct, frozen=True, kw_only=True):
    """`last` and `silent_since` are times (us); `lost` events or rows in the range.

    `distance` is from the hosts of the same `group`, null if there are too few events: then `group`
    is -1.
    """

    host: str
    group: int
    group_name: str
    distance: float | None
    last: int
    silent_since: int | None
    lost: int
    lost_text: str
    rows: int


class Event(msgspec.Struct, frozen=True, kw_only=True, rename=_SPAN):
    """A stretch to ask `changes` about; `silent` if it is that hosts stopped sending."""

    start: int
    end: int
    hosts: list[str]
    tables: list[str]
    silent: bool


class Overview(msgspec.Struct, frozen=True, kw_only=True, rename=_SPAN):
    """`times` begin the steps, `step` is their length, both in microseconds.

    `events` has at most five, the weightiest first.
    """

    start: int
    end: int
    step: int
    times: list[int]
    tables: list[TableOverview]
    hosts: list[HostOverview]
    markers: list[Marker]
    events: list[Event]
    notices: list[Notice]
    elapsed_ms: float
