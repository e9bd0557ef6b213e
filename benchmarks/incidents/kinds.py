"""The incidents that are planted, each at three levels, and how its line is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from operator import mul

from benchmarks.incidents import world as w
from benchmarks.incidents.noise import SLICES, WINDOWS
from benchmarks.incidents.world import KERNEL, Key, Source, World, above


@dataclass(frozen=True)
class Line:
    """One finding, as the measure or the API has it; None is several or any."""

    table: str
    column: str
    kind: str
    hosts: tuple[str, ...]
    process: str | None
    name: str | None
    change: str = ""


Test = Callable[[Line], bool]
Plant = Callable[[World, int], Test]


def somewhere(world: World, *roles: str) -> str:
    """Return a host, of one of these roles if there is one."""
    hosts = [h for h in world.present() if h.split("-")[0] in roles] or world.present()
    return world.chance.choice(hosts)


def main_program(world: World, host: str) -> str:
    return world.chance.choice(world.main_programs(host))


def idle(key: Key) -> bool:
    return any("pool_wait" in frame or "event_loop" in frame for frame in key.path)


def seconds(world: World, level: int, *threads: float) -> list[float]:
    return world.noise.in_window(60 * threads[level])


def counts(world: World, a_minute: float) -> list[float]:
    """Return whole events of the last window."""
    return [float(world.noise.poisson(each)) for each in world.noise.in_window(a_minute)]


def on(host: str, table: str, names: set[str]) -> Test:
    return lambda line: line.hosts == (host,) and line.table == table and line.name in names


def fsync_stall(world: World, level: int, slices: int = SLICES) -> Test:
    host = somewhere(world, "db")
    program = main_program(world, host)
    threads = (0.15, 0.6, 3.0)[level] * SLICES / slices
    stall = world.noise.in_window(60 * threads, slices=slices)
    path = ("main", f"{program}_loop", f"{program}::commit", *KERNEL["fsync"])
    world.add(w.OFF_CPU, Key(host, program, path), stall)
    slot = above((17, 19, 21)[level])
    world.add(w.DISKS, Key(host, "vda", slot), [each * 0.5 for each in stall])
    names = {*KERNEL["fsync"][2:7], f"{program}::commit"}
    stack = on(host, "offcputime", names)
    return lambda line: (
        stack(line)
        or (
            line.hosts == (host,)
            and line.table == "biolatency"
            and "vda" in (line.process, line.name)
        )
    )


def burst(world: World, level: int) -> Test:
    """A stall in two of six slices: a burst, shown even if it is not marked."""
    return fsync_stall(world, level, slices=2)


def lock_contention(world: World, level: int) -> Test:
    host = somewhere(world, "db", "web")
    program = main_program(world, host)
    path = ("main", f"{program}_loop", f"{program}::row_lock", f"{program}::lock_wait")
    key = Key(host, program, (*path, *KERNEL["futex"]))
    world.add(w.OFF_CPU, key, world.noise.series(3, world.load[host, program], 0.3, 0.01))
    world.add(w.OFF_CPU, key, seconds(world, level, 0.2, 0.8, 4))
    return on(host, "offcputime", {*path[2:]})


def throttled_writes(world: World, level: int) -> Test:
    host = somewhere(world, "batch", "db")
    amount = seconds(world, level, 0.1, 0.5, 2.5)
    for program, share in zip(world.main_programs(host), (0.6, 0.4), strict=False):
        path = ("main", f"{program}_loop", f"{program}::f1", *KERNEL["dirty"])
        world.add(w.OFF_CPU, Key(host, program, path), [each * share for each in amount])
    return on(host, "offcputime", {"balance_dirty_pages", "io_schedule_timeout"})


def cpu_spike(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    program = main_program(world, host)
    amount = seconds(world, level, 0.12, 0.4, 1.5)
    names = {f"{program}::parse"}
    for leaf in ("regex_a", "regex_b"):
        path = ("main", f"{program}_loop", f"{program}::parse", f"{program}::{leaf}")
        key = Key(host, program, path)
        world.add(w.ON_CPU, key, world.noise.series(1.8, world.load[host, program], 0.3, 1 / 49))
        world.add(w.ON_CPU, key, [each * 0.5 for each in amount])
        names.add(path[-1])
    return on(host, "profile", names)


def lengthen(world: World, source: Source, test: Callable[[Key], bool], slots: float) -> None:
    """Make events longer: by this many slots, each twice as long as the one before."""
    whole, part = int(slots), slots - int(slots)
    before = {key: row[WINDOWS:] for key, row in world.rows[source].items() if test(key)}
    for key in before:
        world.rows[source][key][WINDOWS:] = [0.0] * SLICES
    for key, moved in before.items():
        for up, weight in ((whole, 1 - part), (whole + 1, part)):
            longer = Key(key.host, key.process, above(min(len(key.path) - 1 + up, 26)))
            more = [0.0] * WINDOWS + [each * weight * 2.0**up for each in moved]
            world.add(source, longer, more)


def run_queue(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    lengthen(world, w.RUN_QUEUE, lambda key: key.host == host, (1, 2, 4)[level])
    return lambda line: line.hosts == (host,) and line.table == "runqlat"


def slow_disk(world: World, level: int) -> Test:
    host = somewhere(world, "db")
    lengthen(world, w.DISKS, lambda key: key[:2] == (host, "vdb"), (0.5, 1, 3)[level])
    return lambda line: (
        line.hosts == (host,) and line.table == "biolatency" and "vdb" in (line.process, line.name)
    )


def slow_interrupt(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    lengthen(world, w.SOFT_IRQS, lambda key: key[:2] == (host, "net_rx"), (0.5, 1, 3)[level])
    return lambda line: (
        line.hosts == (host,) and line.table == "softirqs" and line.process == "net_rx"
    )


def _appear(world: World, host: str, program: str, opens: float) -> None:
    noise = world.noise
    world.add(w.OPENS, Key(host, program, ("",)), counts(world, opens / 20))
    world.add(w.CALLS, Key(host, program, ("openat",)), noise.in_window(opens * 20))
    path = ("main", f"{program}::scan", "do_syscall_64", "path_openat")
    world.add(w.ON_CPU, Key(host, program, path), noise.in_window(60 * opens / 20000))


def chatty_process(world: World, level: int) -> Test:
    host = somewhere(world, "batch")
    _appear(world, host, "crawler", (150, 700, 5000)[level])
    return lambda line: line.hosts == (host,) and line.process == "crawler"


def new_process(world: World, level: int) -> Test:
    """A process that was not there runs and waits, as a backup does."""
    host = somewhere(world, "db", "web")
    for number, share in enumerate((0.5, 0.3, 0.2)):
        path = ("main", "dump::run", f"dump::step{number}")
        amount = [each * share for each in seconds(world, level, 0.1, 0.4, 1.5)]
        world.add(w.ON_CPU, Key(host, "dump", path), amount)
        world.add(w.OFF_CPU, Key(host, "dump", (*path, *KERNEL["read"])), amount)
    return lambda line: line.hosts == (host,) and line.process == "dump"


def process_gone(world: World, level: int) -> Test:
    """A process stops: a small one, one of three, or a host's largest."""
    host = somewhere(world, "web", "db")
    program = ("sshd", "kworker", world.main_programs(host)[level])[level]
    for rows in world.rows.values():
        for key, row in rows.items():
            if (key.host, key.process) == (host, program):
                row[WINDOWS:] = [0.0] * SLICES
    return lambda line: line.hosts == (host,) and line.process == program and line.name is None


def failing_opens(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    program = main_program(world, host)
    more = counts(world, (3, 12, 75)[level] * world.setting.busy)
    world.add(w.OPENS, Key(host, program, ("EMFILE",)), more)
    return on(host, "opensnoop", {"EMFILE"})


def memory_reclaim(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    amount = seconds(world, level, 0.1, 0.5, 3.0)
    for program, share in zip(world.main_programs(host), (0.5, 0.3, 0.2), strict=True):
        path = ("main", f"{program}_loop", f"{program}::f2", *KERNEL["reclaim"])
        world.add(w.OFF_CPU, Key(host, program, path), [each * share for each in amount])
        path = ("main", f"{program}_loop", f"{program}::g2", *KERNEL["reclaim"][:5])
        world.add(w.ON_CPU, Key(host, program, path), [each * share * 0.3 for each in amount])
    names = {*KERNEL["reclaim"][:5]}
    return lambda line: line.hosts == (host,) and line.name in names


def retransmits(world: World, level: int) -> Test:
    host = somewhere(world, "web")
    program = world.main_programs(host)[0]
    again = counts(world, (8, 30, 200)[level])
    world.add(w.RETRANSMITS, Key(host, program, (w.REMOTES[2],)), again)
    receiving = lambda key: key.host == host and "sk_wait_data" in key.path  # noqa: E731
    world.scale(w.OFF_CPU, receiving, (1.1, 1.3, 2)[level])
    names = {"sk_wait_data", "tcp_recvmsg", "__x64_sys_recvfrom", "schedule_timeout"}
    return lambda line: line.hosts == (host,) and (line.table == "tcpretrans" or line.name in names)


def host_silent(world: World, level: int) -> Test:
    host = somewhere(world)
    gone = (3, 5, 6)[level]
    world.cut(host, -gone)
    world.lost_after[host] = 1 - gone / SLICES
    return lambda line: line.hosts == (host,) and line.kind == "silent"


def frame_vanished(world: World, level: int) -> Test:
    role = somewhere(world).split("-")[0]
    hosts = [host for host in world.present() if host.startswith(role)]
    program = w.ROLES[role][1]
    path = ("main", f"{program}_loop", f"{program}::render", f"{program}::cache_lookup")
    for host in hosts:
        base = 60 * (0.06, 0.2, 0.8)[level]
        row = world.noise.series(base, world.load[host, program], 0.15, 1 / 49)
        row[WINDOWS:] = [0.0] * SLICES
        world.add(w.ON_CPU, Key(host, program, path), row)
    # In a weak one some hosts may be within the usual.
    return lambda line: (
        {*line.hosts} <= {*hosts}
        and 2 * len(line.hosts) >= len(hosts)
        and line.table == "profile"
        and line.name in path[2:]
    )


def all_slower(world: World, level: int) -> Test:
    host = somewhere(world, "web", "db")
    factor = (1.15, 1.3, 2.0)[level]
    world.scale(w.OFF_CPU, lambda key: key.host == host and not idle(key), factor)
    sources = (w.WAITS, w.RUN_QUEUE, w.DISKS)
    for source in sources:
        lengthen(world, source, lambda key: key.host == host, log2(factor))
    tables = {source.table for source in sources}
    return lambda line: line.hosts == (host,) and line.table in tables and line.name is None


def long_waits(world: World, level: int) -> Test:
    """A few waits of two seconds, at any time of the window."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    path = next(p for p in world.shapes[program].waits if "sk_wait_data" in p)
    on = [0.0] * (WINDOWS + SLICES)
    for _ in range((3, 8, 30)[level]):
        on[WINDOWS + world.chance.randrange(SLICES)] += 2.0
    world.add(w.OFF_CPU, Key(host, program, path), on)
    world.add(w.WAITS, Key(host, program, above(20)), on)
    names = {*path[2:]} - {"schedule", "__schedule"}
    return lambda line: (
        line.hosts == (host,)
        and line.table == "offcputime"
        and (line.name in names or (line.column == "lengths" and line.process == program))
    )


def quiet(world: World, level: int) -> Test:
    del world, level
    return lambda _: False


def load_doubled(world: World, level: int) -> Test:
    """The hosts of one role do twice as much of everything."""
    del level
    role = world.hosts[0].split("-")[0]
    names = {*w.COMMON}
    for source in world.rows:
        world.scale(
            source,
            lambda key: key.host.startswith(role) and key.process not in names and not idle(key),
            2.0,
        )
    return lambda line: line.kind == "load"


def deploy(world: World, level: int) -> Test:
    """A new version renames a function everywhere, and costs as much."""
    del level
    program = "app" if world.setting.hosts > 1 else world.main_programs(world.hosts[0])[1]
    old, new = f"{program}::g3", f"{program}::g3_v2"
    for key, row in [*world.rows[w.ON_CPU].items()]:
        if old in key.path:
            path = tuple(new if frame == old else frame for frame in key.path)
            renamed = Key(key.host, key.process, path)
            world.add(w.ON_CPU, renamed, [0.0] * WINDOWS + row[WINDOWS:])
            row[WINDOWS:] = [0.0] * SLICES
    return lambda line: line.name in {old, new}


def restart(world: World, level: int) -> Test:
    """A process starts again: nothing for half a slice, its start-up, then caches that are cold."""
    del level
    host = somewhere(world, "db", "web")
    program = world.main_programs(host)[0]
    at = WINDOWS + world.chance.randrange(SLICES - 1)
    for source, rows in world.rows.items():
        for key, row in rows.items():
            if (key.host, key.process) == (host, program):
                row[at] *= 0.5
                if source is w.OFF_CPU and not idle(key):
                    row[at:] = [each * 1.08 for each in row[at:]]
    on = [0.0] * (WINDOWS + SLICES)
    on[at] = world.chance.uniform(2, 8)
    world.add(w.ON_CPU, Key(host, program, ("main", f"{program}::start", "dlopen")), on)
    world.add(w.OPENS, Key(host, program, ("",)), [float(round(each * 2)) for each in on])
    return lambda line: line.process == program


def slow_growth(world: World, level: int) -> Test:
    """A leak: page faults of one process have grown steadily for all the 24 windows."""
    del level
    host = somewhere(world)
    program = main_program(world, host)
    growth = [1 + min(at, WINDOWS) / WINDOWS for at in range(WINDOWS + SLICES)]
    key = Key(host, program, ())
    world.rows[w.FAULTS][key] = [*map(mul, world.rows[w.FAULTS][key], growth)]
    return lambda _: False


INCIDENTS: dict[str, Plant] = {
    "fsync stall": fsync_stall,
    "lock contention": lock_contention,
    "throttled writes": throttled_writes,
    "CPU spike": cpu_spike,
    "run queue": run_queue,
    "slow disk": slow_disk,
    "slow interrupt": slow_interrupt,
    "chatty process": chatty_process,
    "new process": new_process,
    "process gone": process_gone,
    "failing opens": failing_opens,
    "memory reclaim": memory_reclaim,
    "retransmits": retransmits,
    "host silent": host_silent,
    "frame vanished": frame_vanished,
    "all slower": all_slower,
    "few long waits": long_waits,
}
BURSTS: dict[str, Plant] = {"burst in 2 of 6": burst}
HARMLESS: dict[str, Plant] = {
    "quiet": quiet,
    "load doubled": load_doubled,
    "deploy": deploy,
    "restart": restart,
    "slow growth": slow_growth,
}
LEVELS = ("weak", "medium", "strong")
