"""bcc compiles a C program and attaches it."""

from kscope.declare.engines.base import ProbeEngine
from kscope.declare.map_options import DEPTH, KEYS, STACKS

ENGINES = (
    ProbeEngine(
        name="bcc",
        implementation="kscope.agent.engines.bcc:BccEngine",
        source="program",
        options=(KEYS,),
        stack_options=(STACKS, DEPTH),
        filters_cgroup=True,
        contracts=True,
        stack_ids=True,
    ),
)
