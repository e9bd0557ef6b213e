"""Right inputs with changes: of bytes, of words, and of values in JSON and MessagePack."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzz.target import Target

WORDS = (
    b"", b"\0", b"\n", b"\r\n", b" ", b"\t", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b",",
    b";", b"-", b"-1", b"0", b"9" * 20, b"9" * 400, b"1e999", b"NaN", b"null", b"true", b"0x", b"%",
    b"%00", b"%s", b"&", b"=", b"__", b"../", b"\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x10", b"\xed\xa0\x80", b"\\ud800", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    b"2026-13-45T99:99:99Z", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+14:00",
    b"18446744073709551616",
    b"-9223372036854775809", b"[" * 200, b"(" * 200, b"a" * 5000,
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 64, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    2**64, 10**40, 0.5, -0.0, 1e308, 1e-320, "", "a", "\0", "\ud800", "\U0001f600" * 40, "x" * 5000,
    "2026-11-23T02:46:15Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "::1", "1e400", [],
    {}, [[]], [None], {"": None}, {"strings": [0]}, {"slots": [0], "counts": [1], "ends": [1]},
    [0] * 70, ["a"] * 70,
)  # fmt: skip


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Return a strategy of inputs for a target."""
    seeds = list(target.seeds())
    changed = _changed(seeds, [*WORDS, *target.words])
    if target.form:
        return st.one_of(_restructured(seeds, target.form), changed)
    return changed


@st.composite
def _changed(draw: st.DrawFn, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Bytes of a right input, some of them replaced, removed, doubled, or of another input."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 1, 2, 8, 60, 1000])))
        match draw(st.integers(0, 5)):
            case 0:
                data[start:end] = draw(st.sampled_from(words))
            case 1:
                data[start:end] = draw(st.binary(max_size=8))
            case 2:
                data[start:end] = data[start:end] * 3
            case 3:
                del data[start:end]
            case 4:
                del data[start:]
            case 5:
                other = draw(st.sampled_from(seeds))
                data[start:end] = other[draw(st.integers(0, len(other))) :][:400]
    return bytes(data)


@st.composite
def _restructured(draw: st.DrawFn, seeds: Sequence[bytes], form: str) -> bytes:
    """Return a right input in which values at some places are others."""
    value = _decoded(draw(st.sampled_from(seeds)), form)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(value)))
        new = copy.deepcopy(draw(st.sampled_from(ODD_VALUES) | st.integers() | st.text(max_size=9)))
        value = _put(value, place, new, renamed=draw(st.integers(0, 9)) == 0)
    if form == "json":
        return json.dumps(value).encode()
    return msgspec.msgpack.encode(_packable(value))


def _decoded(data: bytes, form: str) -> Any:
    try:
        return json.loads(data) if form == "json" else msgspec.msgpack.decode(data)
    except ValueError:
        return {}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(place for key, child in items for place in _places(child, (*path, key)))]


def _put(value: Any, path: tuple[Any, ...], new: Any, *, renamed: bool) -> Any:
    """Return the value with another one at a place, or with another name there."""
    if not path:
        return new
    changed = copy.copy(value)
    if renamed and len(path) == 1 and isinstance(changed, dict):
        changed[new if isinstance(new, str) else "other"] = changed.pop(path[0])
        return changed
    changed[path[0]] = _put(value[path[0]], path[1:], new, renamed=renamed)
    return changed


def _packable(value: Any) -> Any:
    """Return the value with integers and texts that MessagePack has."""
    if isinstance(value, dict):
        return {_packable(key): _packable(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(_packable, value))
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
