"""Everything that the program knows about one engine before it loads it."""

from dataclasses import dataclass

from kscope.declare.model import Option

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
    # Whether programs fulfil contracts of kscope.h, and refer to stacks by ids.
    contracts: bool = False
    stack_ids: bool = False
    # Whether the script is bpftrace's, which is checked before it runs.
    bpftrace_script: bool = False
