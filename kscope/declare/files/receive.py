"""`receive:` of a category file: its checks, and the model made of it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from kscope.declare.files.shapes import MAX_ENTRIES, ReceiveFile, ReceiveProtocolFile
from kscope.declare.files.yaml_lines import Found, Path
from kscope.declare.model import HOSTNAME, Column
from kscope.declare.quantities import UNITS, Quantity, unit_of
from kscope.declare.receive import PROTOCOLS, Receive, SampleType
from kscope.declare.types.base import Role, Storage
from kscope.errors import did_you_mean, printable

_LABELLED = (Role.DIMENSION, Role.IDENTITY)


def check_receive(value: Mapping[str, Any], columns: Mapping[str, Column]) -> Iterator[Found]:
    """Yield the mistakes that a schema cannot find."""
    receive = value.get("receive")
    if not isinstance(receive, dict):
        return
    if "union" in value:
        yield ("receive",), "a union has no table; remove this key"
        return
    if not any(each.type.role is Role.STACK for each in columns.values()):
        yield ("receive",), "profiles are stacks: the category needs a column of type stack"
    for name in PROTOCOLS:
        if isinstance(receive.get(name), dict):
            yield from _check_protocol(("receive", name), receive[name], columns)


def _check_protocol(
    path: Path, receive: Mapping[str, Any], columns: Mapping[str, Column]
) -> Iterator[Found]:
    for text, value in _entries(receive.get("types")):
        with suppress(ValueError):
            sampled = SampleType.parse(text)
            yield from _check_type((*path, "types", text), sampled, value, columns)
    known = {HOSTNAME.name: HOSTNAME, **columns}
    fitting = [name for name, each in known.items() if _is_labelled(each)]
    labelled = [name for name, _ in _entries(receive.get("columns"))]
    for name in labelled:
        if name not in known:
            yield (
                (*path, "columns", name),
                f"there is no column '{printable(name)}'{did_you_mean(name, fitting)}",
            )
        elif name not in fitting:
            kind = known[name].type.name
            yield (*path, "columns", name), f"'{name}' is of type {kind}, which no label fills"
    for column in columns.values():
        needed = _is_labelled(column) or column.type.role is Role.TIME
        if needed and not column.optional and column.name not in labelled and not _is_blank(column):
            yield path, f"nothing fills column '{column.name}': list its labels, or set a default"


def _entries(mapping: Any) -> Iterator[tuple[str, Any]]:
    """Yield entries whose key is a text; the schema names the others."""
    if isinstance(mapping, dict):
        first = islice(mapping.items(), MAX_ENTRIES)
        yield from (entry for entry in first if isinstance(entry[0], str))


def _is_labelled(column: Column) -> bool:
    return column.type.role in _LABELLED and column.type.storage is not Storage.TIME


def _is_blank(column: Column) -> bool:
    return column.type.unknown is not None


def _check_type(
    path: Path, kind: SampleType, name: Any, columns: Mapping[str, Column]
) -> Iterator[Found]:
    values = {each.name: each for each in columns.values() if each.type.role is Role.VALUE}
    unit = unit_of(kind.unit)
    if unit.quantity is Quantity.OTHER:
        units = ", ".join(each for each in UNITS if each in _SHOWN)
        yield path, f"'{printable(kind.unit)}' is not a known unit, such as {units}"
    elif not isinstance(name, str):
        return
    elif name not in values:
        shown = printable(name)
        yield path, f"there is no value column '{shown}'{did_you_mean(name, values)}"
    elif (takes := _quantity(values[name])) is not unit.quantity:
        holds = takes if takes is not Quantity.OTHER else "something else"
        yield path, f"'{name}' holds {holds}, and these samples have {unit.quantity}"


_SHOWN = ("nanoseconds", "bytes", "count")


def _quantity(column: Column) -> Quantity:
    found = unit_of(column.unit).quantity
    counts = column.type.counts_events or not column.unit
    return Quantity.COUNT if counts and found is Quantity.OTHER else found


def receive_of(file: ReceiveFile) -> tuple[Receive, ...]:
    files = {name: getattr(file, name) for name in PROTOCOLS}
    return tuple(_receive(name, each) for name, each in files.items() if each)


def _receive(protocol: str, file: ReceiveProtocolFile) -> Receive:
    types = ((SampleType.parse(text), name) for text, name in file.types.items())
    columns = {
        name: (labels,) if isinstance(labels, str) else tuple(labels)
        for name, labels in file.columns.items()
    }
    return Receive(protocol, tuple(types), columns)
