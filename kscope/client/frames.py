"""The text of frames and of folded stacks, for whatever records them."""

import re
from collections.abc import Sequence

KERNEL_SUFFIX = "_[k]"
UNKNOWN = "[unknown]"
LOST = "[lost stack]"
TRUNCATED_FRAME = "[truncated]"
# An id of no stack, such as the user half of a kernel thread (-EFAULT). Others below 0 are losses.
NO_STACK = -14
MAX_STACK_TEXT = 60_000
# A C++ name can contain these characters, which would break the folded text.
_UNSAFE = str.maketrans(";\r\n\0", ":   ")
# The frames that called the probe itself, which the thread did not call.
_OWN_FRAMES = re.compile(
    r"bpf_prog_|bpf_trampoline_|bpf_trace_run|__bpf_trace_|bpf_get_stack|__bpf_get_stack|perf_trace_|perf_call_bpf"
    r"|trace_event_raw_|trace_call_bpf|__traceiter_|kprobe_|kretprobe_|aggr_pre_handler"
    r"|ftrace_|arch_ftrace|optimized_callback|opt_pre_handler|__do_trace_|syscall_trace_enter$|perf_syscall_(enter|exit)$"
)


def frame_text(name: str) -> str:
    return name.translate(_UNSAFE)


def folded(frames: Sequence[str]) -> str:
    """Return the folded text of frames, root first; a long one is cut at the leaf end."""
    text = ";".join(frames)
    if len(text) > MAX_STACK_TEXT:
        text = text[:MAX_STACK_TEXT].rpartition(";")[0] + f";{TRUNCATED_FRAME}"
    return text


def without_own(names: list[str]) -> list[str]:
    """Return the kernel frames, leaf first, without those that called the probe itself."""
    start = 0
    while start < len(names) and _OWN_FRAMES.match(names[start]):
        start += 1
    return names[start:]
