"""CPython processes: which they are, and where their interpreter keeps its threads and frames.

CPython 3.11 and 3.12 have fixed offsets for 64-bit machines. Later versions carry a table of them
at the start of `_PyRuntime`, `_Py_DebugOffsets` in Include/internal/pycore_debug_offsets.h.
"""

import ctypes
import functools
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kscope.agent.host.memory import Memory
from kscope.elf.addresses import Symbol, addresses
from kscope.elf.contents import FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import Image

_RUNTIME, _VERSION, _CODE_TYPE, _EVAL = (
    "_PyRuntime", "Py_Version", "PyCode_Type", "_PyEval_EvalFrameDefault",
)  # fmt: skip
# A build with Py_DEBUG has one of these. Its structs have further members.
_DEBUG_BUILD = ("_Py_RefTotal", "_Py_IncRefTotal_DO_NOT_USE_THIS")
_COOKIE = b"xdebugpy"
_TABLE_BYTES = 384
_RELEASED = 0xC0  # release candidates and later, in the last byte of the version
# Larger offsets than any struct of CPython has.
_MAX_OFFSET = 1 << 20
_MAX_SMALL = 4096
_MAX_CANDIDATES = 16
_MAX_FILES = 1024
_LOAD, _EXECUTABLE = 1, 1
_PAGE = 4096
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of the kernel
# The loop of an interpreter that calls a function for each instruction is this short.
_SHORT_LOOP = 8 * 1024
_NO_CFRAME = 0xFFFF
# The BPF program reads these parts of a frame and of a code object: see python.h.
_FRAMES = ((0, 8), (32, 48))
_OWNERS = range(64, 80)
_CODE_POINTERS = (112, 120, 128)
_CODE_LINES = (68, 72)


class PythonLayout(ctypes.Structure):
    """`struct ks_python_layout` of python.h, which explains the members."""

    _fields_ = (
        ("runtime", ctypes.c_uint64),
        ("code_type", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64),
        ("device", ctypes.c_uint32),
        ("interpreters", ctypes.c_uint32),
        ("next_interpreter", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("next_thread", ctypes.c_uint16),
        ("interpreter", ctypes.c_uint16),
        ("native_id", ctypes.c_uint16),
        ("frame", ctypes.c_uint16),
        ("in_cframe", ctypes.c_uint16),
        ("owner", ctypes.c_uint16),
        ("line", ctypes.c_uint16),
        ("ascii", ctypes.c_uint16),
        ("compact", ctypes.c_uint16),
        ("is_entry", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 5),
    )


@dataclass(frozen=True, slots=True)
class PythonProcess:
    """A process that runs CPython.

    `version` is that of the interpreter, such as (3, 11). `tail_calls` tells an interpreter that
    has a C function for each instruction, which `_PyEval_EvalFrameDefault` calls.
    """

    pid: int
    version: tuple[int, int]
    layout: PythonLayout
    tail_calls: bool


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Offsets in bytes, in the order of the tables below."""

    interpreters: int
    next_interpreter: int
    threads: int
    next_thread: int
    interpreter: int
    frame: int
    native_id: int
    previous: int
    code: int
    owner: int
    filename: int
    name: int
    qualname: int
    line: int
    in_cframe: int = _NO_CFRAME
    ascii: int = 40
    compact: int = 56

    def are_known(self) -> bool:
        """Return whether the BPF program can read structs with these offsets."""
        small = (self.next_thread, self.interpreter, self.frame, self.native_id)
        return (
            max(self.interpreters, self.next_interpreter, self.threads) < _MAX_OFFSET
            and max(small) < _MAX_SMALL
            and (self.code, self.previous) in _FRAMES
            and self.owner in _OWNERS
            and (self.filename, self.name, self.qualname) == _CODE_POINTERS
            and self.line in _CODE_LINES
        )


# From the structs of 3.11 and 3.12. In 3.11 `owner` is the member `is_entry`, and a string has one
# member more.
_FIXED = {
    (3, 11): _Offsets(
        40, 0, 16, 8, 16, 56, 160, 48, 32, 68, 112, 120, 128, 72, in_cframe=8, ascii=48, compact=72
    ),
    (3, 12): _Offsets(40, 0, 72, 8, 16, 56, 144, 8, 0, 70, 112, 120, 128, 68, in_cframe=0),
}
# Where _Py_DebugOffsets has them.
_TABLES = {
    (3, 13): (40, 64, 72, 168, 176, 184, 200, 232, 240, 264, 280, 288, 296, 312),
    (3, 14): (40, 64, 72, 192, 200, 208, 224, 256, 264, 288, 320, 328, 336, 352),
}


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """CPython in an ELF file; addresses are those of the file.

    `code` are its executable segments: offset and size in the file, and address.
    """

    version: tuple[int, int]
    offsets: _Offsets
    runtime: int
    code_type: int
    tail_calls: bool
    code: tuple[tuple[int, int, int], ...]


def python_process(pid: int) -> PythonProcess | None:
    """Return the process if it runs CPython 3.11 to 3.14; None otherwise, and if it has ended.

    Free-threaded builds, alpha and beta versions and debug builds of 3.11 and 3.12 are left out.
    """
    for path, start, offset in _candidates(pid):
        place = _interpreter_at(path, start, offset)
        if place:
            found, bias = place
            layout = _layout(pid, found, bias)
            sound = _is_sound(pid, layout)
            return PythonProcess(pid, found.version, layout, found.tail_calls) if sound else None
    return None


def _candidates(pid: int) -> Iterator[tuple[str, int, int]]:
    """Yield the file, the start and the file offset of mappings that can be CPython's code."""
    folder, yielded = f"/proc/{pid}", 0
    try:
        program = os.readlink(f"{folder}/exe")  # noqa: PTH115 - a hot path
        lines = Path(f"{folder}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        place, rights, offset, _, _, *names = line.split(None, 5)
        name = names[0] if names else ""
        if "x" not in rights or not (name == program or "python" in name.rpartition("/")[2]):
            continue
        yielded += 1
        if yielded > _MAX_CANDIDATES:
            return
        start, end = (int(each, 16) for each in place.split("-"))
        yield f"{folder}/map_files/{start:x}-{end:x}", start, int(offset, 16)


def _interpreter_at(path: str, start: int, offset: int) -> tuple[_Interpreter, int] | None:
    """Return the interpreter in a mapped file, and how far its addresses are from the file's."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a hot path
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        interpreter = _in_file(_File(path, key))
    except OSError:
        return None
    if interpreter is None:
        return None
    for segment_offset, size, address in interpreter.code:
        if segment_offset & -_PAGE <= offset < segment_offset + size:
            return interpreter, start - (address - segment_offset + offset)
    return None


class _File:
    """A path that is equal to others of the same file."""

    def __init__(self, path: str, key: tuple[int, ...]) -> None:
        self.path = path
        self._key = key

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _File) and other._key == self._key


@functools.lru_cache(_MAX_FILES)
def _in_file(file: _File) -> _Interpreter | None:
    try:
        contents = FileContents(file.path)
    except ElfError:
        return None
    try:
        return interpreter(Image(contents))
    except ElfError:
        return None
    finally:
        contents.close()


def interpreter(image: Image) -> _Interpreter | None:
    """Return the interpreter in an ELF file, None if none is known. Raises ElfError."""
    symbols = addresses(image, (_RUNTIME, _VERSION, _CODE_TYPE, _EVAL, *_DEBUG_BUILD))
    if not {_RUNTIME, _VERSION, _CODE_TYPE} <= symbols.keys():
        return None
    whole = int.from_bytes(_bytes_at(image, symbols[_VERSION], 4), "little")
    version = (whole >> 24, whole >> 16 & 0xFF)
    offsets = _offsets(version, image, symbols)
    if whole & 0xFF < _RELEASED or offsets is None or not offsets.are_known():
        return None
    loop = symbols.get(_EVAL, Symbol(0, 0)).size
    return _Interpreter(
        version,
        offsets,
        symbols[_RUNTIME].address,
        symbols[_CODE_TYPE].address,
        0 < loop < _SHORT_LOOP,
        tuple(
            (each.offset, each.size, each.address)
            for each in image.segments
            if each.kind == _LOAD and each.flags & _EXECUTABLE
        ),
    )


def _offsets(
    version: tuple[int, int], image: Image, symbols: Mapping[str, Symbol]
) -> _Offsets | None:
    if version in _FIXED:
        return None if symbols.keys() & {*_DEBUG_BUILD} else _FIXED[version]
    if version not in _TABLES:
        return None
    table = _bytes_at(image, symbols[_RUNTIME], _TABLE_BYTES)
    free_threaded = struct.unpack_from("<Q", table, 16)[0]
    if table[:8] != _COOKIE or free_threaded:
        return None
    return _Offsets(*(struct.unpack_from("<Q", table, at)[0] for at in _TABLES[version]))


def _bytes_at(image: Image, symbol: Symbol, size: int) -> bytes:
    offset = image.offset(symbol.address)
    if offset is None:
        raise ElfError(f"has no bytes for the address {symbol.address:#x}")
    return bytes(image.read(offset, size))


def _layout(pid: int, found: _Interpreter, bias: int) -> PythonLayout:
    offsets = found.offsets
    same = {
        name: getattr(offsets, name) for name, _ in PythonLayout._fields_ if hasattr(offsets, name)
    }
    namespace, device = _pid_namespace(pid)
    return PythonLayout(
        **same,
        runtime=found.runtime + bias,
        code_type=found.code_type + bias,
        namespace=namespace,
        device=device,
        is_entry=found.version == (3, 11),
    )


def _pid_namespace(pid: int) -> tuple[int, int]:
    """Return inode and device of the pid namespace in which the process knows its threads.

    Both are 0 for the first namespace, where no ids need to be looked up.
    """
    try:
        found = os.stat(f"/proc/{pid}/ns/pid")  # noqa: PTH116 - a hot path
    except OSError:
        return 0, 0
    if found.st_ino == _FIRST_PID_NAMESPACE:
        return 0, 0
    # As the kernel stores a device's number.
    return found.st_ino, os.major(found.st_dev) << 20 | os.minor(found.st_dev)


def _is_sound(pid: int, layout: PythonLayout) -> bool:
    """Return whether the first thread says that it belongs to the first interpreter.

    An interpreter that has not started yet has no threads.
    """
    with Memory(pid) as memory:
        interpreter = memory.word(layout.runtime + layout.interpreters)
        thread = memory.word(interpreter + layout.threads) if interpreter else 0
        return not thread or memory.word(thread + layout.interpreter) == interpreter
