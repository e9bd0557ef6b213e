"""The figures of a run: rates by second, peaks beside the usual rate, memory, the verdict."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.simulation.run import Run

MIB = 2**20
_REASONS = 8
_SECONDS_AROUND = (-4, 13)


@dataclass(frozen=True)
class Peak:
    """Counts of one second: the usual mean, the usual most, the most from the death on.

    `ratio` is the last one beside the usual mean: of the same server, or of all requests.
    """

    usual: float
    usual_most: int
    most: int
    ratio: float


def peaks(run: Run) -> dict[str, Peak]:
    """Return the peaks of requests to each server and to all, of new connections, of failures."""
    requests = [traffic.requests for traffic in run.traffic]
    every = sum(requests, Counter())
    fleet = statistics.fmean(_usual(run, every))
    found = {
        f"requests to server {number}": _peak(run, counts, statistics.fmean(_usual(run, counts)))
        for number, counts in enumerate(requests, 1)
    }
    connects = sum((traffic.connects for traffic in run.traffic), Counter())
    others = {"requests": every, "new connections": connects, "failed requests": run.failed}
    return found | {name: _peak(run, counts, fleet) for name, counts in others.items()}


def _peak(run: Run, counts: Mapping[int, int], beside: float) -> Peak:
    usual = _usual(run, counts)
    end = run.moments.begin + run.scenario.making + run.empty_after
    most = max(_of(counts, run.moments.death, end))
    return Peak(statistics.fmean(usual), max(usual), most, most / max(beside, 1e-9))


def _usual(run: Run, counts: Mapping[int, int]) -> list[int]:
    """Return the counts of each second of the interval before the death."""
    return _of(counts, run.moments.death - run.scenario.interval, run.moments.death)


def _of(counts: Mapping[int, int], begin: float, end: float) -> list[int]:
    """Return the counts of each second from `begin` to `end`, at least one."""
    seconds = range(int(begin), max(int(end), int(begin) + 1))
    return [counts.get(second, 0) for second in seconds]


def caught_up(run: Run, since: float) -> int:
    """Return the seconds after `since` until few bodies wait: one for 50 agents."""
    few = run.scenario.agents / 50
    late = [second for second, count in run.waiting.items() if second >= since and count > few]
    return max((round(second + 1 - since) for second in late), default=0)


def as_json(run: Run) -> dict[str, Any]:
    """Return all figures; times in seconds, memory in bytes."""
    return {
        "scenario": asdict(run.scenario),
        "verdict": asdict(run.verdict) | {"exact": run.verdict.exact},
        "peaks": {name: asdict(peak) for name, peak in peaks(run).items()},
        "sent_bytes": run.sent,
        "rows_a_second": run.scenario.agents * run.scenario.rows / run.scenario.interval,
        "requests": [sum(traffic.requests.values()) for traffic in run.traffic],
        "connections": [sum(traffic.connects.values()) for traffic in run.traffic],
        "most_open": [traffic.most_open for traffic in run.traffic],
        "failed_requests": sum(run.failed.values()),
        "reasons": dict(run.reasons.most_common()),
        "most_waiting": max(run.waiting.values(), default=0),
        "waiting_at_end": run.waiting_at_end,
        "caught_up_after_death": caught_up(run, run.moments.death),
        "caught_up_after_return": caught_up(run, run.moments.back),
        "empty_after": run.empty_after,
        "answer_seconds": {str(share): _quantile(run, share) for share in (0.5, 0.99, 1.0)},
        "memory": [asdict(memory) for memory in run.memory],
    }


def _quantile(run: Run, share: float) -> float:
    if not run.seconds:
        return 0.0
    return run.seconds[min(len(run.seconds) - 1, int(share * len(run.seconds)))]


def lines(run: Run) -> Iterator[str]:
    """Yield the lines of the report."""
    yield from _by_second(run, "death", run.moments.death)
    yield from _by_second(run, "return", run.moments.back)
    yield ""
    yield "in a second             usual  most  most then  ratio"
    for name, peak in peaks(run).items():
        yield (f"{name:20} {peak.usual:7.1f} {peak.usual_most:5}  {peak.most:11} {peak.ratio:6.1f}")
    yield ""
    yield from (f"{name:38} {text}" for name, text in _facts(run))
    yield from (f"{count:6} x {text}" for text, count in run.reasons.most_common(_REASONS))


def _by_second(run: Run, name: str, moment: float) -> Iterator[str]:
    """Yield the seconds around a moment, with requests and new connections of each server."""
    numbers = range(1, len(run.traffic) + 1)
    heads = "".join(f"  to {n}  new" for n in numbers)
    yield ""
    yield f"{name:>8}{heads}  failed  waiting"
    for after in range(*_SECONDS_AROUND):
        second = int(moment) + after
        cells = "".join(f"{t.requests[second]:6}{t.connects[second]:5}" for t in run.traffic)
        yield f"{after:+6} s{cells}{run.failed[second]:8}{run.waiting[second]:9}"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    each = as_json(run)
    found = run.verdict
    times = each["answer_seconds"]
    yield "rows made", f"{found.made:,}, and {found.reports_made:,} of agents about themselves"
    yield "rows a second", f"{each['rows_a_second']:,.0f}"
    yield "bytes of a row as sent", f"{run.sent / max(1, found.made):.1f}"
    yield "rows lost, doubled", f"{found.lost}, {found.doubled}"
    yield "rows of agents lost, doubled", f"{found.reports_lost}, {found.reports_doubled}"
    yield "hosts with other sums", f"{found.strange}"
    yield "rows refused or dropped by spools", f"{found.given_up}"
    yield "requests to each server", _list(each["requests"])
    yield "connections to each server", _list(each["connections"])
    yield "most open connections of each", _list(each["most_open"])
    yield "requests that failed", f"{each['failed_requests']:,}"
    yield "most bodies that waited", f"{each['most_waiting']:,}"
    yield "few bodies wait after the death", f"{each['caught_up_after_death']} s"
    yield "few bodies wait after the return", f"{each['caught_up_after_return']} s"
    yield "spools empty after the last rows", f"{each['empty_after']:.1f} s"
    yield "answers: median, 99 %, longest", ", ".join(f"{t * 1000:.0f} ms" for t in times.values())
    for number, memory in enumerate(run.memory, 1):
        sizes = (memory.started, memory.before, memory.after)
        megabytes = ", ".join(f"{size / MIB:.0f}" for size in sizes)
        yield f"server {number}: MiB at start, death, end", megabytes


def _list(numbers: list[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)
