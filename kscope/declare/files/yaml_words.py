"""Unquoted words, as YAML 1.1 reads them, and the ones that mean something else to people."""

import math
import re
from dataclasses import dataclass
from typing import Any

# More digits than any number that a column or a setting can hold.
_MAX_DIGITS = 40
_QUOTE = "put it in quotes"
_FINITE = "write a finite number"
_OCTAL_CURE = f"it is octal in YAML: write the number without the first 0, or {_QUOTE}"

_TRUE = frozenset({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_GROUPED = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?(0[0-7_]+|0o[0-7]+)")
_BASE_60 = re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)")
_FLOAT = re.compile(r"([-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?")
# YAML 1.1 has a dot and a sign in every exponent, and digits between a sign and a dot.
_LIKE_A_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?([Tt]|[ \t]+)\d\d?:\d\d:\d\d(\.\d*)?"
    r"([ \t]*(Z|[-+]\d\d?(:\d\d)?))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word's value. `cure` says how YAML reads it and what to write instead, if people differ.

    If `refused`, the word has no meaning that people would agree on: it is wrong everywhere.
    """

    value: Any
    cure: str = ""
    refused: bool = False


def read(text: str, *, discreet: bool = False) -> Scalar:
    """Return the value of an unquoted word; no cure shows a secret if it is `discreet`."""
    if text in _TRUE | _FALSE:
        return _boolean(text)
    if text in _NULL:
        cure = (
            f"YAML reads {text} as nothing: {_QUOTE}" if text else "add a value, or remove the key"
        )
        return Scalar(None, cure)
    if text[0] not in "+-.0123456789":
        return Scalar(text)
    found = _number(text, discreet=discreet)
    return found or Scalar(text)


def _boolean(text: str) -> Scalar:
    value = text in _TRUE
    known = text in ("true", "false")
    return Scalar(value, "" if known else f"YAML reads {text} as {str(value).lower()}: {_QUOTE}")


def _number(text: str, *, discreet: bool) -> Scalar | None:
    if len(text) > _MAX_DIGITS:
        known = _GROUPED.fullmatch(text) or _FLOAT.fullmatch(text)
        cure = "the number has too many digits; as text it must be in quotes"
        return Scalar(None, cure, refused=True) if known else None
    word = "it" if discreet else text
    if _INTEGER.fullmatch(text):
        return Scalar(int(text))
    if _GROUPED.fullmatch(text):
        return _grouped(text, discreet=discreet)
    if _OCTAL.fullmatch(text):
        value = int(text.replace("_", "").replace("o", ""), 8)
        cure = f"{text} is octal in YAML: write {value} for the number, or {_QUOTE}"
        return Scalar(None, _OCTAL_CURE if discreet else cure, refused=True)
    if _BASE_60.fullmatch(text):
        return Scalar(None, f"YAML reads {word} as a number of base 60: {_QUOTE}", refused=True)
    if _DATE.fullmatch(text):
        return Scalar(None, f"YAML reads {word} as a date: {_QUOTE}", refused=True)
    return _real(text, discreet=discreet)


def _grouped(text: str, *, discreet: bool) -> Scalar | None:
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:  # no digits, as in 0x_
        return None
    if discreet:
        return Scalar(value, f"YAML reads it as another number: {_QUOTE}")
    return Scalar(value, f"YAML reads {text} as {value}: write {value}, or {_QUOTE}")


def _real(text: str, *, discreet: bool) -> Scalar | None:
    if _FLOAT.fullmatch(text):
        return Scalar(float(text.replace("_", "")))
    if _NOT_FINITE.fullmatch(text):
        return Scalar(float(text.replace(".", "").lower()), _FINITE)
    if not _LIKE_A_FLOAT.fullmatch(text):
        return None
    if discreet:
        return Scalar(text, "YAML reads it as text: write it as 1500 or 0.5")
    return Scalar(text, f"YAML reads {text} as text: {_plainly(text)}")


def _plainly(text: str) -> str:
    value = float(text)
    if math.isinf(value):
        return _FINITE
    plain = str(int(value)) if value.is_integer() and abs(value) < 1e18 else str(value)
    return f"write {plain} for the number"
