"""The words in the headers of tools, and the columns of our categories that they fill."""

import errno
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Cells = Mapping[str, Any]
Read = Callable[[str], Cells]

_OPERATIONS = {"R": "read", "W": "write", "D": "discard", "F": "flush"}
_FLAGS = frozenset(_OPERATIONS.values())


@dataclass(frozen=True, slots=True)
class Word:
    """A header's word. It fills the first of `columns` that a category has.

    With `read` a cell's text becomes values of several columns, or is translated; other cells are
    converted by the type of their column. `spaced` cells may hold blanks.
    """

    headers: tuple[str, ...]
    columns: tuple[str, ...]
    read: Read | None = None
    spaced: bool = False


def _error(text: str) -> Cells:
    """Read a number of an error, whatever its sign; 0 is none."""
    number = abs(int(text))
    return {"error": errno.errorcode.get(number, str(number)) if number else ""}


def _result(text: str) -> Cells:
    return {"result": "failed" if int(text) else "delivered", **_error(text)}


def signal_name(text: str) -> str:
    """Return the name of a signal by its number; 0 is none, and names stay."""
    if not text.isdecimal():
        return text if not text or text.startswith("SIG") else f"SIG{text}"
    try:
        return signal.Signals(int(text)).name if int(text) else ""
    except ValueError:
        return text


def _ended(text: str) -> Cells:
    """Read `0`, `code 1` or `signal 9 (KILL), core dumped`."""
    first, _, more = text.partition(" ")
    if first == "signal":
        number = more.split(" ")[0].rstrip(",")
        return {"signal_name": signal_name(number), "core": "core dumped" in text, "code": 0}
    return {"code": int(more if first == "code" else text)}


def _command(text: str) -> Cells:
    """Read a program and its arguments; execsnoop -q puts each in quotes."""
    quoted = text.startswith('"') and text[1:].partition('"')[0]
    return {"path": quoted or text.split(" ", 1)[0], "arguments": text}


def _operation(text: str) -> Cells:
    return {"operation": _OPERATIONS.get(text[:1].upper(), "other")}


def _flags(text: str) -> Cells:
    """Read what biolatency -F prints: `Priority-Sync-Read`."""
    name = text.rpartition("-")[2].lower()
    return {"operation": name if name in _FLAGS else "other"}


def _endpoint(side: str) -> Read:
    def read(text: str) -> Cells:
        address, _, port = text.rpartition(":")
        return {f"{side}_address": address.strip("[]"), f"{side}_port": int(port)}

    return read


def _octal(text: str) -> Cells:
    return {"flags": int(text, 8)}


def _state(text: str) -> Cells:
    return {"state": text.lower()}


def _process(text: str) -> Cells:
    """Read `1234 nginx`, as sections of histograms are named."""
    number, _, name = text.partition(" ")
    return {"pid": int(number)} | ({"process": name.strip()} if name.strip() else {})


# One table for all tools: bcc's, libbpf-tools' and bpftrace's.
WORDS = (
    Word(("COMM", "PCOMM", "PROCESS", "TASK"), ("process",), spaced=True),
    Word(("TCOMM", "TARGET"), ("target",), spaced=True),
    Word(("PID", "TGID"), ("pid",)),
    Word(("TID",), ("tid",)),
    Word(("PPID",), ("parent_pid",)),
    Word(("TPID",), ("target_pid",)),
    Word(("UID", "USER"), ("user",)),
    Word(("ERR", "RET", "ERRNO"), ("error",), _error),
    Word(("RESULT",), ("result", "error"), _result),
    Word(("SIG", "SIGNAL"), ("signal_name",), lambda text: {"signal_name": signal_name(text)}),
    Word(("EXIT_CODE",), ("code", "signal_name"), _ended, spaced=True),
    Word(("ARGS",), ("arguments", "path"), _command, spaced=True),
    Word(("PATH", "FILE", "FILENAME", "FNAME"), ("path",), spaced=True),
    Word(("FLAGS",), ("flags",), _octal),
    Word(("DISK", "DISKNAME", "DEV", "DEVICE"), ("device",)),
    Word(("HARDIRQ",), ("device",), spaced=True),
    Word(("SOFTIRQ",), ("softirq",)),
    Word(("SYSCALL",), ("syscall",)),
    Word(("T",), ("operation",), _operation),
    Word(("SECTOR",), ("sector",)),
    Word(("BYTES",), ("bytes",)),
    Word(("LADDR", "SADDR"), ("local_address",)),
    Word(("RADDR", "DADDR"), ("remote_address",)),
    Word(("LPORT", "SPORT"), ("local_port",)),
    Word(("RPORT", "DPORT"), ("remote_port",)),
    Word(("LADDR:LPORT",), ("local_address", "local_port"), _endpoint("local")),
    Word(("RADDR:RPORT",), ("remote_address", "remote_port"), _endpoint("remote")),
    Word(("TX",), ("sent",)),
    Word(("RX",), ("received",)),
    Word(("STATE",), ("state",), _state),
    Word(("QUE", "QUEUE"), ("queued",)),
    # `TIME (us)` with a blank is how long it took; TIME and TIME(s) are when it was.
    Word(("AGE", "LAT", "LATENCY", "DUR", "DURATION", "MS", "US", "TOTAL", "TIME "), ("elapsed",)),
    Word(("COUNT", "TOTAL_COUNT", "CALLS"), ("count",)),
)
# The parts of a recording that histograms are for: `disk = vda`.
SECTIONS = (
    Word(("disk", "dev", "device", "hardirq"), ("device",)),
    Word(("flags",), ("operation",), _flags),
    Word(("pid", "tgid"), ("pid", "process"), _process),
    Word(("tid",), ("tid",)),
    Word(("comm", "process"), ("process",)),
    Word(("softirq",), ("softirq",)),
    Word(("syscall",), ("syscall",)),
)


def _by_header(words: tuple[Word, ...]) -> Mapping[str, Word]:
    return {header: word for word in words for header in word.headers}


BY_HEADER = _by_header(WORDS)
BY_SECTION = _by_header(SECTIONS)
