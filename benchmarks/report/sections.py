"""The parts of the report: what each measures, how long it takes, and the words of the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.report.turns import Options


@dataclass(frozen=True)
class Section:
    """`sizes` are measured one by one, each as a separate variant; `quick` are those of --quick.

    `minutes` are those of two cores; `is_usual` parts are measured if none is named.
    """

    name: str
    title: str
    about: str
    minutes: int
    is_usual: bool = False
    sizes: tuple[int, ...] = ()
    quick: tuple[int, ...] = ()

    def variants(self, options: Options) -> list[str]:
        if not self.sizes:
            return [""]
        return [*map(str, options.rows or (self.quick if options.is_quick else self.sizes))]

    def of(self, options: Options, variant: str) -> Options:
        return replace(options, rows=(int(variant),)) if variant else options


SECTIONS = (
    Section(
        "ingest",
        "Rows that come in",
        """\
Each server starts with an empty database for each repetition, and takes rows when it is idle;
all ways take turns. Kernelscope checks every row, stores it under the key of its batch, and
answers when it is on the disk. `executemany` and `LOAD DATA` write the same rows into one
table, with a synced commit for each batch, and nothing else: no HTTP, no check, no ids of
texts. InfluxDB syncs its log before it answers; VictoriaMetrics answers before anything is
synced. Both have a hash in place of each stack. Senders, server and database share the machine;
bodies are not compressed. CPU is the processor time of the process that receives: of the server
without its database, and of MariaDB for `LOAD DATA`. Ratios are of columns in JSON, as agents,
`Logger` and imports send them.

Measured are not all combinations: the forms of a body with 4 senders and batches of 10,000
rows; senders with batches of 1,000; batches with 4 senders; MariaDB and ClickHouse. All but the
first comparison have fewer rows.""",
        minutes=9,
        is_usual=True,
    ),
    Section(
        "burst",
        "A hundred agents at once",
        """\
100 agents connect at the same time and send a million rows of columns, or of rows. They send a
batch again if the server asks them to wait, as agents do. A separate process asks both
listeners for `/healthz` on new connections all the time; `idle` is the longest time of a server
that does nothing on the same machine. Rows in the database are counted afterwards.

**How it grows.** Batches that wait for the writer take memory, and the server bounds it: beyond
the bound an agent is asked to wait and keeps its rows. `/healthz` waits for the interpreter's
lock, which long steps of decoding hold.""",
        minutes=3,
        is_usual=True,
    ),
    Section(
        "questions",
        "Questions",
        """\
Off-CPU rows of one hour of ten hosts, in SQLite. Each question goes through the whole read
side, from the request's text to the encoded answer. Bare SQL is the same grouping by ids over
one open connection, fetched and thrown away; for a flame graph with the texts of its stacks.
DuckDB runs that statement over a copy of the same tables. `CPU beyond SQL` is the processor
time of the answer without that of the statement. The same questions are asked again when sums
of five minutes and hours are made.""",
        minutes=11,
        is_usual=True,
        sizes=(1_000_000, 10_000_000),
        quick=(20_000, 100_000),
    ),
    Section(
        "size",
        "Bytes of a row and of a stack",
        """\
Off-CPU rows of a fleet, as agents send them, with the histograms of their waits and the keys of
their batches. Sizes are those of tables and indexes. They do not vary from run to run: each is
measured once.

**How it grows.** A row's own bytes stay the same. Each text and stack is stored once, so their
share of a row falls with more rows, and so does that of sums, which have a row for each group
of a time, however many rows it has.""",
        minutes=3,
        is_usual=True,
    ),
    Section(
        "memory",
        "Memory of a server",
        """\
Resident memory of `kscope serve`, without that of a database server: after its start, after
rows came in, after flame graphs of them, and the most that it had.

**How it grows.** With the bodies that are read at the same time, and with the texts and stacks
that are kept for later, which have bounds; not with the rows in the database. A flame graph
needs memory for its stacks while it is made.""",
        minutes=2,
        is_usual=True,
    ),
    Section(
        "start",
        "Start",
        """\
From the start of the process to its end, or to the first answer of `/readyz` with 200. `python
-c pass` shows what the interpreter takes.

**How it grows.** With the number of data types: all are read and checked, and a new database
gets tables and sums for each.""",
        minutes=1,
        is_usual=True,
    ),
    Section(
        "agent",
        "Tracing",
        """\
Programs that wait all the time, and what tracing each of them costs. First the walk alone:
`ks_stack`, which walks the user stack by the rules of `.eh_frame`, beside `get_stackid`, both
timed in one BPF program that takes one or the other at each switch. Where both walk about as
many frames the two can be compared; elsewhere `get_stackid` stops early. Then whole tracers,
one after the other on the same process: nanoseconds in BPF for each switch, and what perf
writes instead. Then the memory of an agent that traces one process, and many by their cgroup.""",
        minutes=6,
    ),
    Section(
        "page",
        "The page",
        """\
The same trees, drawn by the page's flame graph, d3-flame-graph, flame-chart-js and speedscope
in one Chromium. A step starts right after a frame and ends when the next frame is handed over:
`idle` is the wait for a frame with nothing to do. Work outside of a page's own thread, as in
speedscope, is not counted, nor is work after the picture. Differences of ten milliseconds are
noise. flame-chart-js has no search. speedscope's zoom is the first frame of an animation.

**How it grows.** A library that makes an element for each frame takes time for each; a canvas
takes it for the frames that are wide enough to be seen. Reading the answer grows with its size.""",
        minutes=6,
    ),
    Section(
        "attack",
        "What an attack costs others",
        """\
Each attack runs beside four honest senders and a prober of both listeners. `kept` is the rows
that were stored during an attack, beside those of the seconds before it. Silences are the
longest times in which a listener did not answer; `idle` is that of an idle server in a separate
process. The targets are: at least 70 % of the rows kept, no listener silent for more than 250
ms longer than the idle server, at most 512 MB of resident memory.""",
        minutes=20,
    ),
    Section(
        "changes",
        "Questions of all data types",
        """\
Some hours of ten hosts with all data types. "What changed here?" compares the last minutes with
24 earlier windows. The first time that a question is asked is in separate columns: that of the
first line is of a store that was just opened. Sums of five minutes of every data type answer
the earlier windows; an overview of an hour has steps of a minute, which only rows tell.""",
        minutes=6,
    ),
    Section(
        "clickhouse",
        "ClickHouse",
        """\
A day's off-CPU rows of the fleet in ClickHouse: questions beside the SQL that a person who
knows the tables writes, first of rows, then of sums, and bytes of everything that is stored.
The engine is the library that tests use, behind HTTP in Python, which adds some milliseconds to
each statement, and runs one short statement at a time. A flame graph is built and encoded in
Python. With `--apart` the engine has one processor, and Kernelscope with its senders the other,
as if the engine had a separate machine.""",
        minutes=12,
    ),
    Section(
        "fleet",
        "A server dies, and returns",
        """\
A thousand agents with real spools and senders, and two servers on one MariaDB. A server is
killed and started again; then both, while each agent knows only one. At the end the numbers and
sums of each host are compared with the database.""",
        minutes=11,
    ),
)

# The name of a figure, the page's words for it, its goal, and whether less is better.
GOALS = (
    ("ingest / executemany of flat text", "rows/s, columns, as those of executemany", 1.1, False),
    ("ingest / VictoriaMetrics", "rows/s, columns, as those of VictoriaMetrics", 1.8, False),
    ("burst lost rows", "rows of 100 agents at once that were lost", 0, True),
    ("burst memory", "memory of the server in this burst, MB", 500, True),
    ("burst /healthz", "longest answer of `/healthz` in it, ms", 100, True),
    ("hosts / SQL", "time of `hosts`, as that of its SQL", 1.3, True),
    ("flamegraph beyond SQL", "CPU of a flame graph beyond its SQL, ms", 250, True),
)

# Why a question takes longer with more rows, or does not.
GROWTH = {
    "flamegraph": "groups all rows by stacks; the tree has the nodes of these and stops growing",
    "rows": "reads the newest hundred rows by the order of the table, however many there are",
    "timeseries": "groups all rows by steps",
    "heatmap": "groups all rows by steps and sizes",
    "histogram": "groups all rows by sizes",
    "top": "groups all rows by one column",
    "hosts": "groups all rows by hosts and stacks; the comparison of hosts has these groups only",
    "values": "groups all rows by one column",
    "search": "groups all rows by stacks; the search itself reads each stack's frames once",
    "compare": "is two flame graphs of half the range",
    "quality": "reads the reports that agents send each minute, and sums the rows of each host",
}
GROWTH_OF_INGEST = """\
**How it grows.** One writer stores the batches that wait in one commit: more senders fill it
until the processors are busy, and then share them. A batch has a fixed cost, the request, its
key and its share of a synced commit, so larger batches have more rows a second until the cost
of each row is all that is left. Columns have the texts of a batch once; so they gain with the
size of a batch more than rows do."""
