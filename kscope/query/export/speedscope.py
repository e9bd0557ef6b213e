"""Speedscope's file format: https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.query.answers.tree import Path

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_UNITS = {"us": "microseconds", "bytes": "bytes"}


def speedscope(stacks: Sequence[tuple[Path, Any]], title: str, unit: str) -> bytes:
    """One sampled profile: a stack is a sample, its value the weight."""
    frames: dict[str, int] = {}
    samples = [
        [frames.setdefault(frame, len(frames)) for frame in path] for path, _ in sorted(stacks)
    ]
    weights = [value for _, value in sorted(stacks)]
    profile = {
        "type": "sampled",
        "name": title,
        "unit": _UNITS.get(unit, "none"),
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    document = {
        "$schema": _SCHEMA,
        "exporter": "kernelscope",
        "name": title,
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": frame} for frame in frames]},
        "profiles": [profile],
    }
    return msgspec.json.encode(document)
