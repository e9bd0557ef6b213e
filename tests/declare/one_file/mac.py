"""MAC addresses: the whole of a column type. Copied to kscope/declare/types/, it is everywhere."""

from __future__ import annotations

import re
from typing import Any

from kscope.declare.types.base import ColumnType, Role, Storage, text_type
from kscope.declare.types.kernel import KernelField, Kind, UnfitError

_PATTERN = "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"
_MAC = re.compile(_PATTERN.removesuffix("$") + r"\Z")
_BYTES = 6


def _canonical(text: str) -> str:
    if not _MAC.match(text):
        raise ValueError(f"{text[:40]!r} is not a MAC address such as 02:42:ac:11:00:02")
    return text.lower().replace("-", ":")


def _read(raw: Any) -> str:
    if len(bytes(raw)) < _BYTES:
        raise UnfitError(f"{raw!r} is not a MAC address")
    return bytes(raw)[:_BYTES].hex(":")


MAC = ColumnType(
    name="mac",
    help="a MAC address",
    storage=Storage.STRING_ID,
    role=Role.DIMENSION,
    wire=text_type(17, _PATTERN),
    example="02:42:ac:11:00:02",
    kernel=KernelField(
        kinds=frozenset({Kind.OCTETS, Kind.NUMBERS}),
        expected="6 or 8 bytes",
        read=_read,
        fits=lambda found: not found.size or found.size in (_BYTES, 8),
    ),
    encode=_canonical,
    widens_to=frozenset({"string"}),
    group_rank=3,
)
TYPES = (MAC,)
