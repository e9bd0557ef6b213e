"""bpftrace runs a script. It sizes its stack maps itself, and prints its maps whole."""

from dataclasses import replace

from kscope.declare.engines.base import KEYS, ProbeEngine

_MOST_PRINTED = 1 << 17
ENGINES = (
    ProbeEngine(
        name="bpftrace",
        implementation="kscope.agent.engines.bpftrace:BpftraceEngine",
        source="script",
        options=(replace(KEYS, most=_MOST_PRINTED),),
        bpftrace_script=True,
    ),
)
