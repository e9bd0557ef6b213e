"""A drain of a map with 10^5 keys and more: the largest values, and a count of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agent.test_kinds import made
from tests.children import bounded_run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
struct key { u32 generation; u32 unused; s64 n; };
BPF_HASH(agg, struct key, u64, 1 << 20);
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    struct key key = {};
    u64 one = 1;
    if (!ks_wanted())
        return 0;
    agg.update(&key, &one);
    return 0;
}
"""
DRAIN = """
import subprocess
from pathlib import Path
from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.bcc import MOST_KEYS, BccEngine
from kscope.declare.files.category import read_category

file = Path(sys.argv[1])
category = read_category(file.read_text(), str(file), file.parent.parent / "probes").category
idle = subprocess.Popen(["sleep", "100"])
engine = BccEngine(category, {}, TraceFilter(pid=idle.pid))
engine.start()
table, total = engine._table, 300_000
half = total // 2
keys, values = (table.Key * total)(), (table.Leaf * total)()
for n in range(total):
    keys[n].generation, keys[n].n, values[n] = n % 2, n, n * 7919 % total
table.items_update_batch(keys, values)
expected = [
    sorted(n * 7919 % total for n in range(side, total, 2))[-MOST_KEYS:] for side in (0, 1)
]
del keys, values
start = peak()
for side in (0, 1):
    drained = engine.drain()
    assert peak() < start + 250, (start, peak())
    assert sorted(row["weight"] for row in drained.rows) == expected[side]
    assert drained.loss.values == half - MOST_KEYS, drained.loss
    assert len(list(table.keys())) == half * (1 - side)
for n in range(10):
    table[table.Key(generation=n % 2, n=n)] = table.Leaf(n)
for side in (0, 1):
    drained = engine.drain()
    assert sorted(row["weight"] for row in drained.rows) == list(range(side, 10, 2))
    assert not drained.loss.values
engine.close()
idle.kill()
print("done")
"""


@pytest.mark.bpf
def test_hundreds_of_thousands_of_keys_are_drained_in_bounded_memory(tmp_path: Path) -> None:
    """Of each generation the largest 131,072 become rows; the others are counted, the other
    generation stays."""
    columns = "[{name: n, type: int}, {name: weight, type: bytes}]"
    collect = "{map: agg, columns: {n: key.n, weight: value}}"
    config = made(tmp_path, "wide", columns, collect, PROGRAM)
    file = config.parent / "categories/wide.yaml"
    assert bounded_run(DRAIN, file, folder=tmp_path).strip() == "done"
