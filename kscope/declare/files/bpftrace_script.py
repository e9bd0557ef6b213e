"""The maps of a bpftrace script, and the types of their keys and values."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from kscope.declare.types.kernel import FieldType, Kind

# Their printed values grow; the difference of two prints is the interval's.
_SUMS = frozenset({"count", "sum", "stats", "hist"})
_FILLED = re.compile(r"@\w+(?=(?:\[[^\n\]]{0,200}\])?\s*(?:\+\+|\+=|=[^=]))")
_REFUSED = {
    **dict.fromkeys(
        ("max", "min", "avg"),
        "which knows no intervals: use count(), sum(), hist(), or stats() with value.count and "
        "value.total",
    ),
    "lhist": "whose steps are all of one width; a histogram column has powers of two: use hist()",
}

_NUMBER = FieldType(Kind.NUMBER, "a number")
_POINTER = FieldType(Kind.NUMBER, "a pointer", size=8, unsigned=True)
_TEXT = FieldType(Kind.TEXT, "text")
_KERNEL_STACK = FieldType(Kind.KERNEL_STACK, "a kernel stack")
_USER_STACK = FieldType(Kind.USER_STACK, "a user stack")
_ADDRESS = FieldType(Kind.ADDRESS, "an IP address")
UNKNOWN = FieldType(Kind.UNKNOWN, "of unknown type")
_VALUES = {
    "count": FieldType(Kind.NUMBER, "a number, made by count()"),
    "sum": FieldType(Kind.NUMBER, "a number, made by sum()"),
    "stats": FieldType(Kind.STRUCT, "made by stats()", fields={"count": _NUMBER, "total": _NUMBER}),
    "hist": FieldType(
        Kind.STRUCT,
        "made by hist()",
        fields={"slots": FieldType(Kind.HISTOGRAM, "a histogram, made by hist()")},
    ),
}
_TYPES: Mapping[str, FieldType] = {
    **dict.fromkeys(("comm", "probe", "func", "username"), _TEXT),
    "kstack": _KERNEL_STACK,
    "ustack": _USER_STACK,
    **dict.fromkeys(
        ("pid", "tid", "uid", "gid", "cpu", "cgroup", "nsecs", "elapsed", "rand", "retval",
         "numaiters", "numa_id", "jiffies", "ncpus", "cgroupid", "strncmp", "bswap", "sizeof",
         "offsetof", "strlen", "strcontains", "len", "delete", "has_key"),
        _NUMBER,
    ),
    **dict.fromkeys(("curtask", "kaddr", "uaddr", "reg", "ctx"), _POINTER),
    **dict.fromkeys(
        ("str", "ksym", "usym", "strftime", "macaddr", "cgroup_path", "path", "buf", "kstr",
         "strerror", "signal_name", "strcap"),
        _TEXT,
    ),
    "ntop": _ADDRESS,
}  # fmt: skip
_ARGUMENT = re.compile(r"(?:s?arg|\$)\d+")
_CONSTANT = re.compile(r"-?(?:0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)(?:e\d+)?(?:[num]?s|[smhd])?")
_FIELD = re.compile(r"args\s*(?:->|\.)\s*(\w+)")
_POINTERS = re.compile(r"\(\s*\w+(?:\s+\w+)*\s*\*+\s*\)")
_NAMES = re.compile(r"[A-Za-z_]\w*")
_SCALARS = re.compile(r"\(\s*(?:u?int(?:8|16|32|64)|bool)\s*\)")
_UNSEEN = re.compile(r'"(?:\\.|[^"\\\n])*"?|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL)
_TRACEPOINT = re.compile(r"\b(?:tracepoint|t):(\w+):(\w+)")
_POINTS = re.compile(r"\b(?:BEGIN|END|[a-z]\w*:[^\s,{]+)")
_OPERATORS = re.compile(r"==|!=|<=|>=|&&|\|\||<<|>>|(?<!-)>|<|[+*/%&|^]|-(?!>)|^[!~]")
_CALL = re.compile(r"\s*=\s*(\w+)\s*\(")
_ASSIGNED = re.compile(r"\s*=(?!=)([^;}]*)")
_ADDED = re.compile(r"\s*(\+\+|\+=)")
_CHANGED = re.compile(r"\s*(\+\+|--|[-+*/|&^%]=)")
_NUMBERS = ("count", "sum", "min", "max", "avg")
_DEEPEST = 8
# A longer text has an unknown type, and so has a map assigned after as many uses.
_LONGEST = 1000
_MOST_USES = 500


def _no_fields(_name: str) -> FieldType:
    return UNKNOWN


@dataclass(frozen=True, slots=True)
class ScriptMap:
    """`key` holds the parts of the key as the script has them; none for a map without a key.

    `sums`: each print contains the one before; otherwise it is the value now. `types` are of the
    key's parts, `value` is of the value.
    """

    name: str
    key: tuple[str, ...]
    sums: bool
    types: tuple[FieldType, ...] = ()
    value: FieldType = UNKNOWN

    @property
    def parts(self) -> Mapping[str, FieldType]:
        """The types of what a row is made from: `key.0`, `value.total`."""
        if len(self.types) == 1:
            only = self.types[0]
            return {"key": replace(only, fields={"0": only}), "value": self.value}
        fields = {str(n): part for n, part in enumerate(self.types)}
        count = f"a key of {len(self.types)} parts" if self.types else "empty"
        return {"key": FieldType(Kind.STRUCT, count, fields=fields), "value": self.value}

    def key_problem(self, path: str) -> str:
        """Return why there is no such part of the key; '' if there is, or the path is another."""
        part, _, number = path.partition(".")
        if part != "key" or (not number and self.key):
            return ""
        if number.isdigit() and int(number) < len(self.key):
            return ""
        last = f"the last part of {self.name}'s key is key.{len(self.key) - 1}"
        return f"there is no '{path}': {last if self.key else f'{self.name} has no key'}"


def code(script: str) -> str:
    """Return the script with blanks in place of its comments and of the text of its strings.

    Positions and lines stay as they are.
    """

    def blank(found: re.Match[str]) -> str:
        text = re.sub(r"[^\n]", " ", found[0])
        return f'"{text[1:-1]}"'[: len(text)] if found[0].startswith('"') else text

    return _UNSEEN.sub(blank, script)


def names(script: str) -> frozenset[str]:
    """Return every name that the script uses outside comments and strings."""
    return frozenset(_NAMES.findall(code(script)))


def attach_points(script: str) -> list[str]:
    """Return where the script's probes attach: `tracepoint:sched:sched_switch`, `BEGIN`."""
    return _POINTS.findall(_outer(code(script), "{", "}"))


def tracepoints(script: str) -> Iterator[tuple[str, str]]:
    """Yield group and name of each tracepoint that the script names without a wildcard."""
    for found in _TRACEPOINT.finditer(code(script)):
        yield found[1], found[2]


def with_names(script: str, replace: Callable[[str], str], wanted: Mapping[str, object]) -> str:
    """Return the script with names replaced, outside comments and strings."""
    blanked, parts, at = code(script), [], 0
    for found in _NAMES.finditer(blanked):
        if found[0] in wanted:
            parts += [script[at : found.start()], replace(found[0])]
            at = found.end()
    return "".join([*parts, script[at:]])


def script_map(
    script: str, name: str, fields: Callable[[str], FieldType] = _no_fields
) -> ScriptMap:
    """Return the map as the script fills it; ValueError if rows cannot be made from it.

    `fields` returns the type of a field of `args`.
    """
    name = f"@{name.removeprefix('@')}"
    blanked = code(script)
    typed = _Types(blanked, fields)
    for spans, end in typed.uses(name):
        key = tuple(script[a:b].strip() for a, b in spans)
        types = tuple(typed.of(blanked[a:b]) for a, b in spans)
        made = _CALL.match(blanked, end)
        if made and made[1] in _REFUSED:
            raise ValueError(f"{name} is made by {made[1]}(), {_REFUSED[made[1]]}")
        if made and made[1] in _SUMS:
            return ScriptMap(name, key, sums=True, types=types, value=_VALUES[made[1]])
        if _ADDED.match(blanked, end):
            return ScriptMap(name, key, sums=True, types=types, value=_NUMBER)
        if assigned := _ASSIGNED.match(blanked, end):
            return ScriptMap(name, key, sums=False, types=types, value=typed.of(assigned[1]))
    filled = ", ".join(dict.fromkeys(_FILLED.findall(blanked)))
    raise ValueError(f"the script fills no map {name}. It fills: {filled or 'none'}")


def _key(script: str, at: int) -> tuple[list[tuple[int, int]], int]:
    """Return where the parts of the key are that starts there, if one does, and its end."""
    if script[at : at + 1] != "[":
        return [], at
    parts, depth, begin = [], 0, at + 1
    end = min(len(script), at + _LONGEST)
    for i in range(at, end):
        depth += (script[i] in "[(") - (script[i] in "])")
        if depth == 0 or (depth == 1 and script[i] == ","):
            parts.append((begin, i))
            begin = i + 1
        if depth == 0:
            return parts, i + 1
    return parts, end


@dataclass(frozen=True, slots=True)
class _Types:
    """The types of a script's expressions; UNKNOWN for those that only bpftrace can tell."""

    script: str
    fields: Callable[[str], FieldType]

    def uses(self, name: str) -> Iterator[tuple[list[tuple[int, int]], int]]:
        """Yield where the parts of the key are in each use of a name, and where the use ends."""
        found = re.finditer(rf"{re.escape(name)}(?!\w)", self.script)
        for use in itertools.islice(found, _MOST_USES):
            yield _key(self.script, use.end())

    def of(self, expression: str, depth: int = 0) -> FieldType:
        text = _without_parentheses(expression[: _LONGEST + 1].strip())
        if depth > _DEEPEST or not text or len(text) > _LONGEST:
            return UNKNOWN
        if text.startswith('"'):
            return _TEXT
        if _CONSTANT.fullmatch(text):
            return _NUMBER
        outer = _outer(text)
        if "?" in outer:
            return self._branches(text[outer.index("?") + 1 :], depth)
        if _POINTERS.match(text):
            return _POINTER
        if _SCALARS.match(text) or _OPERATORS.search(outer):
            return _NUMBER
        if field := _FIELD.fullmatch(text):
            return self.fields(field[1])
        return self._named(text, outer, depth)

    def _branches(self, text: str, depth: int) -> FieldType:
        one, _, other = text.partition(":")
        first, second = self.of(one, depth + 1), self.of(other, depth + 1)
        return first if first.kind is second.kind else UNKNOWN

    def _named(self, text: str, outer: str, depth: int) -> FieldType:
        if re.search(r"->|\.", outer) or ("[" in outer and not text.startswith("@")):
            return UNKNOWN
        name = re.match(r"[@$]?\w*", text)
        assert name
        if text.startswith(("@", "$")) and not _ARGUMENT.fullmatch(text):
            return self._assigned(name[0], depth)
        return _NUMBER if _ARGUMENT.fullmatch(text) else _TYPES.get(name[0], UNKNOWN)

    def _assigned(self, name: str, depth: int) -> FieldType:
        """The type of a variable or of a map's value, by the first assignment."""
        for _, end in self.uses(name):
            if _CHANGED.match(self.script, end):
                return _NUMBER
            made = _CALL.match(self.script, end)
            if made and made[1] in _NUMBERS:
                return _VALUES.get(made[1], _NUMBER)
            if assigned := _ASSIGNED.match(self.script, end):
                return self.of(assigned[1], depth + 1)
        return UNKNOWN


def _without_parentheses(text: str) -> str:
    while text.startswith("(") and not _outer(text).strip("()").strip():
        text = text[1:-1].strip()
    return text


def _outer(text: str, opening: str = "([", closing: str = ")]") -> str:
    """Return the text with blanks for all that is inside brackets, and for the brackets' text."""
    depth, kept = 0, []
    for character in text:
        depth -= character in closing
        kept.append(character if depth == 0 else " ")
        depth += character in opening
    return "".join(kept)
