"""Files: categories, configurations, tokens, recordings, spools, programs; and servers' answers."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.agent.stacks.perf_map import Budget, PerfMap
from kscope.client.answers import Reply, judge
from kscope.client.encoding import UnreadableBodyError, encode
from kscope.client.spool import waiting
from kscope.config import load_tokens, parse_settings
from kscope.declare.files.catalog import load_catalog
from kscope.declare.files.category import read_category
from kscope.elf.demangle import demangle
from kscope.elf.image import Image
from kscope.elf.unwind_table import unwind_table
from kscope.errors import KscopeError
from kscope.readers.formats import FORMATS
from kscope.readers.live import LIVE, LiveRows
from kscope.readers.reading.base import Options
from kscope.readers.reading.content import FileContent
from kscope.readers.reading.pipe import Pipe
from kscope.readers.recording import opened
from tests.elf.test_damage import ask_all, program
from tests.fuzz.rows_in import COLUMNS, ROWS
from tests.fuzz.target import Finding, Target, allowing
from tests.profiles.made import cpu
from tests.query.tool_outputs import BY_FORMAT
from tests.serving import ROOT
from tests.test_config import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kscope.declare.model import Category

# Categories whose columns fit the recordings of a format.
FOR_FORMAT = {
    "histogram": ("runqlat", "biolatency"), "oomkill": ("oomkill",), "ndjson": ("offcputime",),
    "table": ("execsnoop", "opensnoop", "biosnoop", "tcplife", "syscalls", "softirqs"),
    "bpftrace": ("offcputime", "runqlat"), "bpftrace-json": ("offcputime", "runqlat"),
    "stacks": ("offcputime", "profile", "wakeuptime"),
}  # fmt: skip
RECORDINGS = ROOT / "tests/query/recordings"


@cache
def scratch() -> Path:
    """Return a folder in memory, if the machine has one."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="kscope-fuzz-", dir=memory if memory.is_dir() else None))


def _in_file(function: Callable[[Path], object], name: str = "input") -> Callable[[bytes], object]:
    path = scratch() / name

    def run(data: bytes) -> object:
        path.write_bytes(data)
        return function(path)

    return run


def category_files() -> list[bytes]:
    return [file.read_bytes() for file in sorted((ROOT / "categories").glob("*.yaml"))[:12]]


def _category() -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        reading = read_category(data.decode("utf-8", "replace"), "x.yaml")
        if (reading.category is None) != bool(reading.problems):
            raise Finding("neither a category nor a problem, or both")

    return read


def _settings() -> Callable[[bytes], object]:
    return allowing(
        lambda data: parse_settings(data.decode("utf-8", "replace"), "k.yaml", scratch()),
        KscopeError,
    )


def _settings_seeds() -> list[bytes]:
    return [FULL.encode(), (ROOT / "kernelscope.yaml").read_bytes()]


def _tokens() -> Callable[[bytes], object]:
    return _in_file(allowing(load_tokens, KscopeError), "tokens.yaml")


def _token_seeds() -> list[bytes]:
    one = f'{{name: agents, scopes: [ingest, read], sha256: "{"0" * 64}"'
    more = (
        "expires: 2027-01-31T12:00Z, hosts: ['web-*'], rows_per_minute: 5, bytes_per_minute: 1MiB"
    )
    return [f"tokens:\n  - {one}}}\n  - {one}, {more}}}\n".encode()]


def _recorded(name: str) -> Callable[[], Callable[[bytes], object]]:
    """Return what reads a recording of a format; without one, of that which its content has."""

    def open_() -> Callable[[bytes], object]:
        def read(path: Path, category: Category) -> None:
            recording = opened("x", FileContent(path, "x"), category, Options(), name)
            reading = recording.reading()
            for line in recording.lines(reading):
                json.dumps(line.row)
            list(reading.told())

        return _in_file(_for_each(name, read))

    return open_


def _piped(name: str) -> Callable[[], Callable[[bytes], object]]:
    """Return what reads the output of a running program."""

    def open_() -> Callable[[bytes], object]:
        def read(path: Path, category: Category) -> None:
            with path.open("rb") as file:
                rows = LiveRows(Pipe(file.fileno()), category, Options(), name)
                for line in rows.rows():
                    json.dumps(line.row)

        return _in_file(_for_each(name, read))

    return open_


def _for_each(name: str, read: Callable[[Path, Category], object]) -> Callable[[Path], object]:
    """Return what reads a file for each category that fits the format."""
    known = load_catalog()
    fitting = [known.get(table) for table in FOR_FORMAT.get(name, ("profile",))]

    def run(path: Path) -> None:
        for category in fitting:
            assert category
            with suppress(KscopeError):
                read(path, category)

    return run


def _recordings(name: str) -> Callable[[], Sequence[bytes]]:
    def seeds() -> Sequence[bytes]:
        found = [each.encode() for each in BY_FORMAT.get(name, ())]
        if name == "perf":
            found += [file.read_bytes()[:8000] for file in sorted(RECORDINGS.glob("*.perf"))]
        if name == "pprof":
            found = [cpu({"main;work": 30_000_000}, pid="41").content]
        return found or [each.encode() for texts in BY_FORMAT.values() for each in texts]

    return seeds


def _spooled() -> Callable[[bytes], object]:
    """Read a file of a spool as an agent does that sends it, and whose server refuses some rows."""
    folder = scratch() / "spool"
    folder.mkdir(exist_ok=True)
    file = folder / f"{0:012d}-2-everything-{'0' * 32}.json"

    def read(data: bytes) -> None:
        encoding = {b"\x28\xb5\x2f\xfd": ".zstd", b"\x1f\x8b": ".gzip"}
        name = next((end for start, end in encoding.items() if data.startswith(start)), "")
        path = file.with_name(file.name + name)
        path.write_bytes(data)
        try:
            for entry in waiting(folder):
                payload = entry.payload()
                for use in (payload.as_rows, lambda p=payload: p.rest({0}), payload.content):
                    allowing(lambda _, use=use: use(), UnreadableBodyError)(None)
        finally:
            path.unlink()

    return read


def _spool_seeds() -> list[bytes]:
    return [encode(ROWS)[0], encode(COLUMNS)[0], json.dumps(COLUMNS).encode()]


def _program() -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        ask_all(data)
        unwind_table(Image(data))

    return allowing(read, KscopeError)


def _perf_map() -> Callable[[bytes], object]:
    def read(path: Path) -> None:
        found = PerfMap(os.getpid(), Budget(1 << 24), lambda _: [path])
        found.read()
        found.name(0x1000)
        found.close()

    return _in_file(read, "perf.map")


def _answered() -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        status, _, body = data.partition(b" ")
        for kind in ("application/json", "application/problem+json", "text/html"):
            headers = {"content-type": kind, "retry-after": "1", "location": "http://a/b?c"}
            number = int(status) if status.isdigit() and len(status) < 6 else 200
            judge(Reply(number, headers, body), {"offcputime": 2}, "http://h").bad_rows(
                "offcputime"
            )

    return read


_ANSWERS = (
    (
        b'200 {"stored": {"offcputime": 2}, "duplicate": false,'
        b' "past_retention": {"offcputime": {"rows": 1}}, "detail": "x"}'
    ),
    (
        b'422 {"type": "about:blank", "title": "a", "status": 422, "detail": "b",'
        b' "errors": [{"pointer": "/offcputime/1/pid", "detail": "c"}]}'
    ),
    b"302 <html><title>Log in</title><input type=password>",
)
_NAMES = (
    b"_ZNSt6vectorIiSaIiEE9push_backERKi", b"_ZN4core3fmt9Formatter3new17h0123456789abcdefE",
    b"_RNvXs_C3fooNtB4_3BarNtB4_5Trait3run", b"_RINvNtC3std3mem8align_ofFUdyEvEB2_",
)  # fmt: skip

TARGETS = (
    Target("category", _category, category_files),
    Target("settings", _settings, _settings_seeds),
    Target("tokens", _tokens, _token_seeds),
    Target("recording", _recorded(""), _recordings("")),
    *(Target(f"import-{name}", _recorded(name), _recordings(name)) for name in FORMATS),
    *(Target(f"log-{name}", _piped(name), _recordings(name)) for name in LIVE),
    Target("spool", _spooled, _spool_seeds),
    Target("program", _program, lambda: list(program()[:2])),
    Target(
        "symbol-name", lambda: lambda data: demangle(data.decode("latin-1")), lambda: list(_NAMES)
    ),
    Target("perf-map", _perf_map, lambda: [b"7f00 20 main\n0x7f20 0x10 work at a.js:1\n"]),
    Target("answer", _answered, lambda: list(_ANSWERS)),
)
