"""The binaries in which most stacks break or most frames have no name, and a fix for each.

Agents send them as rows of the category `agent`, in the state `stacks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import msgspec

from kscope.declare.model import HOSTNAME, Column
from kscope.query.parse.filters import condition, parse_filter
from kscope.query.parse.scope import Scope
from kscope.query.scan.heaviest import heaviest
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import sum_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan, columns, scan_of
from kscope.query.sql.conditions import Condition, Group
from kscope.store.reader import Reader

STATE = "stacks"
MOST = 5
# Below this share of the whole a binary is not worth a line.
_LEAST = 0.01
NAMELESS, BROKEN = "nameless_frames", "broken_stacks"
_ANONYMOUS = "[anonymous]"  # code of JIT compilers
_KEEP_RULES = "keep its .eh_frame, or build it with -fno-omit-frame-pointer"
# Fixes by the reasons of the agent's rows.
FIXES: Mapping[str, str] = MappingProxyType(
    {
        "no name": "install debug symbols there (Debian: libc6-dbg for libc; for others "
        "NAME-dbgsym, from the debian-debug archive), or `kscope symbols add FILE` on the server",
        "no rules and no frame pointer": _KEEP_RULES,
        "return address outside code": _KEEP_RULES,
        "stack not in memory": f"{_KEEP_RULES}; if the host swaps, more memory helps",
        "table not loaded": "a larger --unwind-memory has room for more files",
        "rule of a kind that is not supported": "report it to Kernelscope, with the file",
    }
)
_COMPILED = "start the program with"
_FIXES_OF_COMPILED: Mapping[str, str] = MappingProxyType(
    {
        NAMELESS: f"{_COMPILED} a perf map (node --perf-basic-prof, python -X perf, "
        "java -XX:+PreserveFramePointer and `jcmd PID Compiler.perfmap`)",
        BROKEN: f"{_COMPILED} frame pointers (java -XX:+PreserveFramePointer, python -X perf)",
    }
)
_ENDED = {"[unknown]": "the process ended before the agent could open the file"}


class Binary(msgspec.Struct, frozen=True):
    """A file in which `count` stacks broke (`column` is `broken_stacks`), or `count` frames have no
    name (`nameless_frames`).

    `share` (0 to 1) is of the probe's rows, or of its user frames. `host` has the most, of `hosts`.
    `fix` says what to install or to do.
    """

    name: str
    column: str
    reason: str
    share: float
    count: int
    host: str
    hosts: int
    fix: str


async def worst_binaries(
    reader: Reader, scope: Scope, wholes: Mapping[str, int]
) -> Sequence[Binary]:
    """Return the binaries with most of each fault. `scope` is of the agents' rows about a probe;
    `wholes` has the whole for the shares of each fault, by its column.
    """
    agent = scope.category
    by = [agent.column(name) for name in ("binary_name", "reason")]
    name, reason = by
    if name is None or reason is None:
        return []
    found: list[Binary] = []
    for fault in (BROKEN, NAMELESS):
        column, whole = agent.column(fault), wholes[fault]
        if column and whole:
            about = _with(scope, parse_filter(agent, "state", STATE))
            scan = await scan_of(reader, about, [name, reason, column])
            found += await _worst(scan, about, (name, reason), column, whole)
    return sorted(found, key=lambda each: (-each.share, each.column, each.name))


async def _worst(
    scan: Scan, scope: Scope, by: tuple[Column, Column], fault: Column, whole: int
) -> list[Binary]:
    top = await heaviest(scan, columns(*by), [sum_of(fault)], MOST)
    counts = {key: int(count or 0) for key, (count,) in top.groups.items()}
    least = whole * _LEAST
    counts = {key: count for key, count in counts.items() if count and count >= least}
    if not counts:
        return []
    names, reasons = [
        await labels(scan.reader, column, {key[i] for key in counts}) for i, column in enumerate(by)
    ]
    hosts = await _hosts(scan.reader, scope, by, fault, [names[key] for key, _ in counts])
    return [
        Binary(
            name=names[key[0]],
            column=fault.name,
            reason=reasons[key[1]],
            share=min(1.0, count / whole),
            count=count,
            host=hosts[key][0],
            hosts=len(hosts[key]),
            fix=_fix(names[key[0]], fault.name, reasons[key[1]]),
        )
        for key, count in counts.items()
    ]


async def _hosts(
    reader: Reader, scope: Scope, by: tuple[Column, Column], fault: Column, names: list[str]
) -> Mapping[tuple[object, ...], list[str]]:
    """Return the hosts with the fault by binary and reason, that with the most first."""
    binary = by[0]
    named = condition(scope.category, binary.name, binary, "in", names)
    scan = await scan_of(reader, _with(scope, named), [*by, fault])
    found = await summed(scan, columns(*by, HOSTNAME), [sum_of(fault)])
    texts = await labels(reader, HOSTNAME, {host for *_, host in found})
    by_binary: dict[tuple[object, ...], list[str]] = {}
    for (*key, host), (count,) in sorted(found.items(), key=lambda each: -(each[1][0] or 0)):
        if count:
            by_binary.setdefault(tuple(key), []).append(texts[host])
    return by_binary


def _with(scope: Scope, more: Condition) -> Scope:
    return replace(scope, where=Group((more, scope.where)))


def _fix(name: str, fault: str, reason: str) -> str:
    if name == _ANONYMOUS:
        return _FIXES_OF_COMPILED[fault]
    return _ENDED.get(name) or FIXES.get(reason, "")


def sentence(binary: Binary) -> str:
    """Return the fault and its fix as a sentence without the numbers."""
    if binary.column == NAMELESS:
        return f"frames of {binary.name} had no name on their hosts; {binary.fix}"
    return f"stacks broke in {binary.name}: {binary.reason}; {binary.fix}"
