"""Speedscope's file format: https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources."""

from typing import Literal

import msgspec

from kscope.query.answers.stacks import FoldedStacks
from kscope.query.export.base import StackFormat

_UNITS = {"us": "microseconds", "bytes": "bytes"}


class SampledProfile(msgspec.Struct, frozen=True):
    """A sample is a stack: places in the list of frames."""

    type: Literal["sampled"]
    name: str
    unit: str
    startValue: Literal[0]  # noqa: N815 - speedscope's names
    endValue: int | float  # noqa: N815
    samples: list[list[int]]
    weights: list[int | float]


class Speedscope(msgspec.Struct, frozen=True, rename={"schema": "$schema"}):
    """A file for https://www.speedscope.app."""

    schema: Literal["https://www.speedscope.app/file-format-schema.json"]
    exporter: str
    name: str
    activeProfileIndex: int  # noqa: N815
    shared: dict[str, list[dict[str, str]]]
    profiles: list[SampledProfile]


def _speedscope(stacks: FoldedStacks) -> bytes:
    """Encode one sampled profile: a stack is a sample, its value the weight."""
    title, ordered = stacks.title, sorted(stacks.values)
    frames: dict[str, int] = {}
    samples = [[frames.setdefault(frame, len(frames)) for frame in path] for path, *_ in ordered]
    weights = [value for _, value, _ in ordered]
    profile = SampledProfile(
        type="sampled",
        name=title,
        unit=_UNITS.get(stacks.question.value.unit(), "none"),
        startValue=0,
        endValue=sum(weights),
        samples=samples,
        weights=weights,
    )
    document = Speedscope(
        schema="https://www.speedscope.app/file-format-schema.json",
        exporter="kernelscope",
        name=title,
        activeProfileIndex=0,
        shared={"frames": [{"name": frame} for frame in frames]},
        profiles=[profile],
    )
    return msgspec.json.encode(document)


FORMATS = (
    StackFormat(
        name="speedscope",
        media_type="application/json",
        ending="speedscope.json",
        help="a file for speedscope",
        encode=_speedscope,
        answer=Speedscope,
        title="speedscope file",
    ),
)
