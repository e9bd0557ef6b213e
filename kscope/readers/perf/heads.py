"""The line that a sample of `perf script` starts with.

perf prints the fields that `-F` names, always in this order:

VM:7 VCPU:1 tmux: server 1234/1240 [002] U 5184.302111: 250000 cpu-clock:u: rest
"""

import re
from dataclasses import dataclass

# Every part has a bounded length, so a line takes linear time.
_GAP = r"[ \t]{1,24}"
_GUEST = r"(?:VM:[ ]{0,9}[0-9]{1,10}[ ]{1,9})?(?:VCPU:[ ]{0,9}-?[0-9]{1,10}[ ]{1,9})?"
_START = rf"[ \t]{{0,40}}{_GUEST}"
_COMM = rf"(?:(?P<comm>\S.{{0,63}}?){_GAP})??"
_IDS = r"(?P<first>-?[0-9]{1,10})(?:/(?P<second>-?[0-9]{1,10}))?"
_CPU = rf"(?:\[(?P<cpu>-?[0-9]{{1,6}})\]{_GAP})?"
# Of the field misc: kernel, user, hypervisor, guest, and properties of other records.
_MISC = rf"(?:[KUHGMSEFDTpt]{{1,6}}g?{_GAP})?"
_DAY = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{1,9}[ \t]{1,24})?"
_SECONDS = r"[0-9]{1,12}(?:[.,][0-9]{1,9})?"
_TIME = rf"(?:(?P<time>{_SECONDS}):[ \t]{{0,40}})?"
_PERIOD = r"(?:(?P<period>[0-9]{1,20})(?:[ \t]{1,40}|$))?"
_NAME = r"(?:raw )?[A-Za-z_\"]\S{0,250}?"
_EVENT = rf"(?:(?P<event>{_NAME}):(?=[ \t]|$))?"
_REST = r"(?P<rest>.*)"
_HAS_TIME_OR_EVENT = rf"(?={_SECONDS}:|(?:[0-9]{{1,20}}[ \t]{{1,40}})?{_NAME}:(?:[ \t]|$))"
_WITH_IDS = re.compile(
    rf"{_START}{_COMM}{_IDS}{_GAP}{_CPU}{_MISC}{_DAY}{_HAS_TIME_OR_EVENT}{_TIME}{_PERIOD}{_EVENT}{_REST}"
)
_WITHOUT_IDS = re.compile(
    rf"{_START}{_COMM}{_CPU}{_MISC}{_DAY}(?=[0-9]{{1,12}}[.,][0-9]{{1,9}}:){_TIME}{_PERIOD}{_EVENT}{_REST}"
)
# The fields of a head with neither a time nor, beside a thread, an event.
_SHORT = re.compile(
    rf"{_START}(?:(?P<event>{_NAME}):|(?:(?P<comm>\S.{{0,63}}?)(?:{_GAP}|$))??"
    rf"(?:{_IDS}(?:{_GAP}|$))?(?:\[(?P<cpu>-?[0-9]{{1,6}})\]{_GAP})?"
    r"(?P<period>[0-9]{1,20})?)[ \t]{0,40}"
)
_PERIOD_WIDTH = 10
_NO_ID = 2**31
# The frame of a sample without a call chain ends the line; its address is right-aligned.
_ADDRESS = re.compile(r"(?: |^)( {0,15}[0-9a-f]{1,16}) (?=[^ ]| [^ ])")
_ADDRESS_WIDTH = 16
_ONLY_FRAME = re.compile(r"[0-9a-f]{1,16} .*\)")
# Separates the two ends of a branch.
_TO = " => "
# Other fields come behind the frame: branches, registers, instructions, a physical address.
_BEHIND_FRAME = re.compile(
    r"(?<=\)) +(\S{1,200}/\S{1,200}/[PMN-]/|ABI:|ilen:|insn:|IPC:|[0-9a-f]{1,16} *$).*"
)


@dataclass(frozen=True, slots=True)
class SampleHead:
    """The fields of a sample; those that are not printed are None or empty.

    The time is in seconds, `rest` the text behind the event.
    """

    comm: str = ""
    pid: int | None = None
    tid: int | None = None
    cpu: int | None = None
    time: float | None = None
    period: int | None = None
    event: str = ""
    rest: str = ""


NO_HEAD = SampleHead()


def sample_head(line: str) -> SampleHead | None:
    """Return the head of a sample that has a time or an event; None if the line is none."""
    found = _WITH_IDS.fullmatch(line)
    if found:
        first, second = _known(found["first"]), _known(found["second"])
        pid, tid = (first, second) if found["second"] else (None, first)
    elif found := _WITHOUT_IDS.fullmatch(line):
        pid = tid = None
    else:
        return None
    event, period, rest = found["event"] or "", found["period"], found["rest"]
    if not event:
        # A number without a name behind it is a field of the rest, unless a frame follows it.
        rest = line[found.end("period") :] if period else ""
        if rest.strip() and _frame_at(rest) is None:
            period = None
        if not period:
            rest = line[found.end("time") + 1 :]
    return SampleHead(
        found["comm"] or "",
        pid,
        tid,
        _number(found["cpu"]),
        float(found["time"].replace(",", ".")) if found["time"] else None,
        _number(period),
        event,
        rest,
    )


def short_head(line: str) -> SampleHead | None:
    """Return the head that `-F` without time and event makes; None if the line is too long."""
    at = _frame_at(line)
    found = _SHORT.fullmatch(line if at is None else line[:at])
    if found is None:
        return None
    first, second = _known(found["first"]), _known(found["second"])
    pid, tid = (first, second) if found["second"] else (None, first)
    period, comm = _number(found["period"]), found["comm"] or ""
    if tid is not None and not comm and len(line.rstrip()) >= _PERIOD_WIDTH and at is None:
        tid, period = None, tid
    rest = "" if at is None else line[at:]
    return SampleHead(
        comm, pid, tid, _number(found["cpu"]), None, period, found["event"] or "", rest
    )


def frame_in(rest: str) -> str:
    """Return the frame at the end of a head, as a frame's line has it; '' if there is none."""
    rest = rest.partition(_TO)[0]
    at = _frame_at(rest)
    if at is not None:
        return _BEHIND_FRAME.sub("", rest[at:], count=1).rstrip()
    text = rest.strip()
    return text if _ONLY_FRAME.fullmatch(text) else ""


def _frame_at(text: str) -> int | None:
    """Return where the last address that fills its column starts, if a name comes behind it."""
    at = None
    for found in _ADDRESS.finditer(text):
        if len(found[1]) >= _ADDRESS_WIDTH:
            at = found.start(1)
    return at


def _known(text: str | None) -> int | None:
    """Return an id; None for -1, which perf also prints as a number without a sign."""
    number = int(text) if text else -1
    return number if 0 <= number < _NO_ID else None


def _number(text: str | None) -> int | None:
    return int(text) if text else None
