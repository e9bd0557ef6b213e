"""The places that a change may be at: each process, frame, threshold and value of each host."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from kscope.query.changes.limits import FEW, UNUSUAL
from kscope.query.changes.reading import MOST_FRAMES
from kscope.query.changes.spread import floor
from kscope.query.changes.usual import Usual

# Places of a reading whose earlier windows are read.
_MOST = 300
# A place is an index of its host and process, or of its host alone, and one of its name; -1: any.
_Key = tuple[int, int]


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
    least = {host: UNUSUAL * FEW * varies for host, varies in usual.varies.items()}
    bound = {}
    # Most are too small for any spread.
    for key, both in index.large(index.sums(now, expected), least):
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

    def sums(self, now: Sequence[float], expected: Sequence[float]) -> dict[int, complex]:
        """Return of each place of a process the excess, and as imaginary part the expected sum.

        So each frame of each cell takes one addition, not two. A place is one number: that of the
        process times a width, plus the name's, which is the last one for any.
        """
        any_name = len(self.names)
        sums: defaultdict[int, complex] = defaultdict(complex)
        rows = zip(self.of_group, self.paths, map(complex, now, expected), strict=True)
        for group, path, both in rows:
            base = group * (any_name + 1)
            sums[base + any_name] += both
            for name in path:
                sums[base + name] += both
        return sums

    def large(
        self, sums: Mapping[int, complex], least: Mapping[str, float]
    ) -> Iterator[tuple[_Key, complex]]:
        """Yield the places of processes and of hosts with at least this excess on their host."""
        any_name = len(self.names)
        of_host: list[defaultdict[int, complex]] = [defaultdict(complex) for _ in self.hosts]
        leasts = [least[host] for host in self.hosts]
        hosts = {name: number for number, name in enumerate(self.hosts)}
        numbers = [hosts[host] for host, _ in self.groups]
        for key, both in sums.items():
            group, name = divmod(key, any_name + 1)
            host = numbers[group]
            if name != any_name:
                of_host[host][name] += both
            if abs(both.real) >= leasts[host]:
                yield (group, name if name != any_name else -1), both
        for host, of_name in enumerate(of_host):
            for name, both in of_name.items():
                if abs(both.real) >= leasts[host]:
                    yield (-1 - host, name), both

    def host(self, key: _Key) -> str:
        return self.groups[key[0]][0] if key[0] >= 0 else self.hosts[-1 - key[0]]

    def cells(self, keys: Sequence[_Key]) -> dict[_Key, list[int]]:
        found: dict[_Key, list[int]] = {key: [] for key in keys}
        for at in range(len(self.paths) if keys else 0):
            for key in self._keys(at):
                if key in found:
                    found[key].append(at)
        return found

    def _keys(self, at: int) -> Iterator[_Key]:
        group, host = self.of_group[at], -1 - self.of_host[at]
        yield group, -1
        for name in self.paths[at]:
            yield group, name
            yield host, name

    def place(self, key: _Key, cells: Sequence[int]) -> Place:
        name = self.names[key[1]] if key[1] >= 0 else None
        process = self.groups[key[0]][1] if key[0] >= 0 else None
        return Place(self.host(key), process, name, tuple(cells))
