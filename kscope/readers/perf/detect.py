"""Whether a text is the output of `perf script`."""

import re
from itertools import pairwise

from kscope.readers.perf.frames import frame_of
from kscope.readers.perf.heads import frame_in, sample_head, short_head
from kscope.readers.perf.other_lines import is_record
from kscope.readers.reading.base import Head

_CHECKED = 2000
# perf aligns addresses in a column of 16 behind a tab or, without a call chain, a blank.
_ALIGNED = re.compile(r"[\t ][ 0-9a-f]{15}[0-9a-f]( .*)?")
_HEADER = re.compile(r"# (perf version : |cmdline : \S*perf )")


def matches(head: Head) -> bool:
    """Return whether it has a head of a sample with its frames, or perf's header."""
    found = head.text.splitlines()
    lines = (found if head.whole else found[:-1])[:_CHECKED]
    return (
        any(map(_HEADER.match, lines))
        or any(_starts(*both) for both in pairwise([*lines, ""]))
        or _all_frames([line for line in lines if line.strip() and line[0] != "#"])
    )


def _starts(line: str, following: str) -> bool:
    head = sample_head(line)
    if head is None:
        return False
    if head.time is not None and (head.event or is_record(line) or frame_in(head.rest)):
        return True
    frame = frame_of(following)
    return frame is not None and (following[:1].isspace() or bool(frame.place))


def _all_frames(lines: list[str]) -> bool:
    """Return whether frames alone, or behind short heads, make up the text."""
    heads = [short_head(line) for line in lines if not _ALIGNED.fullmatch(line)]
    with_frame = len(lines) - len(heads) + sum(bool(head and head.rest) for head in heads)
    return with_frame > 0 and None not in heads
