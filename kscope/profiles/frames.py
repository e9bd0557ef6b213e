"""Frames of other tools become one folded text, as our probes write it."""

from collections.abc import Sequence
from pathlib import PurePosixPath

KERNEL = "_[k]"
UNKNOWN = "[unknown]"
TRUNCATED = "[truncated]"
# Characters of a folded stack that a category takes, and of one frame.
_LONGEST_STACK = 65536
_LONGEST_FRAME = 4096
# A blank beside a name, an empty name.
_UNCLEAN = (";;", "; ", " ;")
_SEPARATORS = str.maketrans({";": ":", "\n": " ", "\r": " ", "\0": None})


def folded(stack: Sequence[str]) -> str:
    """Join frames, root first. A `;` in a name becomes `:`; a stack that is too long loses frames
    at its root, as one that a kernel cut does.
    """
    text = ";".join(stack)
    if len(text) <= _LONGEST_FRAME and _is_clean(text, len(stack)):
        return text
    if len(text) > 4 * _LONGEST_STACK:
        return _cut(stack)
    text = ";".join(map(clean, stack))
    return text if len(text) <= _LONGEST_STACK else _cut(stack)


def _is_clean(text: str, frames: int) -> bool:
    """Return whether the joined text is that of clean names, as nearly all are."""
    return (
        text.count(";") == frames - 1
        and text.isprintable()
        and text == text.strip(" ;")
        and not any(each in text for each in _UNCLEAN)
    )


def clean(name: str) -> str:
    """Return a frame's name without separators, and of bounded length; never an empty one."""
    name = name[:_LONGEST_FRAME]
    # Most names need no translation, which takes longer than all else here.
    if ";" in name or not name.isprintable():
        name = name.translate(_SEPARATORS)
    return name.strip() or UNKNOWN


def marked(name: str, file: str, program: str = "") -> str:
    """Return the name with a mark for the kernel, or for a library other than the program itself.

    `file` is the path of the mapped file that holds the function.
    """
    if file.startswith(("[kernel", "[guest.kernel")) or file.endswith((".ko", ".ko.xz", ".ko.zst")):
        return name if name.endswith(KERNEL) else f"{name}{KERNEL}"
    library = file_name(file)
    is_library = ".so" in library or library == "vdso"
    return f"{name} [{library}]" if is_library and library != program else name


def without_name(file: str, address: int) -> str:
    """Return the frame of a function that has no name: `libx.so.6+0x1a30`, or its address alone."""
    library = file_name(file)
    if not library:
        return f"0x{address:x}" if address else UNKNOWN
    return f"{library}+0x{address:x}"


def file_name(path: str) -> str:
    """Return the last part of a mapped file's path."""
    return PurePosixPath(path[-_LONGEST_FRAME:].removesuffix(" (deleted)")).name.strip("[]")


def _cut(frames: Sequence[str]) -> str:
    kept: list[str] = []
    room = _LONGEST_STACK - len(TRUNCATED)
    for name in map(clean, reversed(frames)):
        room -= len(name) + 1
        if room < 0:
            break
        kept.append(name)
    return ";".join([TRUNCATED, *reversed(kept)])
