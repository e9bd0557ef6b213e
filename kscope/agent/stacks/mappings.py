"""The executable parts of a process's memory, from /proc/PID/maps."""

from dataclasses import dataclass

_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mapping:
    """An executable part of a process's memory. `offset` is that of its first byte in the file."""

    start: int
    end: int
    offset: int
    in_file: bool
    is_vdso: bool


def executable(pid: int | str) -> list[Mapping]:
    """Return the executable mappings in ascending order; none if the process has ended."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:  # noqa: PTH123 - a hot path
            text = file.read(_MOST_BYTES)
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        place, rights, offset, _, inode, *name = line.split(None, 5)
        if b"x" in rights:
            start, end = (int(each, 16) for each in place.split(b"-"))
            is_vdso = name == [b"[vdso]"]
            found.append(Mapping(start, end, int(offset, 16), inode != b"0", is_vdso))
    return found
