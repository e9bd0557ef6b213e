"""bcc compiles a C program and attaches it."""

from kscope.declare.engines.base import DEPTH, KEYS, STACKS, UNWIND_MEMORY, ProbeEngine

ENGINES = (
    ProbeEngine(
        name="bcc",
        implementation="kscope.agent.engines.bcc:BccEngine",
        source="program",
        options=(KEYS,),
        stack_options=(STACKS, DEPTH, UNWIND_MEMORY),
        filters_cgroup=True,
        kscope_h=True,
    ),
)
