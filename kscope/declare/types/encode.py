"""A column's values as the wire has them -> as they are stored, and back."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Any

from kscope.declare.types.base import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kscope.declare.types.base import ColumnType

# An IPv4 address that a socket of IPv6 shows begins with these bytes.
_MAPPED = bytes(10) + b"\xff\xff"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BadValueError(ValueError):
    """The value at `index` has the right JSON type and yet no meaning."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def microseconds(text: str) -> int:
    """ISO 8601 -> microseconds since the epoch; UTC where no offset is given.

    Raises ValueError.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-11-23T02:46:15Z") from None


def histogram_text(counts: Sequence[int]) -> str:
    """Write [0, 3, 0, 1] as `1:3,3:1`."""
    if not counts:
        return ""
    return ",".join(f"{slot}:{count}" for slot, count in enumerate(counts) if count)


def histogram_counts(text: str) -> dict[int, int]:
    """Read `1:3,3:1`; a slot that is there twice is summed, so joined texts add up."""
    counts: dict[int, int] = {}
    for pair in filter(None, text.split(",")):
        slot, _, count = pair.partition(":")
        counts[int(slot)] = counts.get(int(slot), 0) + _whole(count)
    return counts


def _whole(text: str) -> int:
    """Read a count; earlier versions stored a sender's 1.0 as it came."""
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def canonical_ip(text: str) -> str:
    """Write an address in its one usual form, so that one host is one name; raises ValueError.

    An IPv4 address that a socket of IPv6 shows as ::ffff:192.0.2.1 is that IPv4 address.
    """
    try:
        # The C library's functions take a tenth of the time of Python's.
        return _canonical_ip6(text) if ":" in text else _canonical_ip4(text)
    except OSError:
        address = ip_address(text)
        return str(getattr(address, "ipv4_mapped", None) or address)


def _canonical_ip4(text: str) -> str:
    return inet_ntop(AF_INET, inet_pton(AF_INET, text))


def _canonical_ip6(text: str) -> str:
    packed = inet_pton(AF_INET6, text)
    if packed.startswith(_MAPPED):
        return inet_ntop(AF_INET, packed[len(_MAPPED) :])
    address = inet_ntop(AF_INET6, packed)
    if "." in address:
        # It writes ::1:2 as if it were an IPv4 address.
        high, low = struct.unpack("!HH", packed[12:])
        return f"::{high:x}:{low:x}"
    return address


def encode(kind: ColumnType, values: Sequence[Any]) -> Sequence[Any]:
    """Raise BadValueError. Stacks are not encoded here: their ids depend on the request."""
    encoder = canonical_ip if kind.name == "ip" else _ENCODERS.get(kind.storage)
    if encoder is None:
        return values
    # Most columns repeat a few values: each is encoded once.
    if kind.storage is not Storage.HISTOGRAM:
        return _once_each(encoder, values)
    return [_at(encoder, index, value) for index, value in enumerate(values)]


def _once_each(encoder: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    encoded: dict[Any, Any] = {}
    try:
        for value in set(values):
            encoded[value] = encoder(value)
    except ValueError:
        return [_at(encoder, index, value) for index, value in enumerate(values)]
    return list(map(encoded.__getitem__, values))


def _at(encoder: Callable[[Any], Any], index: int, value: Any) -> Any:
    try:
        return encoder(value)
    except ValueError as error:
        raise BadValueError(index, str(error)) from None


_ENCODERS: Mapping[Storage, Callable[[Any], Any]] = {
    Storage.TIME: lambda text: None if text is None else microseconds(text),
    Storage.BOOLEAN: int,
    Storage.REAL: float,
    Storage.HISTOGRAM: histogram_text,
}
