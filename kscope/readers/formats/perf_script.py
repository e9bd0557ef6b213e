"""Sampled stacks as `perf script` prints them.

mysqld 1234/1240 [002] 5184.302111: 250000 cpu-clock:
        ffffffff81a0e1f0 schedule+0x2e ([kernel.kallsyms])
            7f2c3b1d0120 __futex_wait+0x1c (/usr/lib/libc.so.6)
"""

from kscope.readers.perf.detect import matches
from kscope.readers.perf.rows import rows
from kscope.readers.perf.survey import survey
from kscope.readers.reading.base import Format

FORMATS = (
    Format(
        name="perf",
        help="the output of `perf script`",
        example="perf script -F +pid | kscope import profile -",
        matches=matches,
        read=rows,
        survey=survey,
        rank=40,
        options=frozenset({"value", "root", "frequency", "event"}),
    ),
)
