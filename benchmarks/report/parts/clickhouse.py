"""ClickHouse under Kernelscope, as `benchmarks.clickhouse` prints it."""

from __future__ import annotations

import re

import msgspec

from benchmarks.report.commands import printed
from benchmarks.report.results import Found, Measured
from benchmarks.report.turns import Options
from benchmarks.scaling import GRAPH

_ROWS = re.compile(r"^flame graph of all rows: ([\d,]+), of SQLite ([\d,]+)$", re.MULTILINE)
_TOOK = re.compile(r"^  (ClickHouse|SQLite) through Kernelscope +([\d,]+) ms$", re.MULTILINE)


def measure(options: Options) -> Found:
    rows = options.size(10_000_000, 100_000)
    ingest = 20_000 if options.is_quick else 500_000
    command = f"benchmarks.clickhouse --repeat {options.repeat} --ingest-rows {ingest}"
    found = printed(
        f"{command} --rows {rows} --full",
        f"{command} --only ingest --apart",
    )
    return with_facts(found)


def with_facts(found: Found) -> Found:
    """Return the same with the seconds of flame graphs, for ten million rows, as facts."""
    text = "".join(output.text for output in found.outputs)
    if not (counted := _ROWS.search(text)):
        return found
    rows = dict(zip(("ClickHouse", "SQLite"), map(_number, counted.groups()), strict=True))
    facts = {
        f"{engine} {GRAPH}": Measured((_number(took) / 1000 * 1e7 / rows[engine],))
        for engine, took in _TOOK.findall(text)
    }
    return msgspec.structs.replace(found, facts=facts)


def _number(text: str) -> int:
    return int(text.replace(",", ""))
