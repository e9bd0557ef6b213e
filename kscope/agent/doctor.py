"""What this host can and cannot do for the agent, and the command that mends each lack."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.agent.host import kernel
from kscope.agent.host.bpfstats import BpfStatistics, load_trivial_program
from kscope.client.answers import Outcome
from kscope.client.endpoint import DEFAULT_PORT, Endpoint
from kscope.client.payload import Payload
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kscope.client.answers import Answer

_TOKEN_ASKED = (401, 403)
# Bit numbers of linux/capability.h.
_CAPABILITIES = {
    "CAP_BPF": (39, "load programs and maps"),
    "CAP_PERFMON": (38, "attach to tracepoints and perf events, read kernel stacks"),
    "CAP_SYS_ADMIN": (21, "read BPF statistics; stands in for all others on kernels before 5.8"),
    "CAP_SYS_PTRACE": (19, "name the frames of other users' processes"),
    "CAP_DAC_READ_SEARCH": (2, "read tracefs, and binaries for their symbols"),
    "CAP_SYSLOG": (34, "read kernel addresses, for the names of kernel frames"),
}


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warn"
    FAILED = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is a command or a sentence; empty where nothing is to be done."""

    verdict: Verdict
    what: str
    detail: str
    mend: str = ""


def examine(server: str, token: str = "") -> Iterator[Finding]:
    """Everything there is to say about this host; `server` is the ingest listener's address."""
    yield Finding(Verdict.OK, "kernel", f"{platform.release()} {platform.machine()}")
    checks: tuple[Callable[[], Finding], ...] = (
        _bcc,
        _bpf_syscall,
        _tracefs,
        _syscall_tracepoints,
        _kprobes,
        _btf,
        _kernel_symbols,
        _perf_events,
        _statistics,
        _cgroups,
        _bpftool,
        _bpftrace,
    )
    for check in checks:
        yield check()
    yield from _capabilities()
    yield from _server(server, token)


def _bcc() -> Finding:
    from kscope.agent.host.libbcc import load_bcc  # noqa: PLC0415 - what is being tried

    try:
        bcc = load_bcc()
    except KscopeError as error:
        return Finding(Verdict.FAILED, "bcc", str(error), "apt install python3-bpfcc")
    except Exception as error:  # noqa: BLE001 - a broken package must not end the report
        return Finding(Verdict.FAILED, "bcc", repr(error), "apt install --reinstall python3-bpfcc")
    version = getattr(bcc, "__version__", "of unknown version")
    return Finding(Verdict.OK, "bcc", f"{version} in {Path(bcc.__file__ or '').parent}")


def _bpf_syscall() -> Finding:
    """Load the smallest program, which shows more than a configuration option of the kernel."""
    try:
        load_trivial_program()
    except OSError as error:
        fix = "run as root, or see the capabilities below"
        if error.errno == errno.ENOSYS:
            fix = "needs a kernel built with CONFIG_BPF_SYSCALL"
        return Finding(Verdict.FAILED, "bpf", f"the kernel refuses programs: {error.strerror}", fix)
    return Finding(Verdict.OK, "bpf", "the kernel loads programs")


def _tracefs() -> Finding:
    if kernel.is_there(kernel.TRACEFS / "events" / "sched" / "sched_switch" / "format"):
        return Finding(Verdict.OK, "tracefs", f"{kernel.TRACEFS}, with sched_switch")
    try:
        (kernel.TRACEFS / "events").stat()
    except PermissionError:
        return Finding(Verdict.FAILED, "tracefs", f"{kernel.TRACEFS} cannot be read",
                       "run as root, or with CAP_DAC_READ_SEARCH")  # fmt: skip
    except OSError:
        verdict = Verdict.WARNING if os.geteuid() == 0 else Verdict.FAILED
        return Finding(verdict, "tracefs", "not mounted; the agent mounts it when root",
                       f"mount -t tracefs tracefs {kernel.TRACEFS}")  # fmt: skip
    return Finding(Verdict.FAILED, "tracefs", f"{kernel.TRACEFS} without sched_switch",
                   "needs a kernel built with CONFIG_EVENT_TRACING")  # fmt: skip


def _syscall_tracepoints() -> Finding:
    if not kernel.is_there(kernel.TRACEFS / "events"):
        return Finding(Verdict.WARNING, "syscall tracepoints", "cannot be told without tracefs",
                       "as for tracefs")  # fmt: skip
    if kernel.offers("tracepoint:raw_syscalls:sys_enter"):
        return Finding(Verdict.OK, "syscall tracepoints", "there")
    return Finding(Verdict.WARNING, "syscall tracepoints", "none: some probes cannot run",
                   "needs a kernel built with CONFIG_FTRACE_SYSCALLS")  # fmt: skip


def _kprobes() -> Finding:
    symbol = kernel.kprobe_symbol("finish_task_switch")
    if symbol:
        return Finding(Verdict.OK, "kprobes", f"there; off-CPU time is measured in {symbol}")
    why = "finish_task_switch cannot be probed" if kernel.has_kprobes() else "none in this kernel"
    return Finding(Verdict.WARNING, "kprobes", f"{why}: off-CPU time costs more",
                   "nothing need be done; a kernel with CONFIG_KPROBES costs less")  # fmt: skip


def _btf() -> Finding:
    if kernel.BTF.exists():
        return Finding(Verdict.OK, "btf", f"{kernel.BTF}; kernel headers are not needed")
    return Finding(Verdict.WARNING, "btf", "none: probes of kernel structs cannot run",
                   "needs a kernel built with CONFIG_DEBUG_INFO_BTF")  # fmt: skip


def _kernel_symbols() -> Finding:
    try:
        with Path("/proc/kallsyms").open(encoding="ascii", errors="replace") as file:
            address = file.readline().split()[0]
    except (OSError, IndexError):
        return Finding(Verdict.FAILED, "kernel symbols", "/proc/kallsyms cannot be read",
                       "needs a kernel built with CONFIG_KALLSYMS")  # fmt: skip
    if int(address, 16):
        return Finding(Verdict.OK, "kernel symbols", "readable")
    return Finding(Verdict.FAILED, "kernel symbols", "hidden: kernel frames would have no names",
                   "run as root or with CAP_SYSLOG, or sysctl kernel.kptr_restrict=0")  # fmt: skip


def _perf_events() -> Finding:
    if kernel.offers("perf:cpu-clock"):
        return Finding(Verdict.OK, "perf events", "there")
    return Finding(Verdict.WARNING, "perf events", "none: the profile probe cannot run",
                   "needs a kernel built with CONFIG_PERF_EVENTS")  # fmt: skip


def _statistics() -> Finding:
    statistics = BpfStatistics()
    if statistics.on:
        statistics.close()
        return Finding(Verdict.OK, "bpf statistics", "the probes' own cost can be measured")
    return Finding(Verdict.WARNING, "bpf statistics", "off: the kernel side of a probe has no cost",
                   "run as root, or sysctl kernel.bpf_stats_enabled=1")  # fmt: skip


def _cgroups() -> Finding:
    root = kernel.cgroup_root()
    if root:
        return Finding(Verdict.OK, "cgroup v2", str(root))
    return Finding(Verdict.WARNING, "cgroup v2", "not mounted: --cgroup and container names lack",
                   "mount -t cgroup2 none /sys/fs/cgroup")  # fmt: skip


def _bpftool() -> Finding:
    if shutil.which("bpftool", path=_path()):
        return Finding(Verdict.OK, "bpftool", "there")
    return Finding(Verdict.WARNING, "bpftool", "missing: probes of kernel structs cannot run",
                   "apt install bpftool")  # fmt: skip


def _bpftrace() -> Finding:
    if shutil.which("bpftrace", path=_path()):
        return Finding(Verdict.OK, "bpftrace", "there")
    return Finding(Verdict.WARNING, "bpftrace", "missing: bpftrace probes cannot run",
                   "apt install bpftrace")  # fmt: skip


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"])


def _capabilities() -> Iterator[Finding]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^CapEff:\s+([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(found[1], 16) if found else 0
    lacking = {name: use for name, (bit, use) in _CAPABILITIES.items() if not effective >> bit & 1}
    for name, (_, use) in _CAPABILITIES.items():
        if name not in lacking:
            yield Finding(Verdict.OK, name, use)
    if lacking:
        listed = "; ".join(f"{name} ({use})" for name, use in lacking.items())
        yield Finding(Verdict.WARNING, "capabilities", f"lacking: {listed}", _grant())


def _grant() -> str:
    if os.geteuid() == 0:
        return "root is without them: grant them where the container or the unit is declared"
    wanted = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in _CAPABILITIES)
    return (
        "run as root, or with these alone: sudo setpriv --reuid=$(id -u) --regid=$(id -g) "
        f"--init-groups --inh-caps={wanted} --ambient-caps={wanted} kscope agent"
    )


def _server(url: str, token: str) -> Iterator[Finding]:
    try:
        endpoint = Endpoint(url, token, timeout=5)
    except KscopeError as error:
        yield Finding(Verdict.FAILED, "server", str(error),
                      "name one with --server, or under agent: in kernelscope.yaml")  # fmt: skip
        return
    answer = endpoint.health()
    # By a request that holds no rows: the token is checked before the body.
    posted = endpoint.post(Payload("", "", 0, b"{}", "")) if answer.stored else answer
    endpoint.close()
    if not answer.status:
        yield Finding(Verdict.FAILED, "server", answer.text,
                      "start one (kscope serve), or name another with --server")  # fmt: skip
    elif not answer.stored:
        yield Finding(Verdict.FAILED, "server", f"{url}: HTTP {answer.status} from /healthz",
                      "is this the ingest listener of a Kernelscope server?")  # fmt: skip
    elif posted.outcome is Outcome.LATER and posted.status not in _TOKEN_ASKED:
        yield Finding(Verdict.FAILED, "server", f"takes no rows: {posted.text}",
                      "name the ingest listener, which has another port than the page: "
                      f"{DEFAULT_PORT} by default; else see the server's log")  # fmt: skip
    else:
        yield Finding(Verdict.OK, "server", f"{url} answers")
        yield _clock(answer.clock_ahead)
        yield _token(posted, given=bool(token))
        if posted.outcome is not Outcome.LATER:
            yield from _connections(url, token)


def _connections(url: str, token: str) -> Iterator[Finding]:
    """Yield a finding about the connections of the server's ingest listener, if it counts them."""
    endpoint = Endpoint(url, token, timeout=5)
    text = endpoint.metrics()
    endpoint.close()
    found = {
        name: int(count)
        for name, count in re.findall(
            r'^kscope_(\w+){listener="ingest"} (\d{1,15})$', text, re.MULTILINE | re.ASCII
        )
    }
    if "connections_open" not in found:
        return
    refused, wrong = found.get("connections_refused_total", 0), found.get("tokens_wrong_total", 0)
    detail = (
        f"{found['connections_open']} of {found.get('connections_limit', 0)} open,"
        f" {refused} refused; {wrong} wrong tokens,"
        f" {found.get('tokens_throttled_total', 0)} of them throttled"
    )
    if refused:
        yield Finding(Verdict.WARNING, "connections", detail,
                      "raise max_connections or max_connections_per_address in the server's"
                      " kernelscope.yaml, and its limit of open files")  # fmt: skip
    else:
        yield Finding(Verdict.OK, "connections", detail)


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        return Finding(Verdict.WARNING, "clock", "the server did not say its time",
                       "compare by hand: date --utc, on both")  # fmt: skip
    if abs(ahead) < 5:
        return Finding(Verdict.OK, "clock", "agrees with the server's")
    return Finding(Verdict.WARNING, "clock", f"the server's is {ahead:+.0f} s off ours: rows would "
                   "stand at the wrong time", "timedatectl set-ntp true, on both")  # fmt: skip


def _token(answer: Answer, *, given: bool) -> Finding:
    if answer.status in _TOKEN_ASKED:
        return Finding(Verdict.FAILED, "token", answer.text,
                       "kscope token makes one: its file is for --token-file, the lines that it "
                       "prints are for the server's kernelscope.yaml")  # fmt: skip
    detail = "taken by the server" if given else "none is needed"
    return Finding(Verdict.OK, "token", detail)
