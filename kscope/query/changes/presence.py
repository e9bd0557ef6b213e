"""Which hosts were heard, and in which windows: silence is no change of each of their places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kscope.query.changes.reading import Host, Reading
from kscope.query.changes.robust import median

# A host heard in less than this part of a window is silent, or was.
HEARD = 0.9
# A window in which a host was heard less says nothing about its places.
_TELLS = 0.5
# A slice with less than this part of the usual in every reading has not been sent.
_NOTHING = 0.02
# Cells a slice: a host that sends fewer may well have nothing to send.
_ENOUGH = 5
# Cells of a host that are counted: they are enough to tell.
_CELLS = 500


@dataclass(frozen=True, slots=True)
class Presence:
    """A host in the windows.

    `windows` are the earlier windows to take, one for each: those it was away in are replaced by
    others, so that all cells have values in the same number. `scales` make up for what is
    missing of them. `known` says how many different ones there are. `before` is whether the last
    two of the earlier windows had little of the host.
    """

    host: str
    heard: float
    windows: tuple[int, ...]
    scales: tuple[float, ...]
    known: int
    before: bool
    lost: Mapping[str, float]

    @property
    def throughout(self) -> bool:
        """Whether the host was heard in all of every earlier window."""
        return self.known == len(self.windows) and self.scales.count(1.0) == len(self.scales)

    @property
    def tells(self) -> bool:
        """Whether the window has enough of the host to judge its places."""
        return self.heard >= _TELLS and self.known > 0


def presences(
    readings: Sequence[Reading], hosts: Sequence[Host], count: int
) -> dict[str, Presence]:
    """Return for each host with cells or facts where it was heard in, of `count` windows."""
    told = {host.name: host for host in hosts}
    known = {host.name for host in hosts if host.heard is not None and len(host.earlier) == count}
    sent = _sent(readings, count, known)
    return {
        name: _presence(told.get(name, Host(name)), sent.get(name), count)
        for name in sorted({*told, *sent})
    }


@dataclass(slots=True)
class _Sent:
    """The cells that a host has anything in, by window and by slice."""

    earlier: list[int]
    slices: list[int]
    now: int = 0
    cells: int = 0


def _sent(readings: Sequence[Reading], count: int, known: set[str]) -> dict[str, _Sent]:
    """Count the cells of each host whose own facts are not known."""
    sent: dict[str, _Sent] = {}
    for reading in readings:
        for cell in reading.cells:
            if cell.host in known:
                continue
            if (host := sent.get(cell.host)) is None:
                host = sent[cell.host] = _Sent([0] * count, [0] * len(cell.slices))
            if host.cells == _CELLS:
                continue
            host.cells += 1
            host.now += cell.now > 0
            for at, value in enumerate(cell.earlier):
                host.earlier[at] += value > 0
            if len(cell.slices) == len(host.slices):
                for at, value in enumerate(cell.slices):
                    host.slices[at] += value > 0
    return sent


def _presence(told: Host, sent: _Sent | None, count: int) -> Presence:
    heard = told.heard if told.heard is not None else _heard(sent)
    earlier = told.earlier if len(told.earlier) == count else _heard_earlier(sent, count)
    windows = [at for at, part in enumerate(earlier) if part >= _TELLS]
    taken = tuple(windows[at % len(windows)] for at in range(count)) if windows else ()
    scales = tuple(1 / min(earlier[at], 1.0) for at in taken)
    before = count > 2 and max(earlier[-2:]) < _TELLS
    heard = min(max(heard, 0.0), 1.0)
    return Presence(told.name, heard, taken, scales, len(windows), before, told.lost)


def _heard_earlier(sent: _Sent | None, count: int) -> tuple[float, ...]:
    """Read the cells: where usually many have something, a window with none has not been sent."""
    if sent is None:
        return (0.0,) * count
    usual = max(sent.now, median(sent.earlier) if sent.earlier else 0)
    if usual < _ENOUGH:
        return (1.0,) * count
    return tuple(float(cells > usual * _NOTHING) for cells in sent.earlier)


def _heard(sent: _Sent | None) -> float:
    """Read the slices: a host that falls silent has none at all in the last of them."""
    if sent is None:
        return 0.0
    if not sent.slices:
        return float(sent.now > 0 or max(sent.earlier, default=0) < _ENOUGH)
    usual = max(sent.slices)
    if usual < _ENOUGH:
        return float(usual > 0 or max(sent.earlier, default=0) < _ENOUGH)
    return sum(each > usual * _NOTHING for each in sent.slices) / len(sent.slices)
