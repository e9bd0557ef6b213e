"""A pprof profile -> one that is pushed, with the names of its sender."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import starmap
from typing import TypeVar

from kscope.declare.receive import SampleType
from kscope.profiles import pprof
from kscope.profiles.pprof_tables import PprofError
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.receive.gather import Gathered, Pushed, PushedProfile, frequency_of

T = TypeVar("T")

# Of the decompressed pprof inside a request.
MAX_PPROF = 64 * 1024 * 1024
_MICROSECOND = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender's description of a profile.

    `name` is the profile's own, such as `process_cpu`. `until` is the end of its span in
    microseconds, which counts if the profile does not say it. `key` is that of a profile that is
    sent again; if it is not `identified`, another profile may have it that has no time.
    `frequency` is in samples a second.
    """

    name: str
    labels: Mapping[str, str]
    until: int
    key: str = ""
    identified: bool = False
    frequency: float | None = None


def add_pprof(
    content: bytes | bytearray, origin: Origin, gathered: Gathered, where: str
) -> Steps[None]:
    """Add the samples of a pprof profile. Raises HttpProblem, which names the place `where`."""
    try:
        profile = yield from _lanes(pprof.steps(content, MAX_PPROF, gathered.room))
    except PprofError as error:
        raise HttpProblem(400, f"{where}: the profile {error}") from None
    types = [
        SampleType(kind, unit, origin.name, profile.period_type)
        for kind, unit in profile.sample_types
    ]
    time = (profile.time_nanos + profile.duration_nanos) // _MICROSECOND
    yield from gathered.add(
        PushedProfile(
            types=types,
            samples=lambda: starmap(Pushed, profile.samples.raw()),
            labels=origin.labels,
            time=time if profile.time_nanos > 0 else origin.until,
            frequency=frequency_of(profile.period_type, profile.period) or origin.frequency,
            key=origin.key if origin.identified or profile.time_nanos > 0 else "",
            count=len(profile.samples),
        )
    )


def _lanes(work: pprof.Steps[T]) -> Steps[T]:
    """Return the result of steps that have no lanes."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield Lane.GOOD
