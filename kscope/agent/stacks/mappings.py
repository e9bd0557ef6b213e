"""The executable parts of a process's memory, from /proc/PID/maps."""

from dataclasses import dataclass

_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mapping:
    """An executable part of a process's memory. `offset` is that of its first byte in the file.

    Device and inode tell one file from another that is mapped at its old address.
    """

    start: int
    end: int
    offset: int
    device: bytes
    inode: int
    is_vdso: bool

    @property
    def in_file(self) -> bool:
        return self.inode != 0


def executable(pid: int | str) -> list[Mapping]:
    """Return the executable mappings in ascending order; none if the process has ended."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:  # noqa: PTH123 - a hot path
            return parsed(file.read(_MOST_BYTES))
    except OSError:
        return []


def parsed(text: bytes) -> list[Mapping]:
    """Return the executable mappings in a text. A last line without an end was cut off.

    The kernel escapes only line feeds in the names of files: other ends of lines are a name's own.
    """
    *lines, _ = text.split(b"\n")
    return [found for line in lines if (found := _mapping(line))]


def _mapping(line: bytes) -> Mapping | None:
    try:
        place, rights, offset, device, inode, *name = line.split(None, 5)
        if b"x" not in rights:
            return None
        start, end = (int(each, 16) for each in place.split(b"-"))
        return Mapping(start, end, int(offset, 16), device, int(inode), name == [b"[vdso]"])
    except ValueError:
        return None
