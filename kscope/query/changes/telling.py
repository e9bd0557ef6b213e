"""Which frame of a stack tells most: the deepest that not all waits have in common."""

import re
from collections.abc import Sequence

# Frames that say that a thread waits, or how it came there, and not for what.
_DULL = re.compile(
    r"(__|_)*(x64_sys|se_sys|do_sys|entry_SYSCALL|do_syscall|syscall|schedule|io_schedule|ret_from"
    r"|do_futex|futex|hrtimer|do_nanosleep|finish_task|asm_|sysvec|irqentry|exit_to|kthread$|clone"
    r"|start_thread|_?start$|libc_start|main$|preempt|wait_woken|do_wait"
    r"|sem_(clock|timed)?wait|pthread_cond_|pthread_mutex_lock|pthread_rwlock"
    r"|lll_lock_wait|PyThread_acquire_lock|PyMutex_Lock|swait_|wait_for_completion)"
)
_KERNEL = "_[k]"


def tells(frame: str) -> bool:
    """Return whether a frame says more than that a thread waits."""
    return not _DULL.match(frame) and not frame.startswith("[")


def telling(stack: Sequence[str]) -> str:
    """Return the frame that tells most of what a stack does, without the mark of the kernel."""
    for frame in reversed(stack):
        if tells(frame):
            return frame.removesuffix(_KERNEL)
    return stack[-1].removesuffix(_KERNEL) if stack else ""
