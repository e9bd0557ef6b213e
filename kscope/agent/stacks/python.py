"""CPython in ELF files: where it keeps its threads and their frames.

CPython 3.11 and 3.12 have fixed offsets for 64-bit machines. Later versions carry a table of them
at the start of `_PyRuntime`, `_Py_DebugOffsets` in Include/internal/pycore_debug_offsets.h.
"""

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from kscope.elf.addresses import addresses
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from kscope.elf.symbol_table import Symbol

# Members of the kernel's structs that python.h reads, by the constant's name.
MEMBERS = {
    "KS_AT_task_struct__thread_pid": "task_struct.thread_pid",
    "KS_AT_pid__level": "pid.level",
    "KS_AT_pid__numbers": "pid.numbers",
}
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
_LOAD, _EXECUTABLE = 1, 1
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
        ("padding", ctypes.c_uint8),
    )


@dataclass(frozen=True, slots=True)
class Python:
    """CPython in an ELF file. `version` is such as (3, 11).

    `tail_calls` tells an interpreter that has a C function for each instruction, which
    `_PyEval_EvalFrameDefault` calls.
    """

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


def python_in(image: Image) -> Python | None:
    """Return the CPython 3.11 to 3.14 in an ELF file, None if there is none. Raises ElfError.

    Free-threaded builds, alpha and beta versions and debug builds of 3.11 and 3.12 are left out.
    """
    symbols = addresses(image, (_RUNTIME,))
    if symbols:
        symbols |= addresses(image, (_VERSION, _CODE_TYPE, _EVAL, *_DEBUG_BUILD))
    if not {_RUNTIME, _VERSION, _CODE_TYPE} <= symbols.keys():
        return None
    whole = int.from_bytes(_bytes_at(image, symbols[_VERSION], 4), "little")
    version = (whole >> 24, whole >> 16 & 0xFF)
    offsets = _offsets(version, image, symbols)
    if whole & 0xFF < _RELEASED or offsets is None or not offsets.are_known():
        return None
    loop = symbols.get(_EVAL)
    code = _code_from_offset(image, loop.address if loop else 0)
    layout = _layout(offsets, symbols, code, is_entry=version == (3, 11))
    return Python(version, layout, loop is not None and 0 < loop.size < _SHORT_LOOP)


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


def _code_from_offset(image: Image, loop: int) -> int:
    """Return how much larger the address of the interpreter's code is than its offset in the file.

    Files that were optimized after linking have several segments of code, and the one with the
    interpreter's loop has nearly all its functions.
    """
    code = [each for each in image.segments if each.kind == _LOAD and each.flags & _EXECUTABLE]
    for each in [*(e for e in code if e.address <= loop < e.address + e.size), *code]:
        return each.address - each.offset
    raise ElfError("has no code")


def _layout(
    offsets: _Offsets, symbols: Mapping[str, Symbol], code: int, *, is_entry: bool
) -> PythonLayout:
    same = {
        name: getattr(offsets, name) for name, _ in PythonLayout._fields_ if hasattr(offsets, name)
    }
    return PythonLayout(
        **same,
        runtime=symbols[_RUNTIME].address - code,
        code_type=symbols[_CODE_TYPE].address - code,
        is_entry=is_entry,
    )
