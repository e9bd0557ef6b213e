"""Speedscope's file format: https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.query.answers.tree import Path

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


def speedscope(stacks: Sequence[tuple[Path, Any]], title: str, unit: str) -> bytes:
    """One sampled profile: a stack is a sample, its value the weight."""
    frames: dict[str, int] = {}
    samples = [
        [frames.setdefault(frame, len(frames)) for frame in path] for path, _ in sorted(stacks)
    ]
    weights = [value for _, value in sorted(stacks)]
    profile = SampledProfile(
        type="sampled",
        name=title,
        unit=_UNITS.get(unit, "none"),
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
