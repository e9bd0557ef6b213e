"""Names as people write them in C++ and Rust, from those of the linker."""

import ctypes
import functools
import re
from collections.abc import Callable

from kscope.elf.rust import demangle_legacy, demangle_v0

# libstdc++ itself refuses longer names, and no reader of a stack wants longer results.
MAX_MANGLED = 1000
MAX_RESULT = 2000
# A reference repeats an earlier part of the name, which can have references itself: 24 of them make
# a name up to 3 ** 8 times longer. An expansion repeats a part for each of some hundred types. What
# follows a conversion is read twice, and so is everything in it. Of 66,000 functions of Node, 35
# are above these bounds.
MAX_REFERENCES = 24
MAX_EXPANDED, MAX_EXPANDED_REFERENCES = 500, 16
MAX_CONVERTED_REFERENCES = 12
_REFERENCE = re.compile(r"[ST][0-9A-Z]*_|f[pL]")
_EXPANSION = re.compile(r"Dp|sp|f[lrLR]")
# Parts of a mangled name whose digits do not count the letters of an identifier, then the others.
_PART = re.compile(r"[ST][0-9A-Z]*_|L_Z|L[a-tv-z][^E]*E|[CD]I?[0-9]|[0-9]+|.", re.DOTALL)
_NO_IDENTIFIER_AFTER = ("S", "T", "L", "f", "F", "n", "_")
_KEPT = 4096


@functools.lru_cache(_KEPT)
def demangle(name: str) -> str:
    """Return the name as `c++filt` prints it, or the name itself if it is not mangled, is damaged
    or would be too long.
    """
    if len(name) > MAX_MANGLED or not name.startswith(("_Z", "_R")):
        return name
    readable = (demangle_legacy(name) or _cpp(name)) if name[1] == "Z" else demangle_v0(name)
    return readable if readable and len(readable) <= MAX_RESULT else name


def _cpp(name: str) -> str:
    """Return the readable C++ name, empty if it is damaged, hostile, or libstdc++ is missing."""
    functions = _libstdcpp()
    if functions is None or not _bounded(name):
        return ""
    cxa_demangle, free = functions
    address = cxa_demangle(name.encode(), None, None, ctypes.byref(ctypes.c_int()))
    if not address:
        return ""
    try:
        return ctypes.string_at(address).decode("utf-8", "replace")
    finally:
        free(address)


def _bounded(name: str) -> bool:
    """Return whether the readable name cannot take more than some megabytes and milliseconds."""
    # Identifiers can look like what is counted, and to leave them out takes longer than the rest.
    return _within_bounds(name, len(name)) or _within_bounds(_without_identifiers(name), len(name))


def _within_bounds(code: str, length: int) -> bool:
    references = len(_REFERENCE.findall(code))
    expansions = len(_EXPANSION.findall(code))
    if "cv" in code:
        return references <= MAX_CONVERTED_REFERENCES and not expansions
    if expansions:
        is_short = length <= MAX_EXPANDED and references <= MAX_EXPANDED_REFERENCES
        return is_short and expansions == 1
    return references <= MAX_REFERENCES


def _without_identifiers(name: str) -> str:
    """Return the name without the identifiers in it, except some that it is not sure of."""
    kept: list[str] = []
    before, at = "", len("_Z")
    while found := _PART.match(name, at):
        part, at = found[0], found.end()
        if part == "L" and before:
            # A constant of any type, which can have any digits.
            return "".join(kept) + name[at:]
        is_length = not before or name[at : at + 1] not in ("_", "E")
        if part.isdecimal() and is_length and before not in _NO_IDENTIFIER_AFTER:
            at += int(part)
        kept.append(part)
        before = part if part != "L" else "start"
    return "".join(kept)


@functools.cache
def _libstdcpp() -> tuple[Callable[..., int | None], Callable[[int], None]] | None:
    """Return __cxa_demangle and free of libstdc++, which the agent has because libbcc needs it."""
    try:
        library = ctypes.CDLL("libstdc++.so.6")
        functions = library["__cxa_demangle"], library["free"]
    except (OSError, AttributeError):
        return None
    functions[0].restype = ctypes.c_void_p
    functions[1].argtypes = [ctypes.c_void_p]
    return functions
