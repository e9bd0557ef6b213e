"""Names of Rust functions, of the mangling until 2025 (`_ZN...17h<hash>E`) and of v0 (`_R...`).

Hashes and the numbers that keep crates apart are left out, as c++filt does.
"""

import re
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

MAX_STEPS = 2000
MAX_DEPTH = 60
MAX_TEXT = 4000

_LEGACY = re.compile(r"_ZN([0-9].*)17h([0-9a-f]{16})E(\..*)?", re.DOTALL)
_ESCAPE = re.compile(r"\$([A-Z]+|u[0-9a-f]{1,6})\$|\.\.")
_ESCAPED = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}
# The hash of a C++ function whose name only looks like a hash has fewer different digits.
_LEAST_DIGITS = 5

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8",
    "i": "isize", "j": "usize", "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_",
    "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_NUMBERS, _SIGNED = "htmyojaslxni", "aslxni"
_BOOLEANS = ("false", "true")
_BASE62 = string.digits + string.ascii_lowercase + string.ascii_uppercase
_MOST_DIGITS = 12
_MOST_LIFETIMES = 100
_LETTERS = 26


def demangle_legacy(name: str) -> str:
    """Return the path without its hash, empty if it is no such name."""
    found = _LEGACY.fullmatch(name)
    if not found or len({*found[2]}) < _LEAST_DIGITS:
        return ""
    rest, parts = found[1], []
    while rest:
        digits = re.match(r"[0-9]{1,4}", rest)
        if not digits or not 0 < int(digits[0]) <= len(rest) - digits.end():
            return ""
        end = digits.end() + int(digits[0])
        parts.append(_unescaped(rest[digits.end() : end]))
        rest = rest[end:]
    return "::".join(parts) + _suffix(found[3] or "")


def demangle_v0(name: str) -> str:
    """Return the path, empty if the name is damaged, or has a constant that is not a number."""
    reader = _Reader(name)
    try:
        reader.path()
        if reader.peek().isupper():
            reader.silently(reader.path)
        rest = name[reader.at :]
        if rest and rest[0] not in ".$":
            return ""
    except (_DamagedError, RecursionError):
        return ""
    return "".join(reader.texts) + _suffix(rest)


def _suffix(text: str) -> str:
    """Return what the compiler has added for a part of a function, such as `.cold`."""
    return re.sub(r"\.llvm\.[0-9A-F@]*", "", text)


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = found[1]
        if not code:
            return "::"
        if code[0] != "u":
            return _ESCAPED.get(code, found[0])
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 and chr(number).isprintable() else found[0]

    return _ESCAPE.sub(character, text[1:] if text.startswith("_$") else text)


class _DamagedError(ValueError):
    """A v0 name that cannot be read, or takes too long."""


class _Reader:
    """Read a v0 name from left to right; `texts` is its readable form so far.

    The grammar is that of RFC 2603. Each method reads one rule of it. Raises _DamagedError.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.at = 2
        self.texts: list[str] = []
        self._length = self._steps = self._depth = 0
        self._is_silent = False
        self._lifetimes = 0

    def peek(self) -> str:
        return self._name[self.at : self.at + 1]

    def silently(self, read: Callable[[], object]) -> None:
        """Read something without its text."""
        before, self._is_silent = self._is_silent, True
        read()
        self._is_silent = before

    def path(self, *, is_value: bool = True) -> None:
        """Read a path. Only in a type are generic arguments written without `::`."""
        with self._deeper():
            tag = self._next()
            if tag == "C":
                self._put(self._identifier()[0])
            elif tag == "N":
                self._nested(is_value=is_value)
            elif tag in "MXY":
                self._implementation(tag)
            elif tag == "I":
                self.path(is_value=is_value)
                self._put("::<" if is_value else "<")
                self._list(self._argument)
                self._put(">")
            elif tag == "B":
                self._back(lambda: self.path(is_value=is_value))
            else:
                raise _DamagedError

    def _nested(self, *, is_value: bool) -> None:
        space = self._next()
        self.path(is_value=is_value)
        name, number = self._identifier()
        if space.isupper():
            kind = {"C": "closure", "S": "shim"}.get(space, space)
            self._put(f"::{{{kind}{':' if name else ''}{name}#{number}}}")
        elif name:
            self._put(f"::{name}")

    def _implementation(self, tag: str) -> None:
        if tag != "Y":
            self._number_of("s")
            self.silently(self.path)
        self._put("<")
        self._type()
        if tag != "M":
            self._put(" as ")
            self.path(is_value=False)
        self._put(">")

    def _argument(self) -> None:
        if self._eat("L"):
            self._put(self._lifetime(self._base62()))
        elif self._eat("K"):
            self._constant()
        else:
            self._type()

    def _type(self) -> None:
        with self._deeper():
            tag = self._next()
            if tag in _BASIC:
                self._put(_BASIC[tag])
            elif tag in self._TYPES:
                self._TYPES[tag](self, tag)
            elif tag == "B":
                self._back(self._type)
            else:
                self.at -= 1
                self.path(is_value=False)

    def _reference(self, tag: str) -> None:
        self._put("&")
        if self._eat("L") and (lifetime := self._base62()):
            self._put(self._lifetime(lifetime) + " ")
        self._put("mut " if tag == "Q" else "")
        self._type()

    def _pointer(self, tag: str) -> None:
        self._put("*const " if tag == "P" else "*mut ")
        self._type()

    def _array(self, tag: str) -> None:
        self._put("[")
        self._type()
        if tag == "A":
            self._put("; ")
            self._constant()
        self._put("]")

    def _tuple(self, _: str) -> None:
        self._put("(")
        self._put(",)" if self._list(self._type) == 1 else ")")

    def _function(self, _: str) -> None:
        self._bound(self._signature)

    def _signature(self) -> None:
        self._put("unsafe " if self._eat("U") else "")
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._undisambiguated().replace("_", "-")
            self._put(f'extern "{abi}" ')
        self._put("fn(")
        self._list(self._type)
        self._put(")")
        if not self._eat("u"):
            self._put(" -> ")
            self._type()

    def _dynamic(self, _: str) -> None:
        self._put("dyn ")
        self._bound(lambda: self._list(self._trait, " + "))
        if self._next() != "L":
            raise _DamagedError
        if lifetime := self._base62():
            self._put(" + " + self._lifetime(lifetime))

    def _trait(self) -> None:
        is_open = self._open_path()
        while self._eat("p"):
            self._put(", " if is_open else "<")
            is_open = True
            self._put(self._undisambiguated() + " = ")
            self._type()
        self._put(">" if is_open else "")

    def _open_path(self) -> bool:
        """Read a path; return whether it ends in generic arguments that are still without `>`."""
        if self._eat("B"):
            found: list[bool] = []
            self._back(lambda: found.append(self._open_path()))
            return any(found)
        if self._eat("I"):
            self.path(is_value=False)
            self._put("<")
            self._list(self._argument)
            return True
        self.path(is_value=False)
        return False

    def _constant(self) -> None:
        with self._deeper():
            tag = self._next()
            if tag == "B":
                self._back(self._constant)
            elif tag == "p":
                self._put("_")
            elif tag in "bc" or tag in _NUMBERS:
                sign = "-" if tag in _SIGNED and self._eat("n") else ""
                self._put(sign + self._literal(tag))
            else:
                raise _DamagedError

    def _literal(self, tag: str) -> str:
        digits, end, _ = self._name[self.at :].partition("_")
        if not end or not re.fullmatch(r"[0-9a-f]{0,32}", digits):
            raise _DamagedError
        self.at += len(digits) + 1
        number = int(digits or "0", 16)
        if tag == "b" and number < len(_BOOLEANS):
            return _BOOLEANS[number]
        if tag == "c" and number < 0x110000 and chr(number).isprintable():
            return repr(chr(number))
        if tag in "bc":
            raise _DamagedError
        return str(number)

    def _bound(self, read: Callable[[], object]) -> None:
        """Read something that can have its own lifetimes."""
        count = self._number_of("G")
        if count > _MOST_LIFETIMES:
            raise _DamagedError
        self._lifetimes += count
        if count:
            names = ", ".join(self._lifetime(number) for number in range(count, 0, -1))
            self._put(f"for<{names}> ")
        read()
        self._lifetimes -= count

    def _lifetime(self, number: int) -> str:
        """Return a lifetime's name. The innermost is 1, and 0 has no name."""
        depth = self._lifetimes - number
        if not number or depth < 0:
            return "'_"
        return f"'{chr(ord('a') + depth)}" if depth < _LETTERS else f"'_{depth}"

    def _identifier(self) -> tuple[str, int]:
        """Return an identifier, and the number that keeps it apart from equal ones."""
        number = self._number_of("s")
        return self._undisambiguated(), number

    def _undisambiguated(self) -> str:
        is_punycode = self._eat("u")
        digits = re.compile(r"0|[1-9][0-9]{0,3}").match(self._name, self.at)
        if not digits:
            raise _DamagedError
        self.at = digits.end()
        self._eat("_")
        text = self._name[self.at : self.at + int(digits[0])]
        self.at += int(digits[0])
        if len(text) != int(digits[0]):
            raise _DamagedError
        return _unpacked(text) if is_punycode else text

    def _number_of(self, tag: str) -> int:
        """Return a number that is there only if it is not 0."""
        return self._base62() + 1 if self._eat(tag) else 0

    def _base62(self) -> int:
        digits, end, _ = self._name[self.at : self.at + _MOST_DIGITS].partition("_")
        if not end or not (digits.isalnum() or not digits) or not digits.isascii():
            raise _DamagedError
        self.at += len(digits) + 1
        number = 0
        for digit in digits:
            number = number * 62 + _BASE62.index(digit)
        return number + 1 if digits else 0

    def _back(self, read: Callable[[], object]) -> None:
        """Read something again that is at an earlier place of the name."""
        start = self.at - 1
        place = self._base62() + 2
        if place >= start:
            raise _DamagedError
        if not self._is_silent:
            after, self.at = self.at, place
            read()
            self.at = after

    def _list(self, read: Callable[[], object], between: str = ", ") -> int:
        count = 0
        while not self._eat("E"):
            self._put(between if count else "")
            read()
            count += 1
        return count

    def _next(self) -> str:
        tag = self.peek()
        if not tag:
            raise _DamagedError
        self.at += 1
        return tag

    def _eat(self, tag: str) -> bool:
        found = self.peek() == tag
        self.at += found
        return found

    def _put(self, text: str) -> None:
        if not self._is_silent:
            self._length += len(text)
            self.texts.append(text)
        if self._length > MAX_TEXT:
            raise _DamagedError

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        self._steps += 1
        if self._depth > MAX_DEPTH or self._steps > MAX_STEPS:
            raise _DamagedError
        yield
        self._depth -= 1

    _TYPES: ClassVar[dict[str, Callable[["_Reader", str], None]]] = {
        "R": _reference,
        "Q": _reference,
        "P": _pointer,
        "O": _pointer,
        "A": _array,
        "S": _array,
        "T": _tuple,
        "F": _function,
        "D": _dynamic,
    }


def _unpacked(text: str) -> str:
    """Return an identifier with letters outside of ASCII. Raises _DamagedError."""
    plain, _, packed = text.rpartition("_")
    try:
        return f"{plain}-{packed}".removeprefix("-").encode().decode("punycode")
    except UnicodeError:
        raise _DamagedError from None
