"""The baselines of `changes`: the time before, a day or a week ago, other hosts, another range."""

from kscope.query.across.question import AskedOfAll
from kscope.query.across.windows import WINDOWS, Baseline
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Parameter
from kscope.query.parse.timerange import MOMENT_HELP, SECOND, TimeRange, parse_range

_DAY = 86_400 * SECOND
_BACK = {"before": 0, "day": _DAY, "week": 7 * _DAY, "hosts": 0}
RANGE = "range"
# A shorter range is cut into so many windows.
_FEWEST = 6
BASELINE = Parameter(
    "baseline",
    "compare with the time before, the same time a day or a week ago, the other hosts, or the"
    " range of `base.from` and `base.to`",
    "before",
    choices=(*_BACK, RANGE),
)
BASE_FROM = Parameter("base.from", f"start of the baseline `{RANGE}`: {MOMENT_HELP}")
BASE_TO = Parameter("base.to", f"end of the baseline `{RANGE}`, itself not in it")


def baseline_of(asked: AskedOfAll) -> Baseline:
    """Return the time to compare with; raise QueryError if it is not given whole."""
    span, kind = asked.range, asked[BASELINE.name]
    length = span.end - span.start
    ends = {each.name: asked[each.name] for each in (BASE_FROM, BASE_TO)}
    if kind == RANGE:
        for name, given in ends.items():
            if not given:
                raise complain(name, f"is missing: baseline={RANGE} needs {' and '.join(ends)}")
        base = parse_range(ends[BASE_FROM.name], ends[BASE_TO.name], asked.moment)
        return Baseline(
            base.end, max(1, min(length, (base.end - base.start) // _FEWEST)), base.start
        )
    for name, given in ends.items():
        if given:
            raise complain(name, f"is only for baseline={RANGE}")
    if kind in ("day", "week"):
        return Baseline(span.end - _BACK[kind], length)
    return Baseline(span.start, length, hosts=kind == "hosts")


def range_of(baseline: Baseline, span: TimeRange) -> TimeRange:
    """Return the range that the earlier windows have at most; that of the hosts is the same."""
    if baseline.hosts:
        return span
    start = baseline.end - WINDOWS * baseline.length
    return TimeRange(start if baseline.begin is None else max(start, baseline.begin), baseline.end)


def beside(baseline: Baseline, span: TimeRange) -> TimeRange | None:
    """Return the range of the baseline for a comparison, as long as `span`; None: other hosts."""
    if baseline.hosts:
        return None
    whole = range_of(baseline, span)
    return TimeRange(max(whole.start, whole.end - (span.end - span.start)), whole.end)
