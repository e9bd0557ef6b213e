"""The first bytes of a message in protobuf's wire format."""

# profile.proto: fields that are messages or texts, and fields that are numbers.
_MESSAGES, _NUMBERS = frozenset(range(1, 7)) | {11, 13}, frozenset(range(7, 16)) - {11}
_VARINT, _BYTES = 0, 2
_LONGEST = 10
# A type of values: the places of two texts.
_TYPE = (frozenset({1, 2}), 64)


def starts_profile(raw: bytes) -> bool:
    """Return whether bytes begin as a profile of pprof: with its fields, and a type of values."""
    at, typed = 0, False
    while at < len(raw):
        field, kind, at = _tag(raw, at)
        if field in _NUMBERS and kind == _VARINT:
            _, at = _varint(raw, at)
        elif field in _MESSAGES and kind == _BYTES:
            size, at = _varint(raw, at)
            if field == 1:
                typed = _is_type(raw[at : at + size])
                if not typed:
                    return False
            at += size
        else:
            return False
        if at < 0:
            return False
    return typed


def _is_type(raw: bytes) -> bool:
    """Return whether bytes are a ValueType; an empty one has no texts."""
    fields, longest = _TYPE
    at = 0
    while 0 <= at < len(raw) <= longest:
        field, kind, at = _tag(raw, at)
        if field not in fields or kind != _VARINT:
            return False
        _, at = _varint(raw, at)
    return at == len(raw)


def _tag(raw: bytes, at: int) -> tuple[int, int, int]:
    value, at = _varint(raw, at)
    return value >> 3, value & 7, at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number and the place behind it, which is below 0 if there is no number."""
    value = 0
    for shift, byte in enumerate(raw[at : at + _LONGEST] if at >= 0 else b""):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    # A head may end within a number.
    return value, len(raw) if at >= 0 and at + _LONGEST > len(raw) else -1
