"""Addresses of hosts."""

import re
import struct
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

from kscope.declare.types.base import ColumnType, Role, Storage, text_type
from kscope.declare.types.kernel import FieldType, KernelField, Kind, UnfitError, whole_number

# An IPv4 address that a socket of IPv6 shows begins with these bytes.
_MAPPED = bytes(10) + b"\xff\xff"
# Python's addresses may have a zone.
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]*\Z", re.ASCII)
_SIZES = (4, 16)


def canonical_ip(text: str) -> str:
    """Return an address in its one usual form, so that one host is one name. Raises ValueError.

    An IPv4 address that a socket of IPv6 shows as ::ffff:192.0.2.1 is that IPv4 address.
    """
    if not _ADDRESS.match(text):
        raise ValueError(f"{text[:60]!r} is not an IPv4 or IPv6 address")
    try:
        # The C library's functions take a tenth of the time of Python's.
        return _canonical_ip6(text) if ":" in text else inet_ntop(AF_INET, inet_pton(AF_INET, text))
    except OSError:
        return _usual(text)


def _usual(address: str | bytes) -> str:
    found = ip_address(address)
    return str(getattr(found, "ipv4_mapped", None) or found)


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


def _read(raw: Any) -> str:
    """From a number or bytes in network order, or from text as bpftrace's ntop() prints it."""
    if isinstance(raw, str) and ("." in raw or ":" in raw):
        address: str | bytes = raw
    elif isinstance(raw, int | str):
        address = (whole_number(raw) & 0xFFFFFFFF).to_bytes(4, "little")
    else:
        address = bytes(raw)
    try:
        return _usual(address)
    except ValueError:
        raise UnfitError(f"{raw!r} is not an IP address") from None


def _fits(found: FieldType) -> bool:
    sizes = _SIZES[:1] if found.kind is Kind.NUMBER else _SIZES
    return not found.size or found.size in sizes


IP = ColumnType(
    name="ip",
    help="an IPv4 or IPv6 address",
    storage=Storage.STRING_ID,
    role=Role.DIMENSION,
    wire=text_type(45, "", anyOf=[{"format": "ipv4"}, {"format": "ipv6"}]),
    example="192.0.2.1",
    kernel=KernelField(
        kinds=frozenset((Kind.NUMBER, Kind.OCTETS, Kind.NUMBERS, Kind.STRUCT, Kind.ADDRESS)),
        expected="a u32, or 4 or 16 bytes, in network order",
        read=_read,
        fits=_fits,
    ),
    encode=canonical_ip,
    widens_to=frozenset({"string", "label"}),
)
TYPES = (IP,)
