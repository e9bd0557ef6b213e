"""bcc compiles a C program and attaches it."""

from kscope.declare.engines.base import DEPTH, KEYS, STACKS, ProbeEngine

ENGINES = (
    ProbeEngine(
        name="bcc",
        implementation="kscope.agent.engines.bcc:BccEngine",
        source="program",
        options=(KEYS,),
        stack_options=(STACKS, DEPTH),
        filters_cgroup=True,
        kscope_h=True,
    ),
)
