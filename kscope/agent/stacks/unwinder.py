"""Loads the tables that BPF walks by, while the probe runs."""

import ctypes
import fcntl
import functools
import logging
import os
import platform
import resource
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kscope.agent.host.btf import enum_words, member_offsets
from kscope.agent.host.libbcc import RingBuffer
from kscope.agent.stacks.binaries import Binary, shared, vdso
from kscope.agent.stacks.mappings import executable
from kscope.agent.stacks.python import MEMBERS
from kscope.agent.stacks.tables import Table
from kscope.agent.stacks.walk import FILE_BIT, VDSO
from kscope.errors import KscopeError, printable

log = logging.getLogger(__name__)
FILES = 16384  # KS_FILES
_NUMBERS_READY = 1024  # as many as ks_numbers holds
_OPEN_FILES = 65536
_UNUSED_DRAINS = 2
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
        last = max(at for key, at in numbers.items() if key.startswith(f"KS_AT_{name}__"))
        numbers[f"KS_AT_{name}__end"] = last + 8
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
        self._next_number = VDSO + 1
        self._taken = VDSO  # the latest number that the program took
        self._stopping = threading.Event()
        self._reader = ThreadPoolExecutor(1, "unwind-tables")
        self._buffer = RingBuffer(program["ks_new_files"], self._take)
        self._opener = threading.Thread(target=self._listen, name="unwind-files", daemon=True)
        _allow_open_files()
        if code := vdso():
            self._keep(_NewFile(number=VDSO), code)
        self._add_numbers()
        self._opener.start()

    def file(self, number: int) -> Binary | None:
        """Return a file by its number; None if it was gone before it could be opened."""
        file = self._files.get(number)
        if file is None:
            return None
        file.seen = self._drain
        if file.is_out:
            file.is_out = False
            self._reader.submit(self._read, file)
        return file.binary

    def has_tail_calls(self, frames: Iterable[int]) -> bool:
        """Return whether a frame is in a CPython that has a C function for each instruction."""
        files = {frame >> FILE_BIT for frame in frames}
        found = (self._files[number].binary.python() for number in files if number in self._files)
        return any(python and python.tail_calls for python in found)

    def drained(self) -> None:
        """Count the drains: tables that no stack needs any more make room for others."""
        self._drain += 1

    def prepare(self, pid: int) -> None:
        """Load the rules of a process's files now, so that its first stacks are whole."""
        for mapping in executable(pid):
            binary = self._binaries.of(pid, mapping.start, mapping.end) if mapping.in_file else None
            if binary:
                path = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
                self._taken = self._program["ks_numbers"].pop().value
                told = _NewFile(_likely_key(path), self._taken)
                file = self._files[self._taken] = _File(told, binary)
                self._read(file)

    def close(self) -> None:
        self._stopping.set()
        self._opener.join()
        self._reader.shutdown(cancel_futures=True)
        self._buffer.close()
        for file in self._files.values():
            self._binaries.release(file.binary)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            self._buffer.poll(_POLL_MS)
            self._add_numbers()

    def _add_numbers(self) -> None:
        """Keep numbers ready for the program. They are not used again: a stack can hold them."""
        ready = self._next_number - 1 - self._taken
        for _ in range(min(_NUMBERS_READY - ready, FILES - self._next_number)):
            self._program["ks_numbers"].push(ctypes.c_uint(self._next_number))
            self._next_number += 1

    def _take(self, data: bytes) -> None:
        told = _NewFile.from_buffer_copy(data)
        self._taken = max(self._taken, told.number)
        if told.number in self._files:
            return
        if binary := self._binaries.of(told.tgid, told.start, told.end):
            self._keep(told, binary)

    def _keep(self, told: _NewFile, binary: Binary) -> None:
        file = self._files[told.number] = _File(told, binary, self._drain)
        self._tell(told, _OPEN)
        self._reader.submit(self._read, file)

    def _read(self, file: "_File") -> None:
        if python := file.binary.python():
            layouts = self._program["ks_python_layouts"]
            layout = layouts.Leaf.from_buffer_copy(python.layout)
            layouts[ctypes.c_uint(file.told.number)] = layout
        table = file.binary.table()
        if table and self._has_room(table.size):
            self._outer[ctypes.c_int(file.told.number)] = ctypes.c_int(table.descriptor)
            file.loaded = table.size
            self._tell(file.told, _READ, table)
            return
        if table:
            self._leave_out(file)
        else:
            self._tell(file.told, _READ)

    def _leave_out(self, file: "_File") -> None:
        """Say once that there is no room; the rows about binaries name the files."""
        file.is_out = True
        self._tell(file.told, _OPEN)
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "the rules of %s do not fit: its stacks are walked by frame pointers; a larger "
                "--unwind-memory holds more",
                printable(file.binary.name),
            )

    def _has_room(self, size: int) -> bool:
        """Return whether a table fits, if need be in place of those that no stack needed lately."""
        loaded = sorted((f for f in [*self._files.values()] if f.loaded), key=lambda f: f.seen)
        used = sum(file.loaded for file in loaded)
        for file in loaded:
            if used + size <= self._budget or file.seen >= self._drain - _UNUSED_DRAINS:
                break
            used -= file.loaded
            file.loaded, file.is_out = 0, True
            self._tell(file.told, _OPEN)
            del self._outer[ctypes.c_int(file.told.number)]
        return used + size <= self._budget

    @property
    def _outer(self) -> Any:
        return self._program["ks_tables"]

    def _tell(self, told: _NewFile, known: int, table: Table | None = None) -> None:
        files = self._program["ks_files"]
        python = known == _READ and self._files[told.number].binary.python() is not None
        key = files.Key(*(getattr(told.key, name) for name, _ in _FileKey._fields_))
        head = (table.base, table.shift, table.chunks) if table else (0, 0, 0)
        files[key] = files.Leaf(told.number, known, 0, *head, int(python))


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


def _allow_open_files() -> None:
    """Raise the limit of open files: each file that processes run stays open for its names."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _likely_key(path: str) -> _FileKey:
    """Return the key that BPF will find for a file. On file systems of several layers or devices,
    or without generations, it is another one; then BPF reports the file as a new one.
    """
    generation = bytearray(8)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _FileKey()
    try:
        found = os.fstat(descriptor)
        with suppress(OSError):
            fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, generation)
    finally:
        os.close(descriptor)
    device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
    number = int.from_bytes(generation[:4], "little")
    return _FileKey(found.st_ino, found.st_size, int(found.st_mtime), device, number)
