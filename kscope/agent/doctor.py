"""Checks of this host for the agent, each with a fix."""

import errno
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from kscope.agent.host import kernel
from kscope.agent.host.bpfstats import BpfStatistics, load_trivial_program
from kscope.agent.host.libbcc import load_bcc
from kscope.agent.stacks import unwinder
from kscope.client.answers import Answer, Outcome
from kscope.client.endpoint import DEFAULT_PORT, Endpoint
from kscope.client.payload import Payload
from kscope.client.trust import Trust
from kscope.errors import KscopeError

_TOKEN_ASKED = (401, 403)
# Bit numbers of linux/capability.h.
_CAPABILITIES = {
    "CAP_BPF": (39, "load programs and maps"),
    "CAP_PERFMON": (38, "attach to tracepoints and perf events, read kernel stacks"),
    "CAP_SYS_ADMIN": (21, "read BPF statistics; replaces all others on kernels before 5.8"),
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
    """The result of one check. `fix` is a command or a sentence; empty if there is no problem."""

    verdict: Verdict
    subject: str
    detail: str
    fix: str = ""


_ok = partial(Finding, Verdict.OK)
_warning = partial(Finding, Verdict.WARNING)
_failed = partial(Finding, Verdict.FAILED)


def examine(server: str, token: str = "", trust: Trust | None = None) -> Iterator[Finding]:
    """Yield all findings about this host; `server` is the address of the ingest listener."""
    yield _ok("kernel", f"{platform.release()} {platform.machine()}")
    yield _bcc()
    yield _bpf_syscall()
    yield _tracefs()
    yield _syscall_tracepoints()
    yield _kprobes()
    yield _kernel_symbols()
    for subject, found, missing, fix in _FEATURES:
        detail = found()
        yield _ok(subject, detail) if detail else _warning(subject, missing, fix)
    yield from _capabilities()
    yield from _server(server, token, trust or Trust())


def _bcc() -> Finding:
    try:
        bcc = load_bcc()
    except KscopeError as error:
        return _failed("bcc", str(error), "apt install python3-bpfcc")
    except Exception as error:  # noqa: BLE001 - a broken package must not end the report
        return _failed("bcc", repr(error), "apt install --reinstall python3-bpfcc")
    version = getattr(bcc, "__version__", "of unknown version")
    return _ok("bcc", f"{version} in {Path(bcc.__file__ or '').parent}")


def _bpf_syscall() -> Finding:
    """Load the smallest program, which shows more than a configuration option of the kernel."""
    try:
        load_trivial_program()
    except OSError as error:
        fix = "run as root, or see the capabilities below"
        if error.errno == errno.ENOSYS:
            fix = "needs a kernel built with CONFIG_BPF_SYSCALL"
        return _failed("bpf", f"the kernel refuses programs: {error.strerror}", fix)
    return _ok("bpf", "the kernel loads programs")


def _tracefs() -> Finding:
    if kernel.is_there(kernel.TRACEFS / "events" / "sched" / "sched_switch" / "format"):
        return _ok("tracefs", f"{kernel.TRACEFS}, with sched_switch")
    try:
        (kernel.TRACEFS / "events").stat()
    except PermissionError:
        return _failed("tracefs", f"{kernel.TRACEFS} cannot be read",
                       "run as root, or with CAP_DAC_READ_SEARCH")  # fmt: skip
    except OSError:
        verdict = Verdict.WARNING if os.geteuid() == 0 else Verdict.FAILED
        return Finding(verdict, "tracefs", "not mounted; the agent mounts it when root",
                       f"mount -t tracefs tracefs {kernel.TRACEFS}")  # fmt: skip
    return _failed("tracefs", f"{kernel.TRACEFS} without sched_switch",
                   "needs a kernel built with CONFIG_EVENT_TRACING")  # fmt: skip


def _syscall_tracepoints() -> Finding:
    subject = "syscall tracepoints"
    if not kernel.is_there(kernel.TRACEFS / "events"):
        return _warning(subject, "not known without tracefs", "see the fix for tracefs")
    if kernel.offers("tracepoint:raw_syscalls:sys_enter"):
        return _ok(subject, "supported")
    fix = "needs a kernel built with CONFIG_FTRACE_SYSCALLS"
    return _warning(subject, "not supported: some probes cannot run", fix)


def _kprobes() -> Finding:
    symbol = kernel.kprobe_symbol("finish_task_switch")
    if symbol:
        return _ok("kprobes", f"supported; off-CPU time is measured in {symbol}")
    why = "finish_task_switch cannot be probed" if kernel.has_kprobes() else "not supported"
    fix = "optional: a kernel built with CONFIG_KPROBES costs less"
    return _warning("kprobes", f"{why}: off-CPU time costs more", fix)


def _kernel_symbols() -> Finding:
    subject = "kernel symbols"
    try:
        with Path("/proc/kallsyms").open(encoding="ascii", errors="replace") as file:
            address = file.readline().split()[0]
    except (OSError, IndexError):
        fix = "needs a kernel built with CONFIG_KALLSYMS"
        return _failed(subject, "/proc/kallsyms cannot be read", fix)
    if int(address, 16):
        return _ok(subject, "readable")
    fix = "run as root or with CAP_SYSLOG, or sysctl kernel.kptr_restrict=0"
    return _failed(subject, "hidden: kernel frames would not have names", fix)


def _statistics() -> str:
    statistics = BpfStatistics()
    detail = "the probes' own cost can be measured" if statistics.on else ""
    statistics.close()
    return detail


def _btf() -> str:
    return f"{kernel.BTF}; kernel headers are not needed" if kernel.BTF.exists() else ""


def _unwinding() -> str:
    walks = unwinder.constants()["KS_UNWIND"]
    return "user stacks are walked by .eh_frame" if walks else ""


# Subject, a function that returns a detail if the host has it, and else the detail and the fix.
_FEATURES = (
    ("btf", _btf, "not supported: probes that read kernel structs cannot run",
     "needs a kernel built with CONFIG_DEBUG_INFO_BTF"),
    ("unwinding", _unwinding,
     "this kernel cannot read user registers: user stacks are walked by frame pointers",
     "needs Linux 5.15 with BTF"),
    ("perf events", lambda: "supported" if kernel.offers("perf:cpu-clock") else "",
     "not supported: the profile probe cannot run", "needs a kernel built with CONFIG_PERF_EVENTS"),
    ("bpf statistics", _statistics, "off: the cost of a probe in the kernel is not known",
     "run as root, or sysctl kernel.bpf_stats_enabled=1"),
    ("cgroup v2", lambda: str(kernel.cgroup_root() or ""),
     "not mounted: --cgroup and the names of containers do not work",
     "mount -t cgroup2 none /sys/fs/cgroup"),
    ("bpftool", lambda: "installed" if kernel.program("bpftool") else "",
     "missing: probes that read kernel structs cannot run", "apt install bpftool"),
    ("bpftrace", lambda: "installed" if kernel.program("bpftrace") else "",
     "missing: bpftrace probes cannot run", "apt install bpftrace"),
)  # fmt: skip


def _capabilities() -> Iterator[Finding]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^CapEff:\s+([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(found[1], 16) if found else 0
    missing = {name: use for name, (bit, use) in _CAPABILITIES.items() if not effective >> bit & 1}
    for name, (_, use) in _CAPABILITIES.items():
        if name not in missing:
            yield _ok(name, use)
    if missing:
        listed = "; ".join(f"{name} ({use})" for name, use in missing.items())
        yield _warning("capabilities", f"missing: {listed}", _grant())


def _grant() -> str:
    if os.geteuid() == 0:
        return "grant them to root in the declaration of the container or of the systemd unit"
    wanted = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in _CAPABILITIES)
    return (
        "run as root, or with these alone: sudo setpriv --reuid=$(id -u) --regid=$(id -g) "
        f"--init-groups --inh-caps={wanted} --ambient-caps={wanted} kscope agent"
    )


def _server(url: str, token: str, trust: Trust) -> Iterator[Finding]:
    try:
        endpoint = Endpoint(url, token, timeout=5, trust=trust)
    except KscopeError as error:
        yield _failed("server", str(error),
                      "name one with --server, or under agent: in kernelscope.yaml")  # fmt: skip
        return
    answer = endpoint.health()
    # By a request that holds no rows: the token is checked before the body.
    posted = endpoint.post(Payload("", "", 0, b"{}", "")) if answer.stored else answer
    if not answer.status:
        yield _failed("server", answer.text,
                      "start one (kscope serve), or name another with --server")  # fmt: skip
    elif not answer.stored:
        yield _failed("server", f"{url}: HTTP {answer.status} from /healthz",
                      "is this the ingest listener of a Kernelscope server?")  # fmt: skip
    elif posted.outcome is Outcome.LATER and posted.status not in _TOKEN_ASKED:
        yield _failed("server", f"takes no rows: {posted.text}",
                      "name the ingest listener, which has another port than the page: "
                      f"{DEFAULT_PORT} by default; else see the server's log")  # fmt: skip
    else:
        yield _ok("server", f"{url} answers")
        yield _clock(answer.clock_ahead)
        yield _token(posted, given=bool(token))
        if posted.outcome is not Outcome.LATER:
            yield from _connections(endpoint.metrics())
    endpoint.close()


def _connections(metrics: str) -> Iterator[Finding]:
    """Yield a finding about the connections of the server's ingest listener, if it counts them."""
    found = {
        name: int(count)
        for name, count in re.findall(
            r'^kscope_(\w+){listener="ingest"} (\d{1,15})$', metrics, re.MULTILINE | re.ASCII
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
    fix = (
        "raise max_connections or max_connections_per_address in the server's kernelscope.yaml,"
        " and its limit of open files"
    )
    yield _warning("connections", detail, fix) if refused else _ok("connections", detail)


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        fix = "compare `date --utc` on both hosts"
        return _warning("clock", "the server did not send its time", fix)
    if abs(ahead) < 5:
        return _ok("clock", "is the same as the server's")
    detail = f"the server's clock differs by {ahead:+.0f} s: rows would have the wrong time"
    return _warning("clock", detail, "timedatectl set-ntp true, on both hosts")


def _token(answer: Answer, *, given: bool) -> Finding:
    if answer.status in _TOKEN_ASKED:
        fix = (
            "kscope token creates one: its file is for --token-file, the lines that it prints are "
            "for the server's kernelscope.yaml"
        )
        return _failed("token", answer.text, fix)
    return _ok("token", "accepted by the server" if given else "none is needed")
