"""Markers of a range: moments at which something was done to a host, or to all hosts.

They are rows of the category `marker`. A row of the host `*` stands for all hosts.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from kscope.declare.model import HOSTNAME, TIME, Catalog, Category
from kscope.query.answers.meta import Notice
from kscope.query.answers.question import n_parameter
from kscope.query.parse import parameters as p
from kscope.query.parse.filters import condition
from kscope.query.parse.parameters import Asked
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import TimeRange, now
from kscope.query.scan.paging import Order, Page
from kscope.query.scan.scan import scan_of
from kscope.query.sql.conditions import Condition, Group
from kscope.store.reader import Reader

TABLE = "marker"
ALL_HOSTS = "*"
KIND, MESSAGE = "kind", "message"
_UNDECLARED = Category(TABLE, "Markers", "", (), ())


class Marker(msgspec.Struct, frozen=True):
    """`time` is in microseconds. `host` is empty for a marker of all hosts."""

    time: int
    host: str
    kind: str
    message: str


class Markers(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """The oldest first; of more than were asked for, the newest: then `more` is set."""

    start: int
    end: int
    markers: list[Marker]
    more: bool
    notices: list[Notice]


def read_question(catalog: Catalog, request: Sequence[tuple[str, str]]) -> Asked:
    """Check a request for markers; QueryError has all of its mistakes."""
    return p.read(catalog.get(TABLE) or _UNDECLARED, request, PARAMETERS, now())


async def markers(reader: Reader, asked: Asked) -> Markers:
    """Return the markers of the range that pass the filters; none without a category `marker`."""
    where = asked.scope.where.members
    if asked["host"]:
        hosts = condition(asked.category, "host", HOSTNAME, "in", asked["host"])
        where = (*where, replace(hosts, value=(*hosts.value, ALL_HOSTS)))
    span = asked.scope.range
    found = await _read(reader, span, Group(where), asked["n"] + 1)
    shown = found[-asked["n"] :]
    return Markers(span.start, span.end, shown, len(found) > len(shown), [])


async def markers_of(
    reader: Reader, span: TimeRange, hosts: Sequence[str] = (), most: int = 1000
) -> list[Marker]:
    """Return the newest markers of a range, the oldest of them first: those of these hosts and of
    all hosts, or without `hosts` every one.
    """
    named = Condition("host", HOSTNAME, "in", (*hosts, ALL_HOSTS))
    return await _read(reader, span, Group((named,) if hosts else ()), most)


async def _read(reader: Reader, span: TimeRange, where: Group, most: int) -> list[Marker]:
    category = reader.catalog.get(TABLE)
    if category is None:
        return []
    scan = await scan_of(reader, Scope(category, span, where), single_rows=True)
    if not scan.segments:
        return []
    known = (category.column(KIND), category.column(MESSAGE))
    columns = (TIME, HOSTNAME, *(each for each in known if each))
    page = Page(scan, columns, Order(TIME, descending=True))
    rows = await page.first(None, columns, most)
    named = (dict(zip((each.name for each in columns), row, strict=False)) for row in rows)
    found = [
        Marker(
            time=row["time"],
            host="" if row["hostname"] == ALL_HOSTS else row["hostname"],
            kind=str(row.get(KIND, "")),
            message=str(row.get(MESSAGE, "")),
        )
        for row in named
    ]
    return found[::-1]


HOST = p.Parameter("host", "hosts, with commas between; markers of all hosts come as well")
PARAMETERS = (HOST, n_parameter("markers", 1000))
