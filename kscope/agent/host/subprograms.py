"""Functions that BPF programs call: the kernel verifies each once, for any arguments.

bcc compiles each function to a separate program and cannot call one. A call in `stacks.h` has a
number in place of a helper's; here the called functions are put behind the program, which is then
loaded with the types (BTF) that make them global functions. They take and return a u64.
"""

import ctypes
import os
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kscope.agent.host.bpfstats import bpf
from kscope.agent.host.btf import function_id

_CALLS = 0x4B530000  # KS_CALL(0)
_NAMED = re.compile(r"ks_sub(\d+)_(\w+)")
_INSTRUCTION = struct.Struct("<BBhi")
_CALL = 0x85
_TO_PROGRAM = 1 << 4  # src_reg BPF_PSEUDO_CALL
_BTF_LOAD, _PROG_LOAD = 18, 5
_LOG_BYTES = 1 << 20
_STATIC, _GLOBAL = 0, 1
# The programs that the kernel ties to a function when it loads them, by the beginning of their
# names: expected_attach_type, and what the name of the kernel's function begins with.
_TIED = {
    "kfunc__": (24, ""),
    "kretfunc__": (25, ""),
    "kmod_ret__": (26, ""),
    "lsm__": (27, "bpf_lsm_"),
}


@dataclass(frozen=True, slots=True)
class Linked:
    """A program with the functions behind it. `starts`: name and first instruction of each."""

    code: bytes
    starts: tuple[tuple[str, int], ...]


def numbered(functions: list[str]) -> dict[int, str]:
    """Return the functions that programs can call, by their numbers in KS_SUBPROGRAM."""
    found = (_NAMED.fullmatch(name) for name in functions)
    return {int(match[1]): match[0] for match in found if match}


def linked(name: str, read: Callable[[str], bytes], callable_: Mapping[int, str]) -> Linked | None:
    """Return the program with all functions that it calls; None if it calls none.

    `read` returns the instructions of a function as bcc compiled it.
    """
    starts = {name: 0}
    code = bytearray(read(name))
    waiting = [name]
    calls: list[tuple[int, str]] = []
    while waiting:
        at = starts[waiting.pop(0)]
        for place, callee in _calls_from(code, at, callable_):
            calls.append((place, callee))
            if callee not in starts:
                starts[callee] = len(code)
                code += read(callee)
                waiting.append(callee)
    for place, callee in calls:
        distance = (starts[callee] - place) // 8 - 1
        _INSTRUCTION.pack_into(code, place, _CALL, _TO_PROGRAM, 0, distance)
    if not calls:
        return None
    return Linked(bytes(code), tuple((name, at // 8) for name, at in starts.items()))


def _calls_from(code: bytearray, at: int, callable_: Mapping[int, str]) -> list[tuple[int, str]]:
    """Return place and function of each numbered call from `at` to the end of the code."""
    found = []
    for place in range(at, len(code), 8):
        opcode, source, _, number = _INSTRUCTION.unpack_from(code, place)
        if opcode == _CALL and not source and number - _CALLS in callable_:
            found.append((place, callable_[number - _CALLS]))
    return found


def load(program: Linked, kind: int, name: str) -> int:
    """Return the file descriptor of a loaded program. Raises OSError with the verifier's log."""
    types = _btf([name for name, _ in program.starts])
    types_fd = _loaded_types(types)
    try:
        return _loaded(program, kind, name, types_fd)
    finally:
        os.close(types_fd)


def _loaded_types(types: bytes) -> int:
    data = ctypes.create_string_buffer(types, len(types))
    attributes = struct.pack("<QQIII", ctypes.addressof(data), 0, len(types), 0, 0)
    return bpf(_BTF_LOAD, attributes.ljust(128, b"\0"))


def _loaded(program: Linked, kind: int, name: str, types_fd: int) -> int:
    code = ctypes.create_string_buffer(program.code, len(program.code))
    licence = ctypes.create_string_buffer(b"GPL")
    # Type ids of the functions follow those of u64 and of the signature.
    info = b"".join(struct.pack("<II", at, 3 + n) for n, (_, at) in enumerate(program.starts))
    infos = ctypes.create_string_buffer(info, len(info))
    attach_type, function = _tie(name)

    def attempt(level: int, log: "ctypes.Array[ctypes.c_char] | None") -> int:
        attributes = struct.pack(
            "<IIQQIIQII16sIIIIQIIQII",
            kind,
            len(program.code) // 8,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            level,
            len(log) if log else 0,
            ctypes.addressof(log) if log else 0,
            0,
            0,
            name.encode()[:15],
            0,
            attach_type,
            types_fd,
            8,
            ctypes.addressof(infos),
            len(program.starts),
            0,
            0,
            0,
            function,
        )
        return bpf(_PROG_LOAD, attributes.ljust(160, b"\0"))

    try:
        return attempt(0, None)
    except OSError as refused:
        log = ctypes.create_string_buffer(_LOG_BYTES)
        try:
            return attempt(1, log)
        except OSError:
            said = log.value.decode("utf-8", "replace")
            raise OSError(refused.errno, f"{refused.strerror}\n{said}") from None


def _tie(program: str) -> tuple[int, int]:
    """Return expected_attach_type and attach_btf_id of a program; zeros for most kinds."""
    for beginning, (attach_type, before) in _TIED.items():
        if program.startswith(beginning):
            # Newer versions of bcc have the kernel's own name in front of the function's.
            name = program.removeprefix(beginning).removeprefix("vmlinux__")
            return attach_type, function_id(before + name)
    return 0, 0


def _btf(names: list[str]) -> bytes:
    """Return types: u64, its signature, and a function each; all but the first are global."""
    strings = b"\0"
    places = []
    for name in ("u64", "argument", *names):
        places.append(len(strings))
        strings += name.encode() + b"\0"
    types = struct.pack("<IIII", places[0], 1 << 24, 8, 64)
    types += struct.pack("<IIIII", 0, 13 << 24 | 1, 1, places[1], 1)
    for n, place in enumerate(places[2:]):
        types += struct.pack("<III", place, 12 << 24 | (_GLOBAL if n else _STATIC), 2)
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings
