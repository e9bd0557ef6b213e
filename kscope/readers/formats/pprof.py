"""pprof's profiles, of any language's profiler, and our own export."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from kscope.client.encoding import timestamp
from kscope.declare.types.base import Role
from kscope.profiles.plan import quantity_of
from kscope.profiles.pprof import MAX_BYTES, Profile, read
from kscope.profiles.pprof_tables import PprofError
from kscope.profiles.sample import Amount, Quantity, Sample, unit_of
from kscope.readers.reading.base import Format, Head, Line, ReadError, Reading, Survey
from kscope.readers.reading.wire import starts_profile

_NANOSECONDS = 10**9
# Other profilers name their types like this, too.
_COMMON = frozenset({"samples", "count", "bytes"})


def _profile(reading: Reading) -> Profile:
    try:
        return read(reading.content.whole(MAX_BYTES))
    except PprofError as error:
        raise ReadError(1, str(error)) from None


def _read(reading: Reading) -> Iterator[Line]:
    """Yield a row per sample; its time is the end of the profile, if that says when it began."""
    profile = _profile(reading)
    chosen = _chosen(reading, profile)
    ours = _is_ours(reading, profile) or reading.options.root is not None
    length = profile.duration_nanos / _NANOSECONDS
    ended = profile.time_nanos / _NANOSECONDS + length if profile.time_nanos > 0 else 0.0
    for number, sample in enumerate(profile.samples, 1):
        amounts = tuple(_amount(reading, sample.amounts[place]) for place in chosen)
        if not any(each.value for each in amounts):
            continue
        found = replace(sample, amounts=(*amounts, *_counted(profile, amounts)))
        row = reading.line(number, _rooted(reading, found) if ours else found, length)
        yield row if not ended else Line(number, row.row | {"time": timestamp(ended)})


def _counted(profile: Profile, amounts: Sequence[Amount]) -> tuple[Amount, ...]:
    """Return the number of samples, if it is only known by the amount between two of them."""
    kind, unit = profile.period_type
    if len(amounts) != 1 or amounts[0].unit != unit or profile.period <= 0:
        return ()
    if unit_of(unit).quantity is Quantity.COUNT and amounts[0].kind != kind:
        # perf_data_converter has samples of a thousand cycles each: both are counts.
        return ()
    return (Amount("samples", "count", Fraction(amounts[0].value) / profile.period),)


def _amount(reading: Reading, amount: Amount) -> Amount:
    if reading.options.unit or reading.options.scale != 1:
        return replace(reading.number(amount.value, amount.unit), kind=amount.kind)  # type: ignore[arg-type]
    return amount


def _rooted(reading: Reading, sample: Sample) -> Sample:
    """Return the sample with its process taken from its first frame."""
    if sample.process or not reading.columns.root or not sample.stack:
        return sample
    return replace(sample, process=sample.stack[0], stack=sample.stack[1:])


def _is_ours(reading: Reading, profile: Profile) -> bool:
    """Return whether our export wrote it: it names types as columns, and begins with the group."""
    columns = {each.name for each in reading.category.with_role(Role.VALUE)} - _COMMON
    return any(kind in columns for kind, _ in profile.sample_types)


def _chosen(reading: Reading, profile: Profile) -> Sequence[int]:
    """Return the amounts of the named sample type, else one of each quantity. Raises ReadError."""
    wanted, types = reading.options.event, profile.sample_types
    shown = ", ".join(f"{kind}/{unit}" for kind, unit in types) or "none"
    if wanted:
        found = [
            place for place, (kind, unit) in enumerate(types) if wanted in (kind, f"{kind}/{unit}")
        ]
        if not found:
            raise ReadError(1, f"has no sample type {wanted!r}; it has {shown}")
        return found[:1]
    value = reading.columns.value
    places = sorted(range(len(types)), key=lambda place: types[place][0] != profile.default_type)
    by_quantity: dict[Quantity, list[int]] = {}
    for place in places:
        by_quantity.setdefault(unit_of(types[place][1]).quantity, []).append(place)
    several = by_quantity.get(quantity_of(value), [])
    named = [place for place in several if types[place][0] == value.name]
    if len(several) > 1 and not named:
        kinds = [types[place][0] for place in several]
        reading.notice(
            f"sample type {kinds[0]} is read, not {', '.join(kinds[1:])}; choose one with --event"
        )
    return [*named, *(each[0] for each in by_quantity.values() if not {*each} & {*named})]


def _survey(reading: Reading) -> Survey:
    profile = _profile(reading)
    interval = None
    if unit_of(profile.period_type[1]).quantity is Quantity.TIME and profile.period > 0:
        interval = float(unit_of(profile.period_type[1]).factor * profile.period / 10**6)
    return Survey(profile.duration_nanos / _NANOSECONDS, interval=interval)


def _matches(head: Head) -> bool:
    return starts_profile(head.raw)


FORMATS = (
    Format(
        name="pprof",
        help="pprof's profiles, compressed or not, of Go, Pyroscope, Parca and our own export",
        example="kscope import profile cpu.pb.gz --set process=app",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=5,
        options=frozenset({"value", "root", "event", "frequency", "unit", "scale"}),
    ),
)
