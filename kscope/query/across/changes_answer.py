"""The answer to `changes`: what is different in a range, as sentences and as numbers."""

from typing import Literal

import msgspec

from kscope.query.answers.meta import Notice


class Words(msgspec.Struct, frozen=True):
    """A part of a sentence; `kind` says what it names, "" for the words between."""

    text: str
    kind: Literal["", "host", "process", "frame", "value", "time", "marker", "label"] = ""


class Evidence(msgspec.Struct, frozen=True):
    """Another change of the same event, in the table's view at `link`."""

    table: str
    prettyname: str
    text: str
    link: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `before`, `now` and the usual from `low` to `high` are rates in `unit`.

    `column` is the stack column and `name` a frame; or a label column and its value; or a
    histogram and a threshold such as `>= 1 s`. `part` is the share of the host's usual total that
    the change amounts to. `filters` are the parameters that select it, `link` is the page's address
    with them, the range and the comparison.
    """

    table: str
    prettyname: str
    kind: Literal["place", "load", "lengths", "silent"]
    unusual: bool
    lasting: bool
    change: Literal["new", "gone", "more", "less"]
    hosts: list[str]
    process: str
    column: str
    name: str
    unit: str
    before: float
    now: float
    low: float
    high: float
    before_text: str
    now_text: str
    factor: float | None
    part: float
    sentence: list[Words]
    text: str
    filters: list[tuple[str, str]]
    link: str
    evidence: list[Evidence]


class ReadTable(msgspec.Struct, frozen=True):
    """How far a table is read; `why` says it if it is not. `rows` are those of the range."""

    table: str
    prettyname: str
    rows: int
    state: Literal["read", "inactive", "waiting"]
    why: str = ""


class HostPart(msgspec.Struct, frozen=True):
    """A host's share of the unusual changes."""

    host: str
    part: float


class NearMarker(msgspec.Struct, frozen=True):
    """A marker in the range or shortly before; `seconds` from the start of the range."""

    time: int
    host: str
    kind: str
    message: str
    seconds: float


class HostLoss(msgspec.Struct, frozen=True):
    """How many events or rows a host's probe lost in the range."""

    host: str
    table: str
    lost: int
    text: str


class Changes(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Times are microseconds. `findings` are unusual, the weightiest first; `more` are the first
    of the `usual` ones that are within the usual. `text` is the paragraph for a ticket.

    A streamed answer comes several times, each better than the last; `read` tables `of` all are in
    it, and the last one is `done`.
    """

    start: int
    end: int
    base_from: int
    base_to: int
    baseline: str
    findings: list[Finding]
    more: list[Finding]
    usual: int
    tables: list[ReadTable]
    by_host: list[HostPart]
    markers: list[NearMarker]
    losses: list[HostLoss]
    text: str
    done: bool
    read: int
    of: int
    elapsed_ms: float
    notices: list[Notice]
