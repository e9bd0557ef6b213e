"""Frames of other tools become one folded text, as our probes write it."""

from collections.abc import Iterable, Sequence

UNKNOWN = "[unknown]"
TRUNCATED = "[truncated]"
# Characters of a folded stack that a category takes, and of one frame.
_LONGEST_STACK = 65536
_LONGEST_FRAME = 4096
_SEPARATORS = str.maketrans({";": ":", "\n": " ", "\r": " ", "\0": None})


def folded(stack: Sequence[str]) -> str:
    """Join frames, root first. A `;` in a name becomes `:`; a stack that is too long loses frames
    at its root, as one that a kernel cut does.
    """
    frames = [clean(name) for name in stack]
    text = ";".join(frames)
    return text if len(text) <= _LONGEST_STACK else _cut(frames)


def clean(name: str) -> str:
    """Return a frame's name without separators, and of bounded length; never an empty one."""
    name = name[:_LONGEST_FRAME].translate(_SEPARATORS).strip()
    return name or UNKNOWN


def _cut(frames: Iterable[str]) -> str:
    kept: list[str] = []
    room = _LONGEST_STACK - len(TRUNCATED)
    for name in reversed([*frames]):
        room -= len(name) + 1
        if room < 0:
            break
        kept.append(name)
    return ";".join([TRUNCATED, *reversed(kept)])
