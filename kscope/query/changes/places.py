"""The places that a change may be at: each process, frame, threshold and value of each host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain

from kscope.query.changes.reading import MOST_FRAMES
from kscope.query.changes.spread import Knobs, floor
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


def candidates(usual: Usual, now: Sequence[float]) -> list[Place]:
    """Return the places that may have changed, by two sums of each; `now` is each cell's excess."""
    index = _Index(usual)
    sums = index.sums(now)
    bound = {
        key: abs(excess) / floor(usual, index.host(key), middle)
        for key, (excess, middle) in sums.items()
    }
    open_keys = [key for key, most in bound.items() if most >= Knobs.unusual]
    kept = nlargest(_MOST, open_keys, key=bound.__getitem__)
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

    def sums(self, now: Sequence[float]) -> dict[_Key, tuple[float, float]]:
        """Return the excess and the usual of each place; of hosts, after the groups."""
        width = len(self.names) + 1
        excess: dict[int, float] = {}
        middle: dict[int, float] = {}
        rows = zip(self.of_group, self.paths, now, self.usual.usual, strict=True)
        for group, path, more, usually in rows:
            base = group * width
            for name in chain(path, (width - 1,)):
                key = base + name
                excess[key] = excess.get(key, 0.0) + more
                middle[key] = middle.get(key, 0.0) + usually
        return self._with_hosts(excess, middle, width)

    def _with_hosts(
        self, excess: dict[int, float], middle: dict[int, float], width: int
    ) -> dict[_Key, tuple[float, float]]:
        number = {host: -1 - at for at, host in enumerate(self.hosts)}
        sums: dict[_Key, tuple[float, float]] = {}
        for key, more in excess.items():
            group, name = divmod(key, width)
            usually = middle[key]
            if name == width - 1:
                sums[group, -1] = (more, usually)
                continue
            sums[group, name] = (more, usually)
            of_host = (number[self.groups[group][0]], name)
            before = sums.get(of_host, (0.0, 0.0))
            sums[of_host] = (before[0] + more, before[1] + usually)
        return sums

    def host(self, key: _Key) -> str:
        return self.groups[key[0]][0] if key[0] >= 0 else self.hosts[-1 - key[0]]

    def cells(self, keys: Sequence[_Key]) -> dict[_Key, list[int]]:
        found: dict[_Key, list[int]] = {key: [] for key in keys}
        for at in range(len(self.paths)):
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
