"""Features of the running kernel: asked of the kernel itself, never of its version."""

import ctypes
import functools
import os
import re
import shutil
from pathlib import Path

from kscope.errors import KscopeError, UsageError

TRACEFS = Path("/sys/kernel/tracing")
BTF = Path("/sys/kernel/btf/vmlinux")
CGROUP_ROOTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# Path.exists raises without the right to look, as tracefs is root's.
is_there = os.path.exists
# Suffixes of functions that the compiler clones or splits; `.cold` is never entered.
_CLONE = r"(?:\.isra\.\d+|\.constprop\.\d+|\.part\.\d+)*"


def mount_tracefs() -> None:
    """Mount tracefs, which contains the formats of tracepoints, if the system did not."""
    try:
        (TRACEFS / "events").stat()
    except PermissionError:
        raise KscopeError(
            f"{TRACEFS} cannot be read: run as root, or with the capabilities that "
            "`kscope doctor` names"
        ) from None
    except OSError:
        pass  # not there
    else:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tracefs", bytes(TRACEFS), b"tracefs", 0, None) == 0:
        return
    reason = os.strerror(ctypes.get_errno())
    raise KscopeError(
        f"tracefs is not mounted at {TRACEFS}, and mounting it failed ({reason}): "
        f"as root, mount -t tracefs tracefs {TRACEFS}"
    )


def program(name: str) -> str | None:
    """Return the path of an installed program, even of one that only root has in its PATH."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def offers(place: str) -> bool:
    """Whether the kernel has `tracepoint:sched:sched_switch[:field]`, `kprobe:name` or `btf`.

    `perf:cpu-clock@99` asks for perf events, `cgroup2` for a mounted cgroup v2 hierarchy.
    """
    kind, _, name = place.partition(":")
    if kind == "tracepoint":
        return _has_tracepoint(*name.split(":"))
    if kind == "kprobe":
        return kprobe_symbol(name) is not None
    if kind == "perf":
        return Path("/proc/sys/kernel/perf_event_paranoid").exists()
    if kind == "btf":
        return BTF.exists()
    return cgroup_root() is not None


def tracepoint_format(group: str, name: str) -> str:
    """Return the fields of a tracepoint, as tracefs declares them; '' if there is none."""
    try:
        return (TRACEFS / "events" / group / name / "format").read_text(encoding="ascii")
    except OSError:
        return ""


def _has_tracepoint(group: str, name: str, field: str = "") -> bool:
    text = tracepoint_format(group, name)
    return bool(text) and (
        not field or re.search(rf"\bfield:[^;]*\b{re.escape(field)}(\[\d*\])?;", text) is not None
    )


def why_not(missing: list[str]) -> str:
    """Return a hint for the user, to append to the list of missing features."""
    if any(place.startswith("kprobe:") for place in missing) and not has_kprobes():
        return " (it was built without kprobes)"
    if any(place.startswith("tracepoint:syscalls:") for place in missing):
        return " (it was built without CONFIG_FTRACE_SYSCALLS)"
    return ""


def deepest_stack() -> int:
    """Return the largest number of frames in an entry of a stack map."""
    try:
        return int(Path("/proc/sys/kernel/perf_event_max_stack").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 127


@functools.cache
def has_kprobes() -> bool:
    places = (Path("/sys/bus/event_source/devices/kprobe"), TRACEFS / "kprobe_events")
    return any(map(is_there, places))


@functools.cache
def kprobe_symbol(name: str) -> str | None:
    """Return the symbol to probe for function `name`, which the compiler may have renamed."""
    if not has_kprobes():
        return None
    wanted = re.compile(re.escape(name) + _CLONE)
    with Path("/proc/kallsyms").open(encoding="ascii", errors="replace") as symbols:
        names = (line.split()[2] for line in symbols if name in line)
        found = sorted({symbol for symbol in names if wanted.fullmatch(symbol)}, key=len)
    allowed = [symbol for symbol in found if symbol not in _blacklist()]
    return allowed[0] if allowed else None


@functools.cache
def _blacklist() -> frozenset[str]:
    try:
        text = Path("/sys/kernel/debug/kprobes/blacklist").read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(line.split()[1] for line in text.splitlines() if len(line.split()) > 1)


def cgroup_root() -> Path | None:
    return next((root for root in CGROUP_ROOTS if (root / "cgroup.controllers").exists()), None)


def cgroup_id(folder: str) -> int:
    """Return the id of a cgroup v2 folder, named in full or from the root; 0 for an empty name."""
    if not folder:
        return 0
    root = cgroup_root()
    if root is None:
        raise KscopeError("--cgroup needs cgroup v2: mount -t cgroup2 none /sys/fs/cgroup")
    path = Path(folder) if folder.startswith(str(root)) else root / folder.lstrip("/")
    try:
        return path.stat().st_ino
    except OSError as error:
        raise UsageError(f"--cgroup: {path}: {error.strerror}") from None
