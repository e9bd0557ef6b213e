"""More incidents: those that shift work, hide behind idle pools, or show in one number alone."""

from __future__ import annotations

from benchmarks.incidents import world as w
from benchmarks.incidents.kinds import (
    Plant,
    Test,
    counts,
    fsync_stall,
    idle,
    lengthen,
    main_program,
    on,
    seconds,
    somewhere,
)
from benchmarks.incidents.noise import SLICES, WINDOWS
from benchmarks.incidents.world import KERNEL, Key, World, bell

_RESOLVE = ("getaddrinfo", "__res_send")
_POLL = ("entry_SYSCALL_64", "do_syscall_64", "__x64_sys_poll", "do_poll", "schedule_timeout",
         "schedule", "__schedule")  # fmt: skip
_NFS = ("ksys_read", "vfs_read", "nfs_file_read", "nfs_readpage", "rpc_wait_bit_killable",
        "schedule", "__schedule")  # fmt: skip


def pool_lock(world: World, level: int) -> Test:
    """Threads of a pool that were idle wait for a lock instead."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    path = ("main", f"{program}_loop", f"{program}::submit", f"{program}::shard_lock")
    waits = seconds(world, level, 0.2, 0.8, 4)
    world.add(w.OFF_CPU, Key(host, program, (*path, "pthread_mutex_lock", *KERNEL["futex"])), waits)
    pool = Key(
        host, program, ("main", f"{program}_loop", f"{program}::pool_wait", *KERNEL["futex"])
    )
    world.add(w.OFF_CPU, pool, [-each for each in waits])
    return on(host, "offcputime", {*path[2:]})


def collector(world: World, level: int) -> Test:
    """A garbage collector that stopped threads now and then does so more often."""
    host = somewhere(world, "web", "batch")
    program = main_program(world, host)
    load = world.load[host, program]
    stopped = ("main", f"{program}_loop", f"{program}::safepoint", *KERNEL["futex"])
    marking = ("main", f"{program}::gc_thread", f"{program}::gc_mark")
    for source, path, usual, much in (
        (w.OFF_CPU, stopped, 4.0, (0.2, 0.6, 3.0)),
        (w.ON_CPU, marking, 2.0, (0.15, 0.5, 2.0)),
    ):
        world.add(source, Key(host, program, path), world.noise.series(usual, load, 0.3, 0.02))
        world.add(source, Key(host, program, path), seconds(world, level, *much))
    names = {stopped[2], *marking[1:]}
    return lambda line: line.hosts == (host,) and line.name in names


def noisy_neighbour(world: World, level: int) -> Test:
    """A new process takes CPUs, and all others wait longer for one."""
    host = somewhere(world, "web", "db")
    for leaf in ("square", "root"):
        path = ("main", "stress::run", f"stress::{leaf}")
        amount = seconds(world, level, 0.15, 0.5, 2.0)
        world.add(w.ON_CPU, Key(host, "stress", path), [each / 2 for each in amount])
    lengthen(world, w.RUN_QUEUE, lambda key: key.host == host, (0.3, 1, 2)[level])
    return lambda line: (
        line.hosts == (host,) and (line.process == "stress" or line.table == "runqlat")
    )


def slow_names(world: World, level: int) -> Test:
    """A name server answers late: the few threads that ask it wait for longer."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    path = ("main", f"{program}_loop", f"{program}::connect", *_RESOLVE, *_POLL)
    load = world.load[host, program]
    world.add(w.OFF_CPU, Key(host, program, path), world.noise.series(1.5, load, 0.3, 0.02))
    world.add(w.OFF_CPU, Key(host, program, path), seconds(world, level, 0.12, 0.5, 2.5))
    return on(host, "offcputime", {*path[2:5], "do_poll", "__x64_sys_poll"})


def slow_call(world: World, level: int) -> Test:
    """One system call takes longer, which its lengths alone show."""
    del world.rows[w.CALLS]
    for host in world.hosts:
        for rank, call in enumerate(w.SYSCALLS, 1):
            load = world.noise.season
            world.lengths(w.CALL_LENGTHS, (host, call), bell(20000 / rank, 3, 1.3), load)
    host = somewhere(world, "web", "db")
    lengthen(world, w.CALL_LENGTHS, lambda key: key[:2] == (host, "fsync"), (0.5, 1, 3)[level])
    return lambda line: (
        line.hosts == (host,) and line.table == "syscalls" and "fsync" in (line.process, line.name)
    )


def new_call(world: World, level: int) -> Test:
    """A process makes a system call that it never made."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    amount = world.noise.in_window((4000, 12000, 80000)[level] * world.setting.busy)
    world.add(w.CALLS, Key(host, program, ("ptrace",)), amount)
    return on(host, "syscalls", {"ptrace"})


def call_storm(world: World, level: int) -> Test:
    """One system call of one process is made more often."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    factor = (1.6, 3, 10)[level]
    world.scale(w.CALLS, lambda key: key == Key(host, program, ("futex",)), factor)
    return on(host, "syscalls", {"futex"})


def new_error(world: World, level: int) -> Test:
    """Opens that went well fail: as many as before, with an error that was not there."""
    host = somewhere(world, "web", "batch")
    program = main_program(world, host)
    key, part = Key(host, program, ("",)), (0.15, 0.4, 0.9)[level]
    moved = [float(round(each * part)) for each in world.rows[w.OPENS][key][WINDOWS:]]
    world.add(w.OPENS, key, [0.0] * WINDOWS + [-each for each in moved])
    world.add(w.OPENS, Key(host, program, ("ENOSPC",)), [0.0] * WINDOWS + moved)
    return on(host, "opensnoop", {"ENOSPC", ""})


def new_remote(world: World, level: int) -> Test:
    """Packets to an address that was not there are sent again."""
    host = somewhere(world, "web")
    program = world.main_programs(host)[0]
    again = counts(world, (4, 15, 100)[level])
    world.add(w.RETRANSMITS, Key(host, program, ("203.0.113.9",)), again)
    return on(host, "tcpretrans", {"203.0.113.9"})


def moved(world: World, level: int) -> Test:
    """A process goes from one host to another, if there is one, and does as much there."""
    old, new = world.chance.sample([*world.present(), ""], 2)
    much, load = (1, 2, 5)[level], world.noise.season
    for source, base in ((w.ON_CPU, 8.0), (w.OFF_CPU, 15.0)):
        for number in range(8):
            path: w.Path = ("main", "mover_loop", f"mover::m{number}")
            path = (*path, *KERNEL["read"]) if source is w.OFF_CPU else path
            row = world.noise.series(much * base / (number + 1), load, 0.3, 0.02)
            if old:
                gone = [*row[:WINDOWS], *[0.0] * SLICES]
                world.add(source, Key(old, "mover", path), gone)
            if new:
                come = [*[0.0] * WINDOWS, *row[WINDOWS:]]
                world.add(source, Key(new, "mover", path), come)
    return lambda line: {*line.hosts} <= {old, new} and line.process == "mover"


def fault_storm(world: World, level: int) -> Test:
    """A process touches more new pages."""
    host = somewhere(world, "web", "db")
    program = main_program(world, host)
    world.scale(w.FAULTS, lambda key: key[:2] == (host, program), (2.2, 4, 10)[level])
    return lambda line: (
        line.hosts == (host,) and line.table == "pagefaults" and line.process == program
    )


def costly_function(world: World, level: int) -> Test:
    """A release makes one function cost more on every host that runs it."""
    role = somewhere(world).split("-")[0]
    hosts = [host for host in world.present() if host.startswith(role)]
    program = w.ROLES[role][0]
    name = f"{program}::render"
    path = ("main", f"{program}_loop", name, f"{program}::escape")
    for host in hosts:
        row = world.noise.series(4, world.load[host, program], 0.2, 1 / 49)
        world.add(w.ON_CPU, Key(host, program, path), row)
    world.scale(w.ON_CPU, lambda key: path[-1] in key.path, (2.2, 4, 15)[level])
    return lambda line: (
        {*line.hosts} <= {*hosts}
        and 2 * len(line.hosts) >= len(hosts)
        and line.table == "profile"
        and line.name in path[2:]
    )


def far_disk(world: World, level: int) -> Test:
    """A file server is slow: hosts that read from it wait, all at the same frame."""
    hosts = [host for host in world.present() if not host.startswith("db")] or world.present()
    for host in hosts:
        program = main_program(world, host)
        path = ("main", f"{program}_loop", f"{program}::load", *_NFS)
        world.add(w.OFF_CPU, Key(host, program, path), seconds(world, level, 0.15, 0.6, 3))
    return lambda line: {*line.hosts} <= {*hosts} and line.name in {*_NFS[2:5]}


def drained(world: World, level: int) -> Test:
    """The balancer sends a host less: all that one of its processes does falls."""
    host = somewhere(world, "web")
    program = main_program(world, host)
    factor = (0.3, 0.15, 0.03)[level]
    for source in world.rows:
        world.scale(source, lambda key: key[:2] == (host, program) and not idle(key), factor)
    return lambda line: line.hosts == (host,) and line.process == program and line.name is None


def more_packets(world: World, level: int) -> Test:
    """More soft interrupts of one kind, each as long as before."""
    host = somewhere(world, "web")
    factor = (1.8, 3, 10)[level]
    world.scale(w.SOFT_IRQS, lambda key: key[:2] == (host, "net_rx"), factor)
    return lambda line: (
        line.hosts == (host,) and line.table == "softirqs" and line.process == "net_rx"
    )


def swapping(world: World, level: int) -> Test:
    """Pages come back from the disk: threads wait where they fault."""
    host = somewhere(world, "db", "web")
    amount = seconds(world, level, 0.15, 0.6, 3)
    end = ("asm_exc_page_fault", "handle_mm_fault", "do_swap_page", "swap_readpage",
           "folio_wait_bit", "io_schedule", "schedule", "__schedule")  # fmt: skip
    for program in world.main_programs(host):
        for number in range(6):
            path = ("main", f"{program}_loop", f"{program}::f{number}", *end)
            world.add(w.OFF_CPU, Key(host, program, path), [each / 18 for each in amount])
    return lambda line: line.hosts == (host,) and line.name in {*end[:4]}


def late_stall(world: World, level: int) -> Test:
    """A stall that began after the first third of the window."""
    return fsync_stall(world, level, slices=4)


def cold_cache(world: World, level: int) -> Test:
    """A cache is gone: its frame goes, and a read of the disk comes with more than it had."""
    host = somewhere(world, "web", "db")
    program = main_program(world, host)
    load = world.load[host, program]
    hit = ("main", f"{program}_loop", f"{program}::fetch", f"{program}::hit")
    miss = ("main", f"{program}_loop", f"{program}::fetch", f"{program}::miss", *KERNEL["read"])
    row = world.noise.series(3, load, 0.2, 1 / 49)
    world.add(w.ON_CPU, Key(host, program, hit), [*row[:WINDOWS], *[0.0] * SLICES])
    world.add(w.OFF_CPU, Key(host, program, miss), seconds(world, level, 0.15, 0.6, 3))
    return lambda line: (
        line.hosts == (host,) and line.name in {hit[-1], *miss[2:4], *KERNEL["read"][2:7]}
    )


def stuck(world: World, level: int) -> Test:
    """A part of a program's work stops, and its threads wait for a lock that never comes free."""
    host = somewhere(world, "db", "web")
    program = main_program(world, host)
    path = ("main", f"{program}_loop", f"{program}::latch", *KERNEL["futex"])
    world.add(w.OFF_CPU, Key(host, program, path), seconds(world, level, 2, 8, 40))
    factor = (0.8, 0.5, 0.1)[level]
    for source in (w.ON_CPU, w.OFF_CPU, w.CALLS, w.OPENS, w.FAULTS):
        mine = lambda key: key[:2] == (host, program) and not idle(key) and path[2] not in key.path  # noqa: E731
        world.scale(source, mine, factor)
    return on(host, "offcputime", {path[2]})


OTHERS: dict[str, Plant] = {
    "lock of a pool": pool_lock,
    "garbage collector": collector,
    "noisy neighbour": noisy_neighbour,
    "slow names": slow_names,
    "slow system call": slow_call,
    "new system call": new_call,
    "system call storm": call_storm,
    "new error": new_error,
    "new address": new_remote,
    "process moved": moved,
    "fault storm": fault_storm,
    "costly function": costly_function,
    "far disk": far_disk,
    "drained": drained,
    "more packets": more_packets,
    "swapping": swapping,
    "late stall": late_stall,
    "cold cache": cold_cache,
    "stuck": stuck,
}
