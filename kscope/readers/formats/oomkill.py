"""The sentences of oomkill, of bcc and of libbpf-tools."""

import re
from collections.abc import Iterator

from kscope.readers.reading.base import Format, Head, Line, Reading, Survey
from kscope.readers.tools.clock import Clock

_KILL = re.compile(
    r"(?P<time>\d\d:\d\d:\d\d) Triggered by PID (?P<trigger_pid>\d{1,10}) "
    r"\(\"(?P<trigger>.{0,64})\"\), OOM kill of PID (?P<pid>\d{1,10}) "
    r"\(\"(?P<process>.{0,64})\"\), \d+ pages(?:, loadavg: .*)?",
    re.ASCII,
)
_BANNER = "Tracing OOM kills"


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row per killed process."""
    clock = Clock()
    for number, line in reading.lines():
        found = _KILL.fullmatch(line.strip())
        if found is None:
            if line.strip() and not line.startswith(_BANNER):
                reading.skipped.add(number, "is not a sentence of oomkill")
            continue
        clock.read(found["time"])
        row = {
            "process": found["process"],
            "pid": int(found["pid"]),
            "trigger_process": found["trigger"],
            "trigger_pid": int(found["trigger_pid"]),
        }
        columns = {each.name for each in reading.category.columns}
        yield Line(number, {name: row[name] for name in row if name in columns}, clock.at)


def _survey(reading: Reading) -> Survey:
    return Survey(length=max((line.at for line in _read(reading)), default=0.0))


def _matches(head: Head) -> bool:
    return any(_KILL.fullmatch(line.strip()) for line in head.lines())


FORMATS = (
    Format(
        name="oomkill",
        help="the sentences of oomkill, of bcc and of libbpf-tools",
        example="oomkill-bpfcc | kscope import oomkill -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=15,
        live=True,
    ),
)
