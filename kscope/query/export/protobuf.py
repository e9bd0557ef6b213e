"""The wire format of protobuf, as far as a profile needs it.

https://protobuf.dev/programming-guides/encoding: a library and its generated code would be a large
dependency for three kinds of fields.
"""

from collections.abc import Iterable


def varint(number: int) -> bytes:
    # Negative ones are written as their 64-bit complement.
    number &= 2**64 - 1
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, value: bytes) -> bytes:
    """Encode a text or a message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def packed(field: int, values: Iterable[int]) -> bytes:
    return block(field, b"".join(map(varint, values)))
