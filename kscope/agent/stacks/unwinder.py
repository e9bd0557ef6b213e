"""Loads the tables that BPF walks by, while the probe runs."""

import ctypes
import fcntl
import functools
import logging
import os
import platform
import resource
import stat
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from kscope.agent.host.btf import enum_words, member_offsets
from kscope.agent.host.libbcc import RingBuffer, is_compiler
from kscope.agent.stacks.binaries import Binary, shared, vdso
from kscope.agent.stacks.mappings import executable
from kscope.agent.stacks.python import MEMBERS
from kscope.agent.stacks.tables import NoRoomError, Table
from kscope.agent.stacks.walk import FILE_BIT, VDSO
from kscope.errors import KscopeError, printable

log = logging.getLogger(__name__)
FILES = 16384  # KS_FILES
_NUMBERS_READY = 1024  # as many as ks_numbers holds
_OPEN_FILES = 65536
_UNUSED_DRAINS = 2
_FORGOTTEN_DRAINS = 60
_MOST_PYTHONS = 1024  # KS_PYTHON_FILES
_POLL_MS = 200
_FS_IOC_GETVERSION = 0x80087601
_OPEN, _READ = 1, 2  # of `known` in ks_file
# Members that stacks.h reads, by the constant's name.
_MEMBERS = MEMBERS | {
    "KS_AT_task_struct__mm": "task_struct.mm",
    "KS_AT_mm_struct__vdso": "mm_struct.context.vdso",
    "KS_AT_vm_area_struct__vm_start": "vm_area_struct.vm_start",
    "KS_AT_vm_area_struct__vm_end": "vm_area_struct.vm_end",
    "KS_AT_vm_area_struct__vm_flags": "vm_area_struct.vm_flags",
    "KS_AT_vm_area_struct__vm_pgoff": "vm_area_struct.vm_pgoff",
    "KS_AT_vm_area_struct__vm_file": "vm_area_struct.vm_file",
    "KS_AT_file__f_inode": "file.f_inode",
    "KS_AT_inode__i_ino": "inode.i_ino",
    "KS_AT_inode__i_sb": "inode.i_sb",
    "KS_AT_inode__i_size": "inode.i_size",
    "KS_AT_inode__i_generation": "inode.i_generation",
    "KS_AT_super_block__s_dev": "super_block.s_dev",
}
_MAPLE, _RED_BLACK = "mm_struct.mm_mt.ma_root", "mm_struct.mm_rb"
_RED_BLACK_NODE = "vm_area_struct.vm_rb"
# The seconds of a file's last change, since Linux 6.11, since 6.7, and before.
_CHANGED = ("inode.i_mtime_sec", "inode.__i_mtime.tv_sec", "inode.i_mtime.tv_sec")
_ALONE = "KS_AT_inode__i_generation"  # far behind the others before Linux 6.11
_ALLOCATES = "bpf_htab.ma"  # since Linux 6.1
_MOST_READ = 256  # bytes of a struct that stacks.h reads at once


class _FileKey(ctypes.Structure):
    """`struct ks_file_key`."""

    _fields_ = (
        ("inode", ctypes.c_ulonglong),
        ("size", ctypes.c_ulonglong),
        ("changed", ctypes.c_ulonglong),
        ("device", ctypes.c_uint),
        ("generation", ctypes.c_uint),
    )


class _NewFile(ctypes.Structure):
    """`struct ks_new_file`."""

    _fields_ = (
        ("key", _FileKey),
        ("number", ctypes.c_uint),
        ("tgid", ctypes.c_uint),
        ("start", ctypes.c_ulonglong),
        ("end", ctypes.c_ulonglong),
    )


@functools.cache
def constants() -> Mapping[str, int]:
    """Return the constants of `stacks.h`; KS_UNWIND is 0 if the kernel cannot do it."""
    try:
        if "BPF_FUNC_task_pt_regs" in enum_words("bpf_func_id").values():
            return _offsets()
    except KscopeError as error:
        log.debug("%s", error)
    return {"KS_UNWIND": 0, "KS_ALLOCATES": 0}


def _offsets() -> Mapping[str, int]:
    found = member_offsets(
        [*_MEMBERS.values(), *_CHANGED, _MAPLE, _RED_BLACK, _RED_BLACK_NODE, _ALLOCATES]
    )
    changed = next((path for path in _CHANGED if path in found), _CHANGED[0])
    members = _MEMBERS | {"KS_AT_inode__changed": changed}
    if missing := [path for path in members.values() if path not in found]:
        raise KscopeError(f"this kernel's structs are others: {', '.join(missing)}")
    numbers = {name: found[path] for name, path in members.items()}
    numbers["KS_AT_maple_tree"] = int(_MAPLE in found)
    numbers["KS_AT_mm_struct__tree"] = found.get(_MAPLE) or found[_RED_BLACK]
    numbers["KS_AT_vm_area_struct__vm_rb"] = found.get(_RED_BLACK_NODE, 0)
    for name in ("vm_area_struct", "inode"):
        together = {key: at for key, at in numbers.items() if key.startswith(f"KS_AT_{name}__")}
        together.pop(_ALONE, None)
        numbers[f"KS_AT_{name}__end"] = max(together.values()) + 8
    if max(numbers["KS_AT_inode__end"], numbers["KS_AT_vm_area_struct__end"]) > _MOST_READ:
        raise KscopeError("this kernel's structs are too large")
    numbers["KS_ALLOCATES"] = int(_ALLOCATES in found)
    return numbers | {"KS_UNWIND": 1, "KS_FILES": FILES, "KS_ARM64": int(_is_arm64())}


def _is_arm64() -> bool:
    return platform.machine() == "aarch64"


class Unwinder:
    """Tells a program (a bcc.BPF) the files that it meets. `budget` is in bytes of all its tables.

    One thread opens files as soon as a process maps them, as it may end soon; another one reads
    their rules, which takes a second for the largest.
    """

    def __init__(self, program: Any, budget: int) -> None:
        self._program = program
        self._budget = budget
        self._binaries = shared()
        self._files: dict[int, _File] = {}
        self._drain = 0
        self._has_warned = False
        self._prepared: set[bytes] = set()
        self._pythons = 0
        self._next_number = VDSO + 1
        self._taken = VDSO  # the latest number that the program took
        self._stopping = threading.Event()
        self._unread: SimpleQueue[_File | None] = SimpleQueue()
        self._reader = threading.Thread(target=self._read_all, name="unwind-tables", daemon=True)
        self._telling = threading.Lock()  # with it, the program is still loaded
        self._buffer = RingBuffer(program["ks_new_files"], self._take)
        self._opener = threading.Thread(target=self._listen, name="unwind-files", daemon=True)
        _allow_open_files()
        if code := vdso():
            self._keep(_NewFile(number=VDSO), code)
        self._add_numbers()
        self._opener.start()
        self._reader.start()

    def file(self, number: int) -> Binary | None:
        """Return a file by its number; None if it was gone before it could be opened."""
        file = self._files.get(number)
        if file is None:
            return None
        file.seen = self._drain
        if file.is_out and file.tried < self._drain:
            file.tried = self._drain
            self._unread.put(file)
        return file.binary

    def has_tail_calls(self, frames: Iterable[int]) -> bool:
        """Return whether a frame is in a CPython that has a C function for each instruction."""
        files = {frame >> FILE_BIT for frame in frames}
        found = (self._files[number].binary.python() for number in files if number in self._files)
        return any(python and python.tail_calls for python in found)

    def drained(self) -> None:
        """Count the drains: tables that no stack needs any more make room for others, and files
        that no stack had for long are closed.
        """
        self._drain += 1
        for number, file in [*self._files.items()]:
            if file.seen < self._drain - _FORGOTTEN_DRAINS and number != VDSO:
                self._forget(number)

    def _forget(self, number: int) -> None:
        """Close a file. The program tells it again, with another number, if it meets it again."""
        file = self._files.pop(number)
        with suppress(KeyError):
            del self._program["ks_files"][self._key(file.told)]
        with suppress(KeyError):
            del self._outer[ctypes.c_int(number)]
        self._binaries.release(file.binary)

    def prepare(self, pid: int) -> None:
        """Load the rules of a process's files now, so that its first stacks are whole."""
        for mapping in executable(pid):
            place = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
            key = _likely_key(place) if mapping.in_file else None
            if key is None or bytes(key) in self._prepared:
                continue
            if _is_own_compiler(pid, mapping.start, mapping.end):
                continue
            self._prepared.add(bytes(key))
            if binary := self._binaries.of(pid, mapping.start, mapping.end):
                try:
                    self._taken = self._program["ks_numbers"].pop().value
                except KeyError:  # the program tells the rest
                    self._binaries.release(binary)
                    return
                file = self._files[self._taken] = _File(_NewFile(key, self._taken), binary)
                self._read(file)

    def close(self) -> None:
        """End the threads; one that reads a large file ends when it has read it."""
        with self._telling:
            self._stopping.set()
        self._unread.put(None)
        self._opener.join()
        self._buffer.close()
        for file in self._files.values():
            self._binaries.release(file.binary)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._buffer.poll(_POLL_MS)
                self._add_numbers()
            except Exception:
                # Without this thread no further file would be opened.
                log.exception("a file of a process cannot be opened")
                self._stopping.wait(1)

    def _add_numbers(self) -> None:
        """Keep numbers ready for the program. They are not used again: a stack can hold them."""
        ready = self._next_number - 1 - self._taken
        for _ in range(min(_NUMBERS_READY - ready, FILES - self._next_number)):
            try:
                self._program["ks_numbers"].push(ctypes.c_uint(self._next_number))
            except Exception:  # noqa: BLE001 - bcc's: the program gave one back, so it is full
                return
            self._next_number += 1
            if self._next_number == FILES:
                log.warning(
                    "%d files were seen: the stacks of further ones are walked by frame pointers "
                    "until the agent starts again",
                    FILES,
                )

    def _take(self, data: bytes) -> None:
        told = _NewFile.from_buffer_copy(data)
        self._taken = max(self._taken, told.number)
        if told.number in self._files:
            return
        if _is_own_compiler(told.tgid, told.start, told.end):
            return
        binary = self._binaries.of(told.tgid, told.start, told.end)
        if binary and _is_told(binary, told.key):
            self._keep(told, binary)
        elif binary:  # the process has mapped another file there since
            self._binaries.release(binary)

    def _keep(self, told: _NewFile, binary: Binary) -> None:
        file = self._files[told.number] = _File(told, binary, self._drain)
        self._tell(file, _OPEN)
        self._unread.put(file)

    def _read_all(self) -> None:
        while file := self._unread.get():
            if self._stopping.is_set():
                return
            try:
                self._read(file)
            except Exception:
                log.exception("the rules of %s cannot be read", printable(file.binary.name))

    def _read(self, file: "_File") -> None:
        """Read the rules of a file, which can take seconds, then load them."""
        table, fits = None, True
        try:
            table = file.binary.table(self._budget)
        except NoRoomError:
            fits = False
        with self._telling:
            if not self._stopping.is_set():
                self._load(file, table, fits=fits)

    def _load(self, file: "_File", table: Table | None, *, fits: bool) -> None:
        self._add_python(file)
        if table and not self._has_room(file, table.size):
            file.binary.unload()
            fits = False
        file.is_out = not fits
        if not fits:
            self._leave_out(file)
            return
        if table:
            self._outer[ctypes.c_int(file.told.number)] = ctypes.c_int(table.descriptor)
            file.loaded = table.size
        self._tell(file, _READ, table)

    def _add_python(self, file: "_File") -> None:
        python = file.binary.python()
        if python and self._pythons < _MOST_PYTHONS:
            layouts = self._program["ks_python_layouts"]
            layout = layouts.Leaf.from_buffer_copy(python.layout)
            layouts[ctypes.c_uint(file.told.number)] = layout
            self._pythons += 1
            file.is_python = True

    def _leave_out(self, file: "_File") -> None:
        """Say once that there is no room; the rows about binaries name the files."""
        self._tell(file, _OPEN)
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "the rules of %s do not fit: its stacks are walked by frame pointers; a larger "
                "--unwind-memory holds more",
                printable(file.binary.name),
            )

    def _has_room(self, wanted: "_File", size: int) -> bool:
        """Return whether a table fits, if need be in place of those that no stack needed lately."""
        others = [f for f in [*self._files.values()] if f.loaded and f is not wanted]
        loaded = sorted(others, key=lambda file: file.seen)
        used = sum(file.loaded for file in loaded)
        for file in loaded:
            if used + size <= self._budget or file.seen >= self._drain - _UNUSED_DRAINS:
                break
            used -= file.loaded
            file.loaded, file.is_out = 0, True
            self._tell(file, _OPEN)
            del self._outer[ctypes.c_int(file.told.number)]
            file.binary.unload()
        return used + size <= self._budget

    @property
    def _outer(self) -> Any:
        return self._program["ks_tables"]

    def _tell(self, file: "_File", known: int, table: Table | None = None) -> None:
        head = (table.base, table.shift, table.chunks) if table else (0, 0, 0)
        python = int(file.is_python and known == _READ)
        files = self._program["ks_files"]
        files[self._key(file.told)] = files.Leaf(file.told.number, known, 0, *head, python)

    def _key(self, told: _NewFile) -> Any:
        values = (getattr(told.key, name) for name, _ in _FileKey._fields_)
        return self._program["ks_files"].Key(*values)


@dataclass(slots=True)
class _File:
    """A file that has a number. `seen` is the drain that had a stack with it, `loaded` the size of
    its table in BPF; `is_out`: it has one, which is to be loaded when a stack needs it.
    """

    told: _NewFile
    binary: Binary
    seen: int = 0
    loaded: int = 0
    is_out: bool = False
    tried: int = -1  # the drain in which it was loaded again in vain
    is_python: bool = False


def _is_own_compiler(pid: int, start: int, end: int) -> bool:
    """Return whether the code is that of LLVM in this very process, whose rules take seconds."""
    return pid == os.getpid() and is_compiler(start, end)


def _allow_open_files() -> None:
    """Raise the limit of open files: each file that processes run stays open for its names."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is_told(binary: Binary, key: _FileKey) -> bool:
    """Return whether a file is the one that BPF met: by size and time of change, and its inode if
    both are on one device.
    """
    if not binary.identity:
        return True
    device, inode, size, changed = binary.identity
    same_device = _kernel_device(device) == key.device
    return (size, changed // 10**9) == (key.size, key.changed) and (
        inode == key.inode or not same_device
    )


def _kernel_device(number: int) -> int:
    """Return the number that the kernel itself has for a device."""
    return os.major(number) << 20 | os.minor(number)


def _likely_key(path: str) -> _FileKey | None:
    """Return the key that BPF will find for a file; None if it cannot be opened. On file systems of
    several layers or devices, or without generations, it is another one; then BPF reports the
    file as a new one.
    """
    generation = bytearray(8)
    try:
        # A device that a process maps is not opened: that could act on it.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a hot path
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        with suppress(OSError):
            fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, generation)
    finally:
        os.close(descriptor)
    device, number = _kernel_device(found.st_dev), int.from_bytes(generation[:4], "little")
    return _FileKey(found.st_ino, found.st_size, int(found.st_mtime), device, number)
