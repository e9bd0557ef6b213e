"""Bodies of columns: texts once for each body, columns as arrays, in JSON or MessagePack."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.ingest import iso, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.fleet import Minute

MSGPACK = "application/msgpack"
_CODES = {1: "B", 2: "H", 4: "I", 8: "q"}


def as_json(minutes: Sequence[Minute]) -> tuple[bytes, int]:
    body, rows = _columns(minutes, list)
    return msgspec.json.encode(body), rows


def as_msgpack(minutes: Sequence[Minute]) -> tuple[bytes, int]:
    body, rows = _columns(minutes, _packed)
    return msgspec.msgpack.encode(body), rows


def _packed(numbers: Sequence[int]) -> Any:
    """Return little-endian integers of as few bytes as the largest needs."""
    size = next(each for each in (1, 2, 4, 8) if max(numbers, default=0) < 1 << 8 * each)
    return msgspec.msgpack.Ext(size, array(_CODES[size], numbers).tobytes())


def _columns(
    minutes: Sequence[Minute], kept: Callable[[Sequence[int]], Any]
) -> tuple[dict[str, Any], int]:
    strings: dict[str, int] = {}
    stacks: dict[str, int] = {}
    words: dict[str, list[int]] = {"time": [], "process": [], "reason": [], "cgroup": []}
    numbers: dict[str, list[int]] = {"pid": [], "stack": [], "elapsed": [], "count": []}
    lengths: dict[str, list[int]] = {"slots": [], "counts": [], "ends": []}
    for minute in minutes:
        moment = strings.setdefault(iso(minute.time), len(strings))
        for pair, elapsed, count, histogram in rows_of(minute):
            words["time"].append(moment)
            group = f"/system.slice/{pair.process}.service"
            for name, text in ("process", pair.process), ("reason", pair.reason), ("cgroup", group):
                words[name].append(strings.setdefault(text, len(strings)))
            numbers["pid"].append(pair.pid)
            numbers["stack"].append(stacks.setdefault(pair.stack, len(stacks)))
            numbers["elapsed"].append(elapsed)
            numbers["count"].append(count)
            for slot, times in enumerate(histogram):
                if times:
                    lengths["slots"].append(slot)
                    lengths["counts"].append(times)
            lengths["ends"].append(len(lengths["slots"]))
    columns: dict[str, Any] = {name: {"strings": kept(places)} for name, places in words.items()}
    columns |= {name: kept(values) for name, values in numbers.items()}
    if lengths["slots"]:
        columns["lengths"] = {name: kept(values) for name, values in lengths.items()}
    body = {"hostname": minutes[0].host, "strings": [*strings], "stacks": [*stacks]}
    return body | {"offcputime": columns}, len(numbers["pid"])
