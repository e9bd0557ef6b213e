"""The kernel's half of a stack, of all engines."""

import re

KERNEL_SUFFIX = "_[k]"
UNKNOWN = "[unknown]"

# The frames that called the probe itself, which the thread did not call.
_OWN_FRAMES = re.compile(
    r"bpf_prog_|bpf_trampoline_|bpf_trace_run|__bpf_trace_|bpf_get_stack|__bpf_get_stack|perf_trace_|perf_call_bpf"
    r"|trace_event_raw_|trace_call_bpf|__traceiter_|kprobe_|kretprobe_|aggr_pre_handler"
    r"|ftrace_|arch_ftrace|optimized_callback|opt_pre_handler|__do_trace_|syscall_trace_enter$|perf_syscall_(enter|exit)$"
)


def without_own(names: list[str]) -> list[str]:
    """Return the kernel frames, leaf first, without those that called the probe itself."""
    start = 0
    while start < len(names) and _OWN_FRAMES.match(names[start]):
        start += 1
    return names[start:]
