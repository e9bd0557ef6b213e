"""The hosts that have sent rows in the last day, and which of them are silent."""

from collections.abc import Mapping

import msgspec

from kscope.query.scan.scan import RECORDED
from kscope.store.heard import Heard

# A marker of all hosts comes from a person, not from a host.
_NOT_HOSTS = ("*",)


class HeardHost(msgspec.Struct, frozen=True):
    """`last` is when its rows were stored last, in microseconds; `program` is what sent them, such
    as `kscope/0.1.0`, empty if it is not known.
    """

    host: str
    last: int
    silent: bool
    program: str


class HeardHosts(msgspec.Struct, frozen=True, kw_only=True):
    """The silent hosts first, and of them the one that was heard last. `now` is in microseconds;
    a host is silent after `silent_after` seconds without rows, and left out a day later.
    """

    now: int
    silent_after: float
    silent: int
    hosts: list[HeardHost]


def is_host(name: str) -> bool:
    """Return whether rows of this name show that a host sends; those of a recording do not."""
    return name not in _NOT_HOSTS and not name.startswith(RECORDED)


def heard_hosts(known: Mapping[str, Heard], now: float, silent_after: float) -> HeardHosts:
    """Return the answer at `now`, in seconds."""
    hosts = [
        HeardHost(host, round(each.last * 1_000_000), now - each.last > silent_after, each.program)
        for host, each in known.items()
    ]
    hosts.sort(key=lambda each: (not each.silent, -each.last if each.silent else 0, each.host))
    return HeardHosts(
        now=round(now * 1_000_000),
        silent_after=silent_after,
        silent=sum(each.silent for each in hosts),
        hosts=hosts,
    )
