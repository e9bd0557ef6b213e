"""JSON of recordings and pipes, by the standard library: agents have no other decoder."""

import json
import math
from typing import Any, NoReturn

# Half of a character beyond 16 bits, written as an escape; a whole one has two of them.
_HALVES = ("\\ud", "\\uD")


class NotJsonError(ValueError):
    """A text is not JSON, or has a number or a character that nothing can store."""


def decoded(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises NotJsonError."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = _DECODER.decode(text)
        if any(half in text for half in _HALVES):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from None
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refused)
