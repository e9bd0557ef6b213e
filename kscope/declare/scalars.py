"""Unquoted words, as YAML 1.1 reads them, and the ones that mean something else to people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# More digits than any number that a column or a setting can hold.
_MAX_DIGITS = 40
_QUOTE = "put it in quotes"

_TRUE = frozenset({"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_GROUPED = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?(0[0-7_]+|0o[0-7]+)")
_BASE_60 = re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")
_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]{1,4}")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
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


def read(text: str) -> Scalar:
    """Return the value of an unquoted word."""
    if text in _TRUE | _FALSE:
        return _boolean(text)
    if text in _NULL:
        return Scalar(None, _nothing(text))
    if text[0] not in "+-.0123456789":
        return Scalar(text)
    return _number(text) or Scalar(text)


def _boolean(text: str) -> Scalar:
    value = text in _TRUE
    if text in ("true", "false"):
        return Scalar(value)
    return Scalar(value, f"YAML reads {text} as {str(value).lower()}: {_QUOTE}")


def _nothing(text: str) -> str:
    return f"YAML reads {text} as nothing: {_QUOTE}" if text else "give it a value, or remove it"


def _number(text: str) -> Scalar | None:
    if len(text) > _MAX_DIGITS and (_GROUPED.fullmatch(text) or _FLOAT.fullmatch(text)):
        return _refused("the number has too many digits; as text it must be in quotes")
    if len(text) > _MAX_DIGITS:
        return None
    if _INTEGER.fullmatch(text):
        return Scalar(int(text))
    if _GROUPED.fullmatch(text):
        return _grouped(text)
    if _OCTAL.fullmatch(text):
        return _octal(text)
    if _BASE_60.fullmatch(text):
        return _refused(f"YAML reads {text} as a number of base 60: {_QUOTE}")
    if _DATE.fullmatch(text):
        return _refused(f"YAML reads {text} as a date: {_QUOTE}")
    return _real(text)


def _grouped(text: str) -> Scalar | None:
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:  # no digits, as in 0x_
        return None
    return Scalar(value, f"YAML reads {text} as {value}: write {value}, or {_QUOTE}")


def _octal(text: str) -> Scalar:
    digits = text.replace("_", "").replace("o", "")
    value = int(digits, 8)
    return _refused(f"{text} is octal in YAML: write {value} for the number, or {_QUOTE}")


def _real(text: str) -> Scalar | None:
    if _FLOAT.fullmatch(text):
        return Scalar(float(text.replace("_", "")))
    if _INFINITE.fullmatch(text):
        return Scalar(float(text.replace(".", "").lower()), "write a finite number")
    if _NAN.fullmatch(text):
        return Scalar(float("nan"), "write a finite number")
    if _EXPONENT.fullmatch(text):
        return Scalar(text, f"YAML reads {text} as text: write {_plain(text)} for the number")
    return None


def _plain(text: str) -> str:
    value = float(text)
    return str(int(value)) if value.is_integer() and abs(value) < 1e18 else str(value)


def _refused(cure: str) -> Scalar:
    return Scalar(None, cure, refused=True)
