"""Lines of `perf script` that are neither the head of a sample nor a frame."""

import re

NO_SAMPLE = "neither a sample nor a frame"
STRAY_FRAME = "a frame without its sample"
_SHOWN = 60
# Characters at the start of a line that decide.
_READ = 256
_RECORD = re.compile(r"PERF_RECORD_[A-Z_0-9]+\b")
_MESSAGE = re.compile(
    r"\s*(warning|error|fatal|info|note|perf|addr2line|bfd|objdump|dwarf error|cmd__addr2line)\s*:"
    r"|Processed \d+ events|\[ ?perf record|Check IO/CPU overload|(Failed|Unable|Can't|Cannot"
    r"|Couldn't|Could not|could not) |(\S+ )?samples for '|no symbols found|Permission error",
    re.IGNORECASE,
)
_TRACE_ERROR = re.compile(r"\s*[\w-]{1,40}( [\w-]{1,40})? trace error type \d+")
# Other fields add these behind the frames of a sample, or between them.
_EXTRA = re.compile(
    r"  \S.*"  # the source line of a frame
    r"|\s*ABI:\d.*"  # registers
    r"|\s*\S+/\S+/[PMN-]/[X-]/[A-Z-]/.*"  # branches
    r"|\s*BPF (output|string):.*|\s+[0-9a-f]{4}: .*"
    r"|\s*(ilen|insn|insn_len|IPC|tod):? .*"
    r"|\|\d+ .*"  # code
    r"|\s*(N/A|\d+[KMGT])(\s+(N/A|\d+[KMGT]))*\s*"  # sizes of pages
    r"|\s*[0-9a-f]{1,16}\s*"  # a physical address
)


def reason_of(line: str) -> str:
    """Return the reason why a line outside of a sample is left out."""
    start = line[:_READ]
    if record := _RECORD.search(start):
        return f"a record of perf's own ({record[0]})"
    if _TRACE_ERROR.match(start):
        return "an error of the trace that perf decoded"
    return "a message of perf" if _MESSAGE.match(start) else NO_SAMPLE


def is_record(line: str) -> bool:
    """Return whether the line describes a map, a task or a loss, beside the samples."""
    return "PERF_RECORD_" in line and _RECORD.search(line[:_READ]) is not None


def is_extra(line: str) -> bool:
    """Return whether the line belongs to a sample without being one of its frames."""
    return _EXTRA.fullmatch(line[:_READ]) is not None


def shown(line: str) -> str:
    """Return the beginning of a line, for a message."""
    return repr(line.strip()[:_SHOWN])
