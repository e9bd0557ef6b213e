"""The smallest tracer of user stacks: get_stackid at each switch of a process.

python -m benchmarks.agent.get_stackid PID
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from kscope.agent.host import header_tree, kernel
from kscope.agent.host.libbcc import attach_named, compiled, load_bcc

_PROGRAM = """
BPF_STACK_TRACE(stacks, 16384);
BPF_HASH(counts, int, u64, 16384);
TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 zero = 0, *n;
    if (bpf_get_current_pid_tgid() >> 32 != TRACED)
        return 0;
    int id = stacks.get_stackid(args, BPF_F_USER_STACK);
    n = counts.lookup_or_try_init(&id, &zero);
    if (n)
        __sync_fetch_and_add(n, 1);
    return 0;
}
"""


def main() -> None:
    load_bcc()
    kernel.mount_tracefs()
    name = Path("get_stackid.bpf.c")
    flags = [f"-DTRACED={int(sys.argv[1])}"]
    program = compiled(name, _PROGRAM, flags, header_tree.tracepoint_headers())
    attach_named(name, program)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
