"""Whose code an address in a map is, as perf names the map: the kernel's, a JIT compiler's."""

import re

# Where the kernel's half of the addresses begins on x86-64 and arm64. Its last page holds no code.
_KERNEL = range(0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_F000)
# perf names modules of the kernel so, and prints addresses inside their files, or 32-bit ones.
_MODULE = re.compile(r"\[[\w-]+\]")
_MODULES_END = 2**32
_KERNEL_FILE = re.compile(r"vmlinu[xz]([-._][\w.+~-]*)?|kcore|.+\.ko(\.(xz|zst|gz|debug))*")
_KERNEL_MAPS = ("[kernel", "[guest.kernel", "bpf_prog_", "bpf_trampoline_", "bpf_dispatcher_")
# Memory that only programs have, whatever its addresses look like.
_USER_MAP = re.compile(
    r"\[(vdso\w*|vsyscall|vvar\w*|vectors|sigpage|uprobes|heap|stack(:\d+)?|anon\b.*|JIT\b.*)\]"
)
_COMPILED = re.compile(
    r"perf-\d+\.map|jitted-.*\.so|//anon|\[(JIT|anon|unknown)\b.*|.*\b(memfd:|dalvik-|jit-cache).*"
)
DELETED = " (deleted)"


def is_kernel(address: int, place: str) -> bool:
    """Return whether the address in the map `place` is of the kernel or one of its modules."""
    if _USER_MAP.fullmatch(place):
        return False
    if place.startswith(_KERNEL_MAPS) or address in _KERNEL:
        return True
    if _MODULE.fullmatch(place) and place != "[unknown]" and address < _MODULES_END:
        return True
    return _KERNEL_FILE.fullmatch(file_name(place)) is not None


def is_compiled(place: str) -> bool:
    """Return whether the map is memory that a JIT compiler writes, or of no known file."""
    return (
        not place
        or _COMPILED.fullmatch(place) is not None
        or (_COMPILED.fullmatch(file_name(place)) is not None)
    )


def file_name(place: str) -> str:
    """Return the name of the file without its folders."""
    return place.removesuffix(DELETED).rpartition("/")[2]
