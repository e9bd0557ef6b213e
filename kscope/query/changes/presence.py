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
class Taken:
    """The earlier windows of a reading to take for a host, one for each.

    Those it was away in are replaced by others, so that all cells have values in the same number.
    `scales` make up for parts that are missing. `known` says how many different ones there are.
    """

    windows: tuple[int, ...]
    scales: tuple[float, ...]
    known: int

    @property
    def throughout(self) -> bool:
        """Whether the host was heard in all of every window."""
        return self.known == len(self.windows) and self.scales.count(1.0) == len(self.scales)


@dataclass(frozen=True, slots=True)
class Presence:
    """The part of the window, and of each earlier one, in which a host was heard."""

    host: str
    heard: float
    earlier: tuple[float, ...]
    lost: Mapping[str, float]

    @property
    def tells(self) -> bool:
        """Whether the window has enough of the host to judge its places."""
        return self.heard >= _TELLS

    @property
    def new(self) -> bool:
        """Whether no earlier window has enough of the host."""
        return max(self.earlier, default=0.0) < _TELLS

    @property
    def before(self) -> bool:
        """Whether the host was silent in the last two of the earlier windows too."""
        return len(self.earlier) > 2 and max(self.earlier[-2:]) < _TELLS

    def taken(self, count: int) -> Taken:
        """Return the windows to take of a reading with this many; the last ones are the same."""
        earlier = self.earlier[len(self.earlier) - count :]
        known = [at for at, part in enumerate(earlier) if part >= _TELLS]
        windows = tuple(known[at % len(known)] for at in range(count)) if known else ()
        return Taken(windows, tuple(1 / min(earlier[at], 1.0) for at in windows), len(known))


def presences(
    readings: Sequence[Reading], hosts: Sequence[Host], count: int
) -> dict[str, Presence]:
    """Return for each host with cells or facts where it was heard in, of `count` windows."""
    told = {host.name: host for host in hosts}
    known = {host.name for host in hosts if host.earlier and (host.heard or 0.0) >= HEARD}
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
            # A table with fewer windows has the newest.
            for at, value in enumerate(cell.earlier[-count:], count - len(cell.earlier[-count:])):
                host.earlier[at] += value > 0
            if len(cell.slices) == len(host.slices):
                for at, value in enumerate(cell.slices):
                    host.slices[at] += value > 0
    return sent


def _presence(told: Host, sent: _Sent | None, count: int) -> Presence:
    earlier = told.earlier[-count:] if told.earlier else _heard_earlier(sent, count)
    earlier = (0.0,) * (count - len(earlier)) + earlier
    return Presence(told.name, min(max(_part(told, sent), 0.0), 1.0), earlier, told.lost)


def _part(told: Host, sent: _Sent | None) -> float:
    """Return the part of the window that a host was heard in."""
    if told.heard is None:
        return _heard(sent)
    if told.until < 1:
        return min(told.heard, told.until)
    # Where few have anything to send, a gap is no silence.
    sends = sent is not None and max(sent.slices, default=_ENOUGH) >= _ENOUGH
    return told.heard if sends or not told.heard else 1.0


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
