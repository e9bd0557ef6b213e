"""The files that processes run, each once for all processes and probes: their names and tables."""

import functools
import logging
import os
import threading
from collections import OrderedDict
from contextlib import suppress

from kscope.agent.stacks.mappings import executable
from kscope.agent.stacks.python import Python, python_in
from kscope.agent.stacks.tables import NoRoomError, Table, loaded
from kscope.client.frames import frame_text
from kscope.elf.contents import Contents, FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from kscope.elf.names import FunctionNames
from kscope.errors import printable

log = logging.getLogger(__name__)
# Files that are kept open, with their names, though no probe uses them now.
_MOST_UNUSED = 64
_MOST_FRAMES = 50_000  # of a file whose text is remembered
DELETED = " (deleted)"


class Binary:
    """One file. `name` is the last part of its path, as frames show it; `root` is its process's.

    Thread-safe.
    """

    def __init__(
        self, path: str, contents: Contents, root: str, identity: tuple[int, ...] = ()
    ) -> None:
        self.identity = identity
        self.name = frame_text(_valid(path.rpartition("/")[2]))
        self.users = 0
        self._contents = contents
        self._lock = threading.RLock()
        self._frames: dict[int, tuple[str, bool]] = {}
        self._table: Table | None = None
        self._has_read_table = False
        self._python: Python | None = None
        self._has_read_python = False
        try:
            self._image: Image | None = Image(contents)
            self._names: FunctionNames | None = FunctionNames(self._image, path, root)
        except ElfError as error:
            log.debug("%s %s", self.name, error)
            self._image = self._names = None

    def table(self, most_bytes: int) -> Table | None:
        """Return the rules by which BPF walks through the file; None if it has none.

        Raises NoRoomError if they are larger than `most_bytes`.
        """
        with self._lock:
            if not self._has_read_table and self._image:
                self._has_read_table = True
                try:
                    table = loaded(self._image, most_bytes)
                    self._table = table if self._is_unchanged() else None
                except ElfError as error:
                    log.debug("%s %s", self.name, error)
                except OSError as error:
                    reason = error.strerror
                    log.warning(
                        "the rules of %s cannot be loaded: %s", printable(self.name), reason
                    )
                except NoRoomError:
                    self._has_read_table = False
                    raise
            return self._table

    def unload(self) -> None:
        """Forget the rules until they are asked for again; programs that have them keep them."""
        with self._lock:
            if self._table:
                self._table.close()
            self._table, self._has_read_table = None, False

    def python(self) -> Python | None:
        """Return the CPython that is in the file; None if there is none."""
        with self._lock:
            if not self._has_read_python and self._image:
                self._has_read_python = True
                try:
                    python = python_in(self._image)
                    self._python = python if self._is_unchanged() else None
                except ElfError as error:
                    log.debug("%s %s", self.name, error)
            return self._python

    def frame(self, offset: int) -> tuple[str, bool]:
        """Return the text of the frame at a file offset, and whether its function has a name."""
        found = self._frames.get(offset)
        if found is None:
            if len(self._frames) >= _MOST_FRAMES:
                self._frames.clear()
            with self._lock:
                found = self._frames[offset] = self._frame(offset)
        return found

    def _frame(self, offset: int) -> tuple[str, bool]:
        image, names = self._image, self._names
        address = image.address(offset) if image else None
        if image is None or names is None or address is None:
            return f"{self.name}+{offset:#x}", False
        name = names.name(address)
        start = None if name else names.start(address)
        if not self._is_unchanged():
            return f"{self.name}+{offset:#x}", False
        if name:
            text = frame_text(name)
            return (text if image.is_program else f"{text} [{self.name}]"), True
        place = f"{self.name}+{address if start is None else start:#x}"
        return (f"{place}@{image.build_id}" if image.build_id else place), False

    def _is_unchanged(self) -> bool:
        """Return whether all that was read until now is of the file that the process ran."""
        return not isinstance(self._contents, FileContents) or self._contents.is_unchanged()

    def close(self) -> None:
        self.unload()
        if isinstance(self._contents, FileContents):
            self._contents.close()


def _valid(name: str) -> str:
    """Return the name with `?` for bytes that are no UTF-8, which no output takes."""
    return name.encode("utf-8", "replace").decode()


class Binaries:
    """Thread-safe. Device, inode, size and time of change identify a file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, ...], Binary] = OrderedDict()

    def of(self, pid: int, start: int, end: int) -> Binary | None:
        """Return the file that a process maps from `start` to `end`; None if it does not any more.

        One that cannot be read has no names. Give it back with `release`.
        """
        link = f"/proc/{pid}/map_files/{start:x}-{end:x}"
        try:
            contents = FileContents(link)
            path = contents.path.removesuffix(DELETED)
        except (ElfError, OSError) as error:
            log.debug("%s: %s", link, error)
            return _unreadable(link)
        # Outside the lock: a file of a network may let its reader wait.
        fresh = Binary(path, contents, f"/proc/{pid}/root", contents.identity)
        with self._lock:
            known = self._known.setdefault(contents.identity, fresh)
            known.users += 1
            self._known.move_to_end(contents.identity)
        if known is not fresh:
            fresh.close()
        return known

    def release(self, binary: Binary) -> None:
        """Count one user less; of the unused files, the latest ones stay open."""
        if not binary.identity:
            binary.close()
            return
        with self._lock:
            binary.users -= 1
            unused = [key for key, each in self._known.items() if not each.users]
            for key in unused[: max(0, len(unused) - _MOST_UNUSED)]:
                self._known.pop(key).close()


def _unreadable(link: str) -> Binary | None:
    """Return a file without names; None if the process does not map it any more."""
    try:
        return Binary(os.readlink(link).removesuffix(DELETED), b"", "")  # noqa: PTH115
    except OSError:
        return None


@functools.cache
def shared() -> Binaries:
    """Return the files of this process's probes."""
    return Binaries()


def vdso() -> Binary | None:
    """Return the code that the kernel maps into each process, as this one has it."""
    for mapping in executable("self"):
        if mapping.is_vdso:
            with suppress(OSError), open("/proc/self/mem", "rb", 0) as memory:  # noqa: PTH123
                memory.seek(mapping.start)
                return Binary("vdso", memory.read(mapping.end - mapping.start), "")
    return None
