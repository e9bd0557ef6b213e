"""A fleet of roles: what its processes do in each of 24 windows and in the window in question."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import exp
from operator import add, mul
from typing import TYPE_CHECKING, Literal, NamedTuple

from benchmarks.incidents.noise import KINDS, SLICES, WINDOWS, Noise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Path = tuple[str, ...]


class Key(NamedTuple):
    host: str
    process: str
    path: Path


class Source(NamedTuple):
    """A table, seen along one of its columns."""

    table: str
    column: str
    kind: Literal["stack", "lengths", "label", "total"]
    by: str = "process"
    event: float = 1.0


@dataclass(frozen=True)
class Setting:
    seed: int
    hosts: int = 6
    minutes: float = 6.0
    noise: str = "mixed"
    busy: float = 1.0  # how many events of everything

    def __str__(self) -> str:
        return (
            f"{self.seed}: {self.hosts} hosts, {self.minutes:g} min, {self.noise}, x{self.busy:g}"
        )


OFF_CPU = Source("offcputime", "stack", "stack", event=0.01)
ON_CPU = Source("profile", "stack", "stack", event=1 / 49)
WAITS = Source("offcputime", "lengths", "lengths", event=0.005)
RUN_QUEUE = Source("runqlat", "latency", "lengths", event=0.0005)
SOFT_IRQS = Source("softirqs", "duration", "lengths", by="softirq", event=0.0003)
DISKS = Source("biolatency", "latency", "lengths", by="device", event=0.001)
OPENS = Source("opensnoop", "error", "label")
CALLS = Source("syscalls", "syscall", "label", event=20)
CALL_LENGTHS = Source("syscalls", "latency", "lengths", by="syscall", event=0.00002)
FAULTS = Source("pagefaults", "", "total", event=5)
RETRANSMITS = Source("tcpretrans", "remote_address", "label")

ROLES = {
    "web": ("nginx", "app", "redis"),
    "db": ("mysqld", "backupd", "proxysql"),
    "batch": ("worker", "etl", "spool"),
}
COMMON = ("sshd", "systemd", "node_exp", "kworker", "agent")
REMOTES = tuple(f"10.0.0.{number}" for number in range(1, 9))
SYSCALLS = ("read", "write", "futex", "epoll_wait", "openat", "close", "fsync", "sendto")
_ENTRY = ("entry_SYSCALL_64", "do_syscall_64")
_END = ("schedule", "__schedule")
KERNEL = {
    "futex": (*_ENTRY, "__x64_sys_futex", "futex_wait", "futex_wait_queue", *_END),
    "epoll": (*_ENTRY, "__x64_sys_epoll_wait", "ep_poll", "schedule_hrtimeout", *_END),
    "read": (*_ENTRY, "ksys_read", "vfs_read", "ext4_file_read_iter", "filemap_read",
             "folio_wait_bit", "io_schedule", *_END),
    "fsync": (*_ENTRY, "__x64_sys_fsync", "do_fsync", "ext4_sync_file",
              "jbd2_complete_transaction", "jbd2_log_wait_commit", *_END),
    "write": (*_ENTRY, "ksys_write", "vfs_write", "ext4_buffered_write_iter",
              "generic_perform_write", "folio_wait_bit", "io_schedule", *_END),
    "dirty": (*_ENTRY, "ksys_write", "vfs_write", "ext4_buffered_write_iter",
              "generic_perform_write", "balance_dirty_pages", "io_schedule_timeout", *_END),
    "recv": (*_ENTRY, "__x64_sys_recvfrom", "tcp_recvmsg", "sk_wait_data",
             "schedule_timeout", *_END),
    "reclaim": ("asm_exc_page_fault", "handle_mm_fault", "__alloc_pages_slowpath",
                "try_to_free_pages", "shrink_node", "schedule_timeout", *_END),
    "preempt": ("asm_sysvec_apic_timer", "irqentry_exit", *_END),
}  # fmt: skip
_WAITS = ("futex", "read", "write", "recv", "recv", "preempt", "read", "futex")
_SLOTS = 22


def above(slot: int) -> Path:
    """Return the thresholds that a slot of 2**slot microseconds lies above."""
    return tuple(f">= {1 << power} us" for power in range(slot + 1))


def bell(events: float, middle: float, width: float) -> list[float]:
    weights = [exp(-0.5 * ((slot - middle) / width) ** 2) for slot in range(_SLOTS)]
    return [events * weight / sum(weights) for weight in weights]


@dataclass
class Shape:
    """The stacks of one program, the same on each host that runs it."""

    waits: list[Path]
    runs: list[Path]
    sigmas: list[float] = field(default_factory=list)


class World:
    """Each source's keys, and for each its 24 windows and six slices."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.chance = random.Random(f"world {setting.seed}")
        self.noise = Noise(self.chance, KINDS[setting.noise], setting.minutes)
        self.rows: dict[Source, dict[Key, list[float]]] = {}
        self.hosts = self._hosts()
        self.away: str | None = None
        self.lost_after: dict[str, float] = {}
        programs = [*dict.fromkeys(p for names in ROLES.values() for p in (*names, *COMMON))]
        self.shapes = {program: self._shape(program) for program in programs}
        self.load: dict[tuple[str, str], list[float]] = {}
        for host in self.hosts:
            self._host(host)
        if len(self.hosts) > 2 and self.chance.random() < 0.5:
            self.away = self.chance.choice(self.hosts[2:])
            self.cut(self.away, self.chance.randint(3, 12) * -1 - SLICES)

    def _hosts(self) -> list[str]:
        roles = ["web", "db", "web", "db", "web", "batch"]
        names: list[str] = []
        for at in range(self.setting.hosts):
            role = roles[at % len(roles)]
            names.append(f"{role}-{1 + sum(name.startswith(role) for name in names)}")
        return names

    def programs(self, host: str) -> tuple[str, ...]:
        return ROLES[host.split("-", maxsplit=1)[0]] + COMMON

    def main_programs(self, host: str) -> tuple[str, ...]:
        return ROLES[host.split("-", maxsplit=1)[0]]

    def present(self) -> list[str]:
        """Return the hosts that are there."""
        return [host for host in self.hosts if host != self.away]

    def add(self, source: Source, key: Key, values: Sequence[float]) -> None:
        rows = self.rows.setdefault(source, {})
        rows[key] = [*map(add, rows[key], values)] if key in rows else [*values]

    def cut(self, host: str, last: int) -> None:
        """Take away the last values of a host: slices, and the windows before them."""
        for rows in self.rows.values():
            for key in rows:
                if key.host == host:
                    rows[key][last:] = [0.0] * -last

    def scale(self, source: Source, test: Callable[[Key], bool], factor: float) -> None:
        for key, row in self.rows[source].items():
            if test(key):
                row[WINDOWS:] = [value * factor for value in row[WINDOWS:]]

    def _shape(self, program: str) -> Shape:
        chance = self.chance
        waits = [
            (*user, *KERNEL[_WAITS[at % len(_WAITS)]])
            for at, user in enumerate(self._tree(program, "f"))
        ]
        waits.append(("main", f"{program}_loop", f"{program}::commit", *KERNEL["fsync"]))
        chance.shuffle(waits)
        runs = [
            (*user, *(("do_syscall_64", "copy_user") if at % 5 == 0 else ()))
            for at, user in enumerate(self._tree(program, "g"))
        ]
        return Shape(waits, runs, [chance.uniform(0.1, 0.5) for _ in range(60)])

    def _tree(self, program: str, tag: str, size: int = 22) -> list[Path]:
        found = []
        for at in range(size):
            chain = [
                f"{program}::{tag}{(at * 7 + depth * 3) % (size // 2)}"
                for depth in range(self.chance.randint(1, 4))
            ]
            found.append(("main", f"{program}_loop", *dict.fromkeys(chain)))
        return found

    def _host(self, host: str) -> None:
        of_host = self.noise.wander(0.08)
        slow = self.chance.choice((1.0, 1.0, 1.6))
        for program in self.programs(host):
            self.load[host, program] = self.noise.load(0.12, of_host)
            self._waits(host, program, slow)
            self._runs(host, program)
            self._counts(host, program)
        self._disks(host, slow)
        self._jobs(host)

    def big(self, program: str) -> float:
        return (0.08 if program in COMMON else 1.0) * self.setting.busy

    def _waits(self, host: str, program: str, slow: float) -> None:
        chance, noise, load = self.chance, self.noise, self.load[host, program]
        shape, big = self.shapes[program], self.big(program)
        threads = 3 if program in COMMON else 40
        for name, share, wait in (("pool_wait", 0.7, "futex"), ("event_loop", 0.3, "epoll")):
            path = ("main", f"{program}_loop", f"{program}::{name}", *KERNEL[wait])
            still = [60 * threads * share * n * chance.gauss(1, 0.01) for n in noise.lengths]
            self.add(OFF_CPU, Key(host, program, path), still)
        for rank, path in enumerate(shape.waits, 1):
            event = 10 ** chance.uniform(-3.3, -1.5)
            base = 60 * slow * big * 0.6 / rank**1.1
            series = noise.series(base, load, shape.sigmas[rank], event)
            self.add(OFF_CPU, Key(host, program, path), series)
        self.lengths(WAITS, (host, program), bell(4000 * big, 9, 2.0), load)
        self.lengths(RUN_QUEUE, (host, program), bell(6000 * big, 4, 1.6), load)

    def _runs(self, host: str, program: str) -> None:
        shape, load = self.shapes[program], self.load[host, program]
        for rank, path in enumerate(shape.runs, 1):
            base = 60 * self.big(program) * 0.35 / rank**1.1
            series = self.noise.series(base, load, shape.sigmas[rank] * 0.6, ON_CPU.event)
            self.add(ON_CPU, Key(host, program, path), series)

    def _counts(self, host: str, program: str) -> None:
        load, big = self.load[host, program], self.big(program)
        for error, share in (("", 0.96), ("ENOENT", 0.035), ("EACCES", 0.005)):
            series = self.noise.series(20 * big * share, load, 0.3, 1)
            self.add(OPENS, Key(host, program, (error,)), series)
        for rank, call in enumerate(SYSCALLS, 1):
            series = self.noise.series(40000 * big / rank, load, 0.15, CALLS.event)
            self.add(CALLS, Key(host, program, (call,)), series)
        series = self.noise.series(3000 * big, load, 0.3, FAULTS.event)
        self.add(FAULTS, Key(host, program, ()), series)

    def lengths(
        self, source: Source, group: tuple[str, str], shape: Sequence[float], load: Sequence[float]
    ) -> None:
        """Add a histogram of a host's group: `shape` has the events of each slot in a minute.

        Each slot has the time that its events stand for, in seconds.
        """
        wander = map(exp, self.noise.wander(0.15))
        factors = [*map(mul, map(mul, self.noise.lengths, load), wander)]
        for slot, events in enumerate(shape):
            counts = [self.noise.poisson(events * factor) for factor in factors]
            if any(counts):
                values = [count * 1.5 * 2**slot / 1e6 for count in counts]
                self.add(source, Key(*group, above(slot)), values)

    def _disks(self, host: str, slow: float) -> None:
        season, busy = self.noise.season, self.setting.busy
        for device in ("vda", "vdb"):
            self.lengths(DISKS, (host, device), bell(1500 * slow * busy, 9, 1.5), season)
        for name, total in (("net_rx", 5000), ("timer", 3000), ("rcu", 1500)):
            self.lengths(SOFT_IRQS, (host, name), bell(total * busy, 3, 1.2), season)
        program = self.main_programs(host)[0]
        for remote in REMOTES:
            series = self.noise.series(0.4 * busy, season, 0.5, 1)
            self.add(RETRANSMITS, Key(host, program, (remote,)), series)

    def _jobs(self, host: str) -> None:
        """Add short jobs of changing names, and odd long waits, anywhere in time."""
        chance, noise = self.chance, self.noise
        hours = noise.minutes * (WINDOWS + 1) / 150
        for _ in range(noise.poisson(5 * hours)):
            name, on = f"job-{chance.randrange(9)}", self._moment(chance.randint(1, 2))
            opens = [each * chance.randint(1, 6) for each in on]
            self.add(OPENS, Key(host, name, ("",)), [float(round(each)) for each in opens])
            cpu, off = 60 * chance.uniform(0.005, 0.08), 60 * chance.uniform(0.005, 0.1)
            path = ("main", f"{name}::run")
            self.add(ON_CPU, Key(host, name, path), [cpu * each for each in on])
            path = (*path, *KERNEL["read"])
            self.add(OFF_CPU, Key(host, name, path), [off * each for each in on])
        for _ in range(noise.poisson(4 * hours)):
            program, at = chance.choice(self.programs(host)), chance.randrange(WINDOWS + 1)
            on = [0.0] * (WINDOWS + SLICES)
            on[at if at < WINDOWS else WINDOWS + chance.randrange(SLICES)] = chance.uniform(0.1, 1)
            path = chance.choice(self.shapes[program].waits)
            self.add(OFF_CPU, Key(host, program, path), on)
            self.add(WAITS, Key(host, program, above(17)), [0.2 * (each > 0) for each in on])

    def _moment(self, minutes: int) -> list[float]:
        """Return how many minutes of a random stretch lie in each window and slice."""
        start = self.chance.uniform(0, (WINDOWS + 1) * self.noise.minutes)
        found, at = [], 0.0
        for length in self.noise.lengths:
            found.append(max(0.0, min(at + length, start + minutes) - max(at, start)))
            at += length
        return found
