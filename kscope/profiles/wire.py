"""Protobuf's wire format, written, and read field by field and without copies.

The number, the kind and the place of a field are known before anything is kept of it, so each
reader sets its bounds first.
"""

from collections.abc import Iterable, Iterator

from kscope.errors import KscopeError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Content = bytes | bytearray

# number, kind, and the value, with the place where it ends. The value of BYTES is where it begins.
Field = tuple[int, int, int, int]

_LONGEST = 10
_WIDEST = 63
# A number follows: the value, or the size of bytes.
_NUMBERED = (VARINT, BYTES)
_MASK = 2**64 - 1
_SIZES = {FIXED64: 8, FIXED32: 4}


class WireError(KscopeError):
    """Bytes that are not a protobuf message."""


def fields(content: Content, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of the message between two places. Raises WireError."""
    end = len(content) if end is None else end
    at = start
    while at < end:
        # Most numbers have one byte, for which a call takes longer than the rest.
        if (key := content[at]) < 128:
            at += 1
        else:
            key, at = _varint(content, at, end)
        number, kind = key >> 3, key & 7
        if not number:
            raise WireError(f"at byte {at - 1}: there is no field 0")
        if kind not in _NUMBERED:
            value, at = _fixed(content, kind, at, end)
            yield number, kind, value, at
            continue
        if at < end and (value := content[at]) < 128:
            at += 1
        else:
            value, at = _varint(content, at, end)
        if kind == VARINT:
            yield number, VARINT, value, at
        else:
            first = at
            at += value
            if at > end:
                left = end - first
                raise WireError(f"at byte {first}: {value} bytes are announced, {left} left")
            yield number, BYTES, first, at


def _fixed(content: Content, kind: int, at: int, end: int) -> tuple[int, int]:
    """Return the number of 4 or 8 bytes, and the place behind it."""
    if kind not in _SIZES:
        raise WireError(f"at byte {at - 1}: there is no wire type {kind} here")
    last = at + _SIZES[kind]
    if last > end:
        raise WireError(f"at byte {at}: the end is missing")
    return int.from_bytes(content[at:last], "little"), last


def _varint(content: Content, at: int, end: int) -> tuple[int, int]:
    """Return the number, of 64 bits, and the place behind it."""
    if at < end and content[at] < 128:
        return content[at], at + 1
    number = shift = 0
    for place in range(at, min(end, at + _LONGEST)):
        byte = content[place]
        number |= (byte & 127) << shift
        if byte < 128:
            return number & _MASK, place + 1
        shift += 7
    raise WireError(f"at byte {at}: a number has no end")


def numbers(content: Content, field: Field, most: int) -> list[int]:
    """Return the numbers of one field of a repeated integer, packed or not. Raises WireError.

    `most` bounds them before they are read.
    """
    _, kind, start, end = field
    if kind == VARINT:
        return [start]
    if kind != BYTES:
        raise WireError(f"at byte {end}: wire type {kind} in place of numbers")
    packed = content[start:end]
    if packed.isascii():
        _check_count(len(packed), most, start)
        return list(packed)
    # Each has one byte below 128, its last.
    if len(packed) > most:
        _check_count(sum(byte < 128 for byte in packed), most, start)
    return _unpacked(packed, start)


def _unpacked(packed: Content, start: int) -> list[int]:
    found = []
    number = shift = 0
    for byte in packed:
        if byte < 128:
            found.append((number | byte << shift) & _MASK)
            number = shift = 0
        else:
            number |= (byte & 127) << shift
            shift += 7
            if shift > _WIDEST:
                raise WireError(f"at byte {start}: a number in the list has no end")
    if shift:
        raise WireError(f"at byte {start}: the last number of the list has no end")
    return found


def fixed64s(content: Content, field: Field, most: int) -> list[int]:
    """Return the numbers of one field of a repeated fixed64, packed or not. Raises WireError."""
    _, kind, start, end = field
    if kind == FIXED64:
        return [start]
    if kind != BYTES or (end - start) % 8:
        raise WireError(f"at byte {end}: is no list of numbers of 8 bytes")
    _check_count((end - start) // 8, most, start)
    return [int.from_bytes(content[at : at + 8], "little") for at in range(start, end, 8)]


def _check_count(found: int, most: int, start: int) -> None:
    if found > most:
        raise WireError(f"at byte {start}: {found} numbers in one list; at most {most} are read")


def signed(number: int) -> int:
    """Return the int64 of a number of 64 bits."""
    return number - 2**64 if number >> 63 else number


def text(content: Content, field: Field, most: int) -> str:
    """Return at most `most` characters of a text; bytes that are not UTF-8 become U+FFFD."""
    _, kind, start, end = field
    if kind != BYTES:
        raise WireError(f"at byte {end}: wire type {kind} in place of a text")
    return content[start : min(end, start + 4 * most)].decode(errors="replace")[:most]


def written(number: int, value: int | bytes) -> bytes:
    """Return a field as it is sent: a number of 64 bits, or bytes of a text or of a message."""
    if isinstance(value, int):
        return _written(number << 3) + _written(value)
    return _written(number << 3 | BYTES) + _written(len(value)) + value


def packed(number: int, values: Iterable[int]) -> bytes:
    """Return a field of repeated numbers as it is sent."""
    return written(number, b"".join(map(_written, values)))


def _written(number: int) -> bytes:
    # Negative ones are written as their complement.
    number &= _MASK
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)
