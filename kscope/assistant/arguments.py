"""The arguments of a call, which an assistant wrote, as parameters of a request."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kscope.assistant.tools import FILTERS, FORMAT, LINES, TABLE, Tool
from kscope.errors import did_you_mean, kind_of
from kscope.query.parse.errors import MOST_COMPLAINTS, Complaint, QueryError, complain
from kscope.query.parse.operands import text as readable_text
from kscope.query.parse.parameters import MAX_PARAMETERS, Parameter

# As the read API has it for a query string.
MOST_BYTES = 60_000
_NAME = re.compile(r"\w{1,200}", re.ASCII)
_LARGEST = 10**30
_LISTS = {FILTERS.name: ', such as ["process=mysqld"]'}


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call. `request` has the parameters of the API, `filters` are those on columns.

    `lines` bounds a tree.
    """

    tool: Tool
    table: str
    request: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, str], ...]
    lines: int

    @property
    def given(self) -> Mapping[str, str]:
        return dict(self.request)


def call_of(tool: Tool, arguments: Mapping[str, Any]) -> Call:
    """Check the arguments; QueryError has all mistakes that show without the data type."""
    reading = _Reading(tool)
    for name in tool.needed:
        if arguments.get(name) in (None, ""):
            reading.complain(name, f"is missing: {tool.name} needs {' and '.join(tool.needed)}")
    for name, given in arguments.items():
        if len(reading.complaints) >= MOST_COMPLAINTS:
            break
        if given is not None:
            reading.add(str(name), given)
    return reading.call()


class _Reading:
    """The arguments while they are read."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._pairs: list[tuple[str, str]] = []
        self._filters: list[tuple[str, str]] = []
        self._numbers: dict[str, int] = {}
        self.complaints: list[Complaint] = []

    def complain(self, name: str, detail: str) -> None:
        self.complaints.append(Complaint(name, detail))

    def add(self, name: str, given: Any) -> None:
        parameter = self._tool.parameter(name)
        try:
            if parameter is None:
                raise complain(name, self._unknown(name))
            texts = list(_texts(parameter, given))
            if name == FILTERS.name:
                self._filters += map(self._filter, texts)
                return
            for text in texts:
                self._check_name(name, text)
                parsed = parameter.parse(text)
                if isinstance(parsed, int):
                    self._numbers[name] = parsed
                self._pairs.append((name, text))
        except QueryError as error:
            self.complaints += error.complaints

    def _check_name(self, name: str, text: str) -> None:
        """Raise QueryError if a part of the address is no name of a table or a column."""
        if name in (*self._tool.needed, TABLE.name) and text and not _NAME.fullmatch(text):
            fault = f"{text[:80]!r} is not the name of a {name}; `categories` lists them"
            raise complain(name, fault)

    def call(self) -> Call:
        """Return the call; raise QueryError with all mistakes."""
        if self.complaints:
            raise QueryError(*self.complaints)
        named = {name for name, _ in self._pairs}
        # Those whose default is another one here than that of the API.
        usual = [
            (each.name, each.default)
            for each in self._tool.parameters
            if each.least is not None and each.name not in named and self._differs(each)
        ]
        own = (TABLE.name, LINES.name)
        pairs = [(name, text) for name, text in (*self._pairs, *usual) if name not in own]
        request = (*pairs, *self._filters)
        _check_size(request)
        table = next((text for name, text in self._pairs if name == TABLE.name), "")
        lines = self._numbers.get(LINES.name, int(LINES.default))
        return Call(self._tool, table, request, tuple(self._filters), lines)

    def _differs(self, parameter: Parameter) -> bool:
        question = self._tool.question
        known = question.parameters if question else ()
        return any(e.name == parameter.name and e.default != parameter.default for e in known)

    def _filter(self, text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            fault = f"{text[:80]!r} is not column=value, such as process=mysqld"
            raise complain(FILTERS.name, fault)
        if name == FORMAT:
            raise complain(FILTERS.name, "no tool has a format: answers are text")
        if self._tool.parameter(name):
            fault = f"{name} is a separate argument; a filter on such a column is {name}__eq"
            raise complain(FILTERS.name, fault)
        # Half a surrogate cannot be sent.
        return readable_text(FILTERS.name, name), readable_text(FILTERS.name, value)

    def _unknown(self, name: str) -> str:
        names = [each.name for each in self._tool.parameters]
        hint = did_you_mean(name[:80], names, listed=False) or "."
        more = "; a condition on a column is one of `filters`" if FILTERS.name in names else ""
        return f"{self._tool.name} has no such argument{hint} Allowed: {', '.join(names)}{more}"


def _texts(parameter: Parameter, given: Any) -> Iterator[str]:
    """Yield the texts of an argument; a number or true may be given as such."""
    if not parameter.many:
        yield _text(parameter.name, given)
        return
    if not isinstance(given, list):
        raise complain(parameter.name, f"must be a list of texts{_LISTS.get(parameter.name, '')}")
    if len(given) > MAX_PARAMETERS:
        raise complain(parameter.name, f"has {len(given):,} texts; use at most {MAX_PARAMETERS}")
    for each in given:
        yield _text(parameter.name, each)


def _text(name: str, given: Any) -> str:
    match given:
        case bool():
            return "true" if given else "false"
        case str() | int():
            # Python refuses to write very many digits.
            return given if isinstance(given, str) else str(max(-_LARGEST, min(given, _LARGEST)))
        case float() if given.is_integer():
            return str(int(given))
    raise complain(name, f"must be a text or a whole number, not {kind_of(given)}")


def _check_size(request: Sequence[tuple[str, str]]) -> None:
    size = sum(len(name.encode()) + len(value.encode()) for name, value in request)
    if size > MOST_BYTES:
        raise complain("", f"the question has {size:,} bytes; use at most {MOST_BYTES:,}")
