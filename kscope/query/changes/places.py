"""The places that a change may be at: each process, frame, threshold and value of each host."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from kscope.query.changes.limits import FEW, RELATIVE, UNUSUAL
from kscope.query.changes.reading import MOST_FRAMES
from kscope.query.changes.spread import floor
from kscope.query.changes.usual import Usual

# Places of a reading whose earlier windows are read.
_MOST = 300
_ROUNDING = 1e-9
# A place is an index of its host and process, or of its host alone, and one of its name.
_Key = tuple[int, int]
_ANY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Some cells of a host: those of a process, with a frame, or both. None is any."""

    host: str
    process: str | None
    name: str | None
    cells: tuple[int, ...]


def candidates(usual: Usual, now: Sequence[float], expected: Sequence[float]) -> list[Place]:
    """Return the places that may have changed, by the excess and the expected sum of each cell."""
    index = _Index(usual)
    bound = {}
    for key, both in index.large(index.sums(now, expected)):
        bound[key] = abs(both.real) / floor(usual, index.host(key), both.imag)
    kept = nlargest(
        _MOST, (key for key, most in bound.items() if most >= UNUSUAL), key=bound.__getitem__
    )
    return [index.place(key, cells) for key, cells in index.cells(kept).items() if cells]


class _Index:
    """Numbers instead of names, as each frame of each cell is a step."""

    def __init__(self, usual: Usual) -> None:
        self.usual = usual
        hosts: dict[str, int] = {}
        groups: dict[tuple[str, str], int] = {}
        names: dict[str, int] = {}
        self.of_group = [groups.setdefault((c.host, c.process), len(groups)) for c in usual.cells]
        self.of_host = [hosts.setdefault(c.host, len(hosts)) for c in usual.cells]
        self.paths = [
            [names.setdefault(name, len(names)) for name in dict.fromkeys(c.path[:MOST_FRAMES])]
            for c in usual.cells
        ]
        self.groups, self.hosts, self.names = [*groups], [*hosts], [*names]

    def sums(self, now: Sequence[float], expected: Sequence[float]) -> list[dict[int, complex]]:
        """Return by process and name the excess, and as imaginary part the expected sum.

        So each frame of each cell takes one addition, not two. The name -1 is any.
        """
        sums: list[dict[int, complex]] = [defaultdict(complex) for _ in self.groups]
        rows = zip(self.of_group, self.paths, map(complex, now, expected), strict=True)
        for group, path, both in rows:
            of_name = sums[group]
            of_name[_ANY] += both
            for name in path:
                of_name[name] += both
        return sums

    def large(self, sums: Sequence[Mapping[int, complex]]) -> Iterator[tuple[_Key, complex]]:
        """Yield the places of processes and of hosts that may be off: few are not too small."""
        of_host: dict[str, dict[int, complex]] = {host: defaultdict(complex) for host in self.hosts}
        for group, ((host, _), of_name) in enumerate(zip(self.groups, sums, strict=True)):
            (least, relative), all_processes = self._leasts(host), of_host[host]
            for name, both in of_name.items():
                all_processes[name] += both
                more = abs(both.real)
                if more >= least and more >= relative * both.imag:
                    yield (group, name), both
        for number, host in enumerate(self.hosts):
            least, relative = self._leasts(host)
            for name, both in of_host[host].items():
                more = abs(both.real)
                if name != _ANY and more >= least and more >= relative * both.imag:
                    yield (-1 - number, name), both

    def _leasts(self, host: str) -> tuple[float, float]:
        """Return the least excess of a place that may be off, and as a part of its expected sum.

        They are a little below `UNUSUAL` times the `floor` of a spread.
        """
        relative = RELATIVE * self.usual.widening[host] + self.usual.lost[host]
        most = UNUSUAL * (1 - _ROUNDING)
        return most * FEW * self.usual.varies[host], most * relative

    def host(self, key: _Key) -> str:
        return self.groups[key[0]][0] if key[0] >= 0 else self.hosts[-1 - key[0]]

    def cells(self, keys: Sequence[_Key]) -> dict[_Key, list[int]]:
        found: dict[_Key, list[int]] = {key: [] for key in keys}
        names: defaultdict[int, set[int]] = defaultdict(set)
        for owner, name in keys:
            names[owner].add(name)
        for at, path in enumerate(self.paths if keys else ()):
            for owner in (self.of_group[at], -1 - self.of_host[at]):
                for name in names[owner].intersection((_ANY, *path)) if owner in names else ():
                    found[owner, name].append(at)
        return found

    def place(self, key: _Key, cells: Sequence[int]) -> Place:
        name = self.names[key[1]] if key[1] != _ANY else None
        process = self.groups[key[0]][1] if key[0] >= 0 else None
        return Place(self.host(key), process, name, tuple(cells))
