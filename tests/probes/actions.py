"""Actions of a traced process. Each is a function that acts, and returns its own record.

usage: python actions.py ACTION FOLDER; the protocol is that of tests/workloads.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_OPEN, SYS_CREAT, SYS_OPENAT2, AT_FDCWD = 2, 85, 437, -100
SYS_IO_SETUP, SYS_IO_GETEVENTS, SYS_IO_SUBMIT = 206, 208, 209
READS, BLOCK = 50, 64 * 1024


def opens() -> Any:
    """Files that are there, one that is not, one made, by each of the system calls."""
    began = time.monotonic()
    there = Path("there").absolute()
    there.touch()
    for _ in range(20):
        os.close(os.open(there, os.O_RDONLY))
    os.close(os.open("made", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        os.open("not/there", os.O_RDONLY)
    except OSError as error:
        failure = errno.errorcode[error.errno or 0]
    os.close(os.open(there, os.O_PATH))
    os.close(LIBC.syscall(SYS_CREAT, b"by-creat", 0o600))
    os.close(LIBC.syscall(SYS_OPEN, b"by-open", os.O_WRONLY | os.O_CREAT, 0o600))
    how = struct.pack("QQQ", os.O_WRONLY | os.O_CREAT, 0o600, 0)
    os.close(LIBC.syscall(SYS_OPENAT2, AT_FDCWD, b"by-openat2", how, len(how)))
    return {"there": str(there), "failure": failure, "us": (time.monotonic() - began) * 1e6}


def opens_many() -> Any:
    """More than an event buffer has room for."""
    for _ in range(5000):
        os.close(os.open("/dev/null", os.O_RDONLY))
    return 5000


def opens_on() -> Any:
    """As many as it takes until somebody makes a file that says so; then how many those were."""
    opened = 0
    while not Path("enough").exists():
        for _ in range(500):
            os.close(os.open("/dev/null", os.O_RDONLY))
        opened += 500
        time.sleep(0.05)
    return opened


def calls() -> Any:
    """Calls that succeed, that fail, that sleep."""
    for _ in range(500):
        os.getppid()
    for _ in range(40):
        with contextlib.suppress(OSError):
            os.read(-1, 1)
    began = time.monotonic()
    for _ in range(10):
        time.sleep(0.02)
    return {"slept_us": (time.monotonic() - began) * 1e6}


class EarlyChild:
    """A child that is there before the action begins, and does something when it does."""

    __name__ = "early_child"

    def __init__(self) -> None:
        self.pid = 0

    def prepare(self) -> None:
        self._start, self._go = os.pipe()
        self._done, done = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.read(self._start, 1)
            for _ in range(100):
                os.getppid()
            os.write(done, b"x")
            os._exit(0)

    def __call__(self) -> Any:
        os.write(self._go, b"x")
        os.read(self._done, 1)
        os.waitpid(self.pid, 0)
        return {"child": self.pid}


def programs() -> Any:
    """A child that runs a program, one that finds none, and a grandchild."""
    true = subprocess.Popen(["/bin/true", "with space", "it's", "--x=1"])
    true.wait()
    shell = subprocess.Popen(["/bin/sh", "-c", "/bin/sleep 0.01; exec /not/there 2>/dev/null"])
    shell.wait()
    long = ["/bin/true", *(str(i) * 60 for i in range(30))]
    subprocess.run(long, check=True)
    return {"true": true.pid, "shell": shell.pid, "long": long}


def ends() -> Any:
    """Children that exit and children that are killed, each after its own time."""
    children = {}
    for name, seconds, end in (
        ("fine", 0.05, lambda: os._exit(0)),
        ("three", 0.15, lambda: os._exit(3)),
        ("killed", 0.1, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        ("crashed", 0.1, lambda: ctypes.string_at(0)),
    ):
        born = time.monotonic()
        pid = os.fork()
        if not pid:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            time.sleep(seconds)
            end()
        os.waitpid(pid, 0)
        children[name] = {"pid": pid, "us": (time.monotonic() - born) * 1e6}
    return children


def signals() -> Any:
    """Signals that arrive, one that is ignored, one to no process, from each of the calls."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    time.sleep(0.05)
    os.kill(child.pid, signal.SIGWINCH)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    nobody = _unused_pid()
    with contextlib.suppress(ProcessLookupError):
        os.kill(nobody, signal.SIGHUP)
    os.kill(child.pid, signal.SIGTERM)
    child.wait()
    return {"child": child.pid, "nobody": nobody}


def _unused_pid() -> int:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def connections() -> Any:
    """Two TCP connections to itself, over IPv4 and IPv6, with known amounts each way.

    Where IPv6 is switched off, as on some hosts, both are over IPv4.
    """
    made = []
    six = (socket.AF_INET6, "::1") if _has_ipv6() else (socket.AF_INET, "127.0.0.1")
    for (family, address), up, down in (
        ((socket.AF_INET, "127.0.0.1"), 100_000, 7),
        (six, 10, 50_000),
    ):
        with socket.create_server((address, 0), family=family) as listener:
            began = time.monotonic()
            client = socket.create_connection(listener.getsockname()[:2])
            server, _ = listener.accept()
        _send(client, server, up)
        _send(server, client, down)
        time.sleep(0.1)
        made.append(
            {
                "client": client.getsockname()[:2],
                "server": server.getsockname()[:2],
                "up": up,
                "down": down,
            }
        )
        client.close()
        server.recv(1)
        server.close()
        made[-1]["us"] = (time.monotonic() - began) * 1e6
    return made


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _send(sender: socket.socket, receiver: socket.socket, amount: int) -> None:
    writer = threading.Thread(target=sender.sendall, args=(b"x" * amount,))
    writer.start()
    while amount:
        amount -= len(receiver.recv(amount))
    writer.join()


def lossy() -> Any:
    """A connection in a separate network, whose receiver drops packets for a while."""
    if LIBC.unshare(0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "unshare")
    path = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, env=path)
    drop = struct.pack("HBBI", 0x06, 0, 0, 0)  # a socket filter: return 0 bytes of every packet
    program = ctypes.create_string_buffer(drop)
    filtering = struct.pack("HL", 1, ctypes.addressof(program))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, 26, filtering)  # SO_ATTACH_FILTER
    client.sendall(b"lost")
    time.sleep(0.9)
    server.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
    assert server.recv(4) == b"lost"
    sent_again = _retransmitted()
    local, remote = client.getsockname(), client.getpeername()
    client.close()
    server.close()
    return {"segments": sent_again, "local": local, "remote": remote}


def _retransmitted() -> int:
    lines = Path("/proc/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


class Reads:
    """Writes and reads past the page cache, whose places on the disk are known.

    While it acts the process reads nothing else: its memory is locked, its file is laid out.
    """

    __name__ = "reads"

    def prepare(self) -> None:
        self._path = Path(f"blocks-{os.getpid()}")
        with self._path.open("wb") as file:
            file.write(os.urandom(READS * BLOCK))
            os.fsync(file.fileno())
        self._buffer = mmap.mmap(-1, BLOCK)  # aligned, as O_DIRECT wants it
        self._fd = os.open(self._path, os.O_RDWR | os.O_DIRECT)
        self()
        if LIBC.mlockall(3):  # MCL_CURRENT | MCL_FUTURE
            raise OSError(ctypes.get_errno(), "mlockall")

    def __call__(self) -> Any:
        for i in range(READS):
            assert os.pwritev(self._fd, [self._buffer], i * BLOCK) == BLOCK
        spent = 0.0
        for i in range(READS):
            began = time.monotonic()
            assert os.preadv(self._fd, [self._buffer], i * BLOCK) == BLOCK
            spent += time.monotonic() - began
        device = self._path.stat().st_dev
        disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
        start = disk / "start"
        first = int(start.read_text()) if start.exists() else 0
        sectors = [(first + at, count) for at, count in _extents(self._fd)]
        return {"us": spent * 1e6, "device": disk.name, "sectors": sectors}


class EndlessReads(Reads):
    """The same, over and over beside whatever is traced."""

    __name__ = "endless_reads"

    def prepare(self) -> None:
        super().prepare()
        threading.Thread(target=self._forever, daemon=True).start()

    def _forever(self) -> None:
        fd, buffer = os.open(self._path, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, BLOCK)
        while True:
            for i in range(READS):
                os.preadv(fd, [buffer], i * BLOCK)


def _extents(fd: int) -> list[tuple[int, int]]:
    """Where a file lies on its partition: first sector and number of sectors of each piece."""
    room = 512
    request = bytearray(struct.pack("QQIIII", 0, READS * BLOCK, 0, 0, room, 0) + bytes(56 * room))
    fcntl.ioctl(fd, 0xC020660B, request)  # FS_IOC_FIEMAP
    (count,) = struct.unpack_from("I", request, 20)
    pieces = (struct.unpack_from("QQQ", request, 32 + 56 * i) for i in range(count))
    return [(physical // 512, length // 512) for _, physical, length in pieces]


def interrupts() -> Any:
    """Reads whose end is awaited by spinning, so that the disk interrupts the reader itself.

    On each CPU in turn, because a disk may interrupt only one of them.
    """
    path = Path("blocks")
    path.write_bytes(os.urandom(BLOCK))
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    os.fsync(fd)
    buffer = mmap.mmap(-1, BLOCK)
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    context = ctypes.c_ulong()
    assert not LIBC.syscall(SYS_IO_SETUP, 8, ctypes.byref(context))
    # A process that is preempted cannot be interrupted.
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    before = _interrupts()
    for cpu in sorted(os.sched_getaffinity(0)):
        os.sched_setaffinity(0, {cpu})
        for _ in range(100):
            _spinning_read(context, fd, address)
    after = _interrupts()
    return {"requests": 100, "interrupts": {name: after[name] - before[name] for name in after}}


def _spinning_read(context: ctypes.c_ulong, fd: int, address: int) -> None:
    request = struct.pack("QIIHhIQQqQII", 0, 0, 0, 0, 0, fd, address, BLOCK, 0, 0, 0, 0)
    block = ctypes.create_string_buffer(request, len(request))
    pointers = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    result = ctypes.create_string_buffer(32)
    now = struct.pack("qq", 0, 0)
    assert LIBC.syscall(SYS_IO_SUBMIT, context, ctypes.c_long(1), pointers) == 1
    while not LIBC.syscall(SYS_IO_GETEVENTS, context, 0, ctypes.c_long(1), result, now):
        pass


def _interrupts() -> dict[str, int]:
    """Devices' lines of /proc/interrupts: the action's name, as the kernel calls it -> times.

    Several devices may share a line, and several lines have one name.
    """
    header, *lines = Path("/proc/interrupts").read_text().splitlines()
    cpus = len(header.split())
    times: Counter[str] = Counter()
    for line in lines:
        number, *rest = line.split(maxsplit=cpus + 1)
        if number[:-1].isdigit() and len(rest) > cpus:
            for name in re.split(r"\s{2,}", rest[-1])[-1].split(", "):
                times[name] += sum(map(int, rest[:cpus]))
    return times


def packets() -> Any:
    """Packets to itself: each is received in a soft interrupt of the call that sends it.

    Unless the kernel defers that to a kernel thread, as a busy one may: `at_once` are those
    that were there when the call was over, and they may be such as well where this process was
    preempted in the meantime.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())
        began = time.monotonic()
        pushed_off = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        at_once = 0
        for _ in range(2000):
            sender.send(b"x")
            try:
                receiver.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                receiver.recv(1)
            else:
                at_once += 1
        return {
            "packets": 2000,
            "at_once": at_once,
            "pushed_off": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - pushed_off,
            "us": (time.monotonic() - began) * 1e6,
        }


def crowd() -> Any:
    """Three children on one CPU; each reports how long the kernel let it wait."""
    cpu = min(os.sched_getaffinity(0))
    pipes = [os.pipe() for _ in range(3)]
    pids = []
    for _, writer in pipes:
        pid = os.fork()
        if not pid:
            os.sched_setaffinity(0, {cpu})
            end = time.monotonic() + 0.8
            while time.monotonic() < end:
                pass
            os.write(writer, Path("/proc/self/schedstat").read_bytes())
            os._exit(0)
        pids.append(pid)
    told = [os.read(reader, 100).split() for reader, _ in pipes]
    for pid in pids:
        os.waitpid(pid, 0)
    return {
        str(pid): {"us": int(words[1]) / 1000, "count": int(words[2])}
        for pid, words in zip(pids, told, strict=True)
    }


def hunger() -> Any:
    """A child in a memory cgroup that is too small for it."""
    group, limit, event = _memory_group()
    group.mkdir()
    try:
        _limit(group / limit, 32 << 20)
        pid = os.fork()
        if not pid:
            (group / "cgroup.procs").write_text(str(os.getpid()))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            held = [bytearray(1 << 20) for _ in range(512)]
            os._exit(len(held) % 2)
        _, status = os.waitpid(pid, 0)
        kills = dict(line.split() for line in (group / event).read_text().splitlines())
        return {"pid": pid, "signal": os.WTERMSIG(status), "kills": int(kills["oom_kill"])}
    finally:
        group.rmdir()


class Victim:
    """A child in a memory cgroup, the first to be killed when another process fills the group."""

    __name__ = "victim"

    def prepare(self) -> None:
        self._group, limit, _ = _memory_group()
        self._group.mkdir()
        _limit(self._group / limit, 48 << 20)
        Path("group").write_text(str(self._group))
        settled, told = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            (self._group / "cgroup.procs").write_text(str(os.getpid()))
            Path("/proc/self/oom_score_adj").write_text("1000")
            held = bytearray(24 << 20)
            os.write(told, b"x")
            time.sleep(60)
            os._exit(len(held) % 2)
        os.read(settled, 1)

    def __call__(self) -> Any:
        _, status = os.waitpid(self._pid, 0)
        self._group.rmdir()
        return {"pid": self._pid, "signal": os.WTERMSIG(status)}


def crowds_out() -> int:
    """More memory than a victim's group has left, taken by a child of another family.

    On a busy machine the victim may take so long to die that the child is killed as well.
    """
    group = Path(Path("group").read_text())
    pid = os.fork()
    if not pid:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        held = bytearray(32 << 20)
        os._exit(len(held) % 2)
    os.waitpid(pid, 0)
    return pid


def _limit(file: Path, size: int) -> None:
    """Swap is off in the group: swapping would take long, and no process would be killed."""
    file.write_text(str(size))
    for swap, most in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", size)):
        if file.with_name(swap).exists():
            file.with_name(swap).write_text(str(most))


def _memory_group() -> tuple[Path, str, str]:
    name = f"kscope-test-{os.getpid()}"
    unified, legacy = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
    if (legacy / "cgroup.procs").exists():
        return legacy / name, "memory.limit_in_bytes", "memory.oom_control"
    if "memory" in (unified / "cgroup.subtree_control").read_text():
        return unified / name, "memory.max", "memory.events"
    raise OSError("no memory controller")


ACTIONS: dict[str, Callable[[], Any]] = {
    action.__name__: action
    for action in (
        opens, opens_many, opens_on, calls, programs, ends, signals, connections, lossy,
        interrupts, packets, crowd, hunger, EarlyChild(), Reads(), EndlessReads(), Victim(),
        crowds_out,
    )
}  # fmt: skip


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    action = ACTIONS[sys.argv[1]]
    os.chdir(sys.argv[2])
    getattr(action, "prepare", lambda: None)()
    _say("ready")
    sys.stdin.readline()
    _say(json.dumps(action()))
    sys.stdin.read()


if __name__ == "__main__":
    main()
