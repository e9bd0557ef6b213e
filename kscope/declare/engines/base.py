"""Everything that the program knows about one engine before it loads it."""

from dataclasses import dataclass

from kscope.declare.model import Option
from kscope.declare.types import TYPES

# The contracts of `kscope.h`, promises of a bcc program that the agent relies on: by the name in
# `provides`, the macro that fulfils it.
CONTRACTS = {
    "threshold": "KS_THRESHOLD(MICROSECONDS)",
    "waiting": "KS_WAITING(STRUCT)",
}
# Keys of the probe section that an engine can run.
SOURCES = {"program": "a file in probes/", "script": "a text in this file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEngine:
    """One engine: everything that differs from engine to engine before a probe starts."""

    name: str
    # The class that runs a probe, as `module:Class`; only the agent imports it. It takes a
    # category, its options and a TraceFilter, and has the methods of `agent.engines.base.Engine`.
    implementation: str
    # The key of the probe section that it runs: one of SOURCES.
    source: str
    # Options of each of its probes, and further ones of those that record stacks.
    options: tuple[Option, ...] = ()
    stack_options: tuple[Option, ...] = ()
    # Whether a probe can be limited to a cgroup.
    filters_cgroup: bool = False
    # Whether programs use kscope.h: they fulfil its contracts, and refer to stacks by ids.
    kscope_h: bool = False
    # Whether the script is bpftrace's, which is checked before it runs.
    bpftrace_script: bool = False


# The options of every probe: how much its maps hold.
_NUMBER = TYPES["int"]
KEYS = Option(
    "keys", _NUMBER, 16384, "KS_KEYS", "how many keys each of the probe's maps holds",
    least=64, most=1 << 22,
)  # fmt: skip
STACKS = Option(
    "stacks", _NUMBER, 16384, "KS_STACKS", "how many stacks an interval may have",
    least=64, most=1 << 20,
)  # fmt: skip
# Maps are as large as the depth says.
DEPTH = Option(
    "depth", _NUMBER, 127, "KS_DEPTH", "how many frames of a stack are kept, leaf first",
    least=1, most=512,
)  # fmt: skip
UNWIND_MEMORY = Option(
    "unwind-memory", _NUMBER, 64, "KS_UNWIND_MEMORY",
    "MB for the rules by which user stacks are walked; 0: by frame pointers alone",
    least=0, most=4096,
)  # fmt: skip
NAMES = frozenset(option.name for option in (KEYS, STACKS, DEPTH, UNWIND_MEMORY))
