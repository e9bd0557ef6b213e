"""Frames of a stack without marks: which are the kernel's, and which are the tracer's own."""

import re
from collections.abc import Sequence

from kscope.profiles.frames import KERNEL

# The outermost functions of the kernel on x86-64, arm64 and others: a user's frame is behind them.
_ENTRY = re.compile(
    r"entry_SYSCALL_\w+|entry_SYSENTER_\w+|entry_INT80_\w+|asm_(?:sysvec|exc|common|call)_\w+"
    r"|ret_from_fork\w*|ret_to_user\w*|ret_from_intr|apic_timer_interrupt|secondary_startup_\w+"
    r"|el0t?_(?:64_|32_)?(?:sync|irq|svc)\w*|el1h?_(?:64_)?(?:sync|irq)\w*|__secondary_switched"
)
# If a stack is cut before its entry.
_DEEP = re.compile(
    r"do_syscall_\w+|x64_sys_call|__(?:x64|ia32|arm64|se)_sys_\w+|invoke_syscall|__schedule"
    r"|cpu_startup_entry|start_secondary|syscall_exit_work|syscall_trace_enter\w*"
)
# Frames of programs that the kernel runs to take the stack.
_TRACER = re.compile(
    r"bpf_prog_[0-9a-f]{8,}_\w+|bpf_trace_run\d+|__bpf_trace_\w+|__traceiter_\w+|bpf_get_stack\w*"
    r"|bpf_trampoline_\w+|bpf_overflow_handler|__?bpf_prog_run\w*|trace_call_bpf\w*"
    r"|perf_trace_run_bpf_submit"
)
# Behind a name, or before the file that it is from.
_OFFSET = re.compile(r"\+(?:0x[0-9a-f]+|\d+)(?=$| \[[^\[\]]*\]$)", re.ASCII)
_MODULE = re.compile(r"(?<=\S) \[[\w.-]+\]$", re.ASCII)
_BYTES = re.compile(r"b(['\"])(.*)\1")


def bare(frame: str) -> str:
    """Return a frame's name without its offset and the kernel's mark."""
    return _OFFSET.sub("", frame.removesuffix(KERNEL).strip())


def named(frame: str) -> str:
    """Return a frame without its offset."""
    return _OFFSET.sub("", plain(frame))


def plain(name: str) -> str:
    """Return a name without the marks of bytes: bcc up to 0.15 prints `b'read'` with Python 3."""
    name = name.strip()
    found = _BYTES.fullmatch(name)
    return found[2] if found else name


def without_tracer(frames: Sequence[str]) -> list[str]:
    """Return frames, the innermost first, without those of the tracer itself."""
    first = next((at for at, each in enumerate(frames) if not _TRACER.fullmatch(bare(each))), 0)
    return [*frames[first:]]


def is_outermost(frame: str) -> bool:
    """Return whether a frame is the first function that runs in the kernel."""
    return _ENTRY.fullmatch(bare(frame)) is not None


def is_kernel(frames: Sequence[str]) -> bool:
    """Return whether all frames are the kernel's, by the outermost ones that it has."""
    return any(_ENTRY.fullmatch(bare(each)) or _DEEP.fullmatch(bare(each)) for each in frames)


def marked(frames: Sequence[str]) -> list[str]:
    """Mark the kernel's frames, given the innermost first: those up to its outermost function."""
    outermost = max(
        (at for at, each in enumerate(frames) if _ENTRY.fullmatch(bare(each))), default=-1
    )
    if outermost < 0:
        return [*frames]
    return [*map(kernel, frames[: outermost + 1]), *frames[outermost + 1 :]]


def kernel(frame: str) -> str:
    """Return a frame with the kernel's mark, once, in place of its module's name."""
    return _MODULE.sub("", frame.removesuffix(KERNEL)) + KERNEL
