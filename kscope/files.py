"""Text files that people write: only regular files, only UTF-8, and never more than a bound."""

import os
import stat
import tempfile
from pathlib import Path

from kscope.errors import KscopeError

# A token or a password; anything longer is another file.
MAX_SECRET = 4096
# A BPF program; libbpf's largest has a quarter of that.
MAX_PROGRAM = 256 * 1024

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableError(KscopeError):
    """A file that cannot be read. The message starts with its path; `fault` leaves that out."""

    def __init__(self, path: Path, fault: str, line: int = 0) -> None:
        self.fault = fault
        self.line = line
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {fault}")


def read_text(path: Path, most: int) -> str:
    """Return the text of a regular file of at most `most` bytes. Raises UnreadableError."""
    try:
        data = _read(path, most)
    except OSError as error:
        raise UnreadableError(path, f"cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise UnreadableError(path, f"is larger than {_size(most)}; is it the right file?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(path, _not_utf8(data, error.start), line) from None


class MissingSecretError(UnreadableError):
    """The file of a token or a password does not exist. Its name is not shown: it may be the secret
    itself, given in the place of a file.
    """

    def __init__(self, path: Path) -> None:
        folder = next(each for each in path.absolute().parents if os.path.lexists(each))
        super().__init__(
            folder, "the file is missing there; write the secret's file, not the secret"
        )


def read_secret(path: Path) -> str:
    """Return a token or a password without the white space around it. Raises UnreadableError."""
    if not os.path.lexists(path):
        raise MissingSecretError(path)
    return read_text(path, MAX_SECRET).strip()


def state_of(path: Path) -> tuple[int, ...]:
    """Return a value that changes with the file that the path leads to; empty without a file."""
    try:
        # Follows links: a volume of secrets changes these.
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def check_readable(path: Path) -> None:
    """Raise UnreadableError unless a library that opens the file can read it."""
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise UnreadableError(path, f"cannot be read: {error.strerror}") from None


def replaced(path: Path, text: str) -> None:
    """Put a text in the place of a file, whole or not at all; a link to it stays one.

    A new file is its owner's alone, another one keeps its rights. Raises KscopeError.
    """
    target = path.resolve()
    part = None
    try:
        before = target.stat() if target.exists() else None
        handle, name = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
        part = Path(name)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            os.chown(part, before.st_uid, before.st_gid)
            part.chmod(stat.S_IMODE(before.st_mode))
        part.replace(target)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise KscopeError(f"{path}: cannot be written: {error.strerror}") from None


def _read(path: Path, most: int) -> bytes:
    """Read one byte more than allowed at most, so that the caller sees that there is more.

    To open a pipe can block and to open a device can act on it: the path is checked before, and
    the descriptor after, as another file can take its place in between.
    """
    _check_regular(path, path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        _check_regular(path, os.fstat(descriptor).st_mode)
        # Some files of /proc have nothing yet: they would block, and give None here.
        return file.read(most + 1) or b""


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
    raise UnreadableError(path, f"is {kind}; it must be a regular file")


def _not_utf8(data: bytes, at: int) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16; save it as UTF-8"
    return f"is not UTF-8: byte 0x{data[at]:02x}; save it as UTF-8"


def _size(most: int) -> str:
    return f"{most // 1024} KiB" if most % 1024 == 0 else f"{most} bytes"
