"""Strict YAML: plain values, and the line on which each of them is.

Values are built from the parser's events, without PyYAML's constructors: the number of values and
their depth are bounded before anything is built, and no date, tag or number can raise.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from kscope.declare.files import yaml_words as scalars
from kscope.errors import Problem, cut, printable

Path = tuple[str | int, ...]
# A place, a message and perhaps a cure: the arguments of Document.problem.
Found = tuple[Path, str] | tuple[Path, str, str]

MAX_BYTES = 256 * 1024
MAX_VALUES = 10_000
MAX_DEPTH = 32
MAX_PROBLEMS = 100
_MAX_MESSAGE = 600
_MAX_PART = 60
_STANDARD = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """One YAML document. Mapping keys are text exactly as written.

    `traps` has the words that YAML reads as something else, such as `no`, with the cure. `keys`
    writes a place for a message.
    """

    file: str
    value: Any
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...]
    traps: Mapping[Path, str] = field(default_factory=dict)
    keys: Callable[[Path], Path] = tuple

    @property
    def discreet(self) -> bool:
        """Whether the file may hold secrets: then no message shows a value."""
        return self.keys is not tuple

    def problem(self, path: Path, message: str, cure: str = "") -> Problem:
        """Return a problem at a place, with another cure if YAML reads its word in its own way."""
        if path in self.traps:
            message, cure = message.removesuffix("."), f"; {self.traps[path]}"
        place = path_text(self.keys(path))
        return Problem(self.file, self.line(path), place, cut(message + cure, _MAX_MESSAGE))

    def line(self, path: Path) -> int:
        """Return the line of the place, or of the nearest one around it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def path_text(path: Path) -> str:
    """Write ("columns", 2, "type") as `columns[2].type`."""
    text = ""
    for part in path[: MAX_DEPTH + 2]:
        key = part if isinstance(part, int) else printable(part)
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def bounded(file: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the first 100 problems in the order of their lines, and a note if there are more."""
    found: dict[Problem, None] = {}
    for problem in problems:
        if len(found) == MAX_PROBLEMS and problem not in found:
            note = f"has more than {MAX_PROBLEMS} problems; these are the first that were found"
            return (Problem(file, 0, "", note), *sorted(found))
        found[problem] = None
    return tuple(sorted(found))


# libyaml takes a tenth of the time. What it does not take, PyYAML refuses in better words.
_LOADERS = (yaml.CSafeLoader, yaml.SafeLoader) if yaml.__with_libyaml__ else (yaml.SafeLoader,)


def parse(text: str, file: str, keys: Callable[[Path], Path] | None = None) -> Document:
    """Read one document; all its faults are in its `problems`.

    With `keys` the file may hold secrets: no message shows a value, and a place is written as
    `keys` returns it.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES // 1024} KiB; split it"
        return Document(file, None, {}, (Problem(file, 0, "", message),))
    for loader in _LOADERS:
        document = _parsed(text, file, keys, loader)
        if not document.problems:
            break
    return document


def _parsed(
    text: str, file: str, keys: Callable[[Path], Path] | None, loader: type[Any]
) -> Document:
    builder = _Builder(file, keys)
    value = None
    try:
        value = builder.document(yaml.parse(text, Loader=loader))
    except _StopError:
        pass
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax_problem(file, error, discreet=keys is not None))
    except yaml.reader.ReaderError as error:
        builder.problems.append(_character_problem(file, text, error))
    except Exception as error:  # noqa: BLE001 - PyYAML lets through what chr() and int() raise
        said = type(error).__name__ if keys else cut(printable_line(str(error)), 200)
        message = f"not YAML after this line: {said}"
        builder.problems.append(Problem(file, builder.last_line, "", message))
    problems = bounded(file, builder.problems)
    return Document(file, value, builder.lines, problems, builder.traps, keys or tuple)


def _syntax_problem(file: str, error: yaml.MarkedYAMLError, *, discreet: bool) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    text = ", ".join(part for part in (error.context, error.problem) if part)
    if discreet:
        text = _QUOTED.sub("'...'", text)
    return Problem(file, line, "", f"not YAML: {cut(printable_line(text), 300)}{_cure(error)}")


def printable_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _cure(error: yaml.MarkedYAMLError) -> str:
    """How to fix it, by the characters at which the parser started and stopped."""
    start, stop = _character(error.context_mark), _character(error.problem_mark)
    if stop in _CURES:
        return _CURES[stop]
    if start in ("'", '"'):
        return "; close the quote"
    if start and start in _SIGNS:
        return _CURES[start]
    is_structure = isinstance(error, yaml.parser.ParserError)
    return "; check the indentation and the brackets" if is_structure else ""


def _character(mark: Any) -> str:
    buffer = getattr(mark, "buffer", None)
    return str(buffer[mark.pointer : mark.pointer + 1]) if buffer else ""


# PyYAML quotes the file's own words, and the names of its tokens, such as '<scalar>'.
_QUOTED = re.compile(r"'[^'<][^']+'")
_SIGNS = "@`%*&!|>"
_CURES = {
    "\t": "; indent with spaces instead of tabs",
    **dict.fromkeys(f":{_SIGNS}", "; put the text in quotes"),
}


def _character_problem(file: str, text: str, error: yaml.reader.ReaderError) -> Problem:
    line = text.count("\n", 0, error.position) + 1
    character = error.character if isinstance(error.character, int) else ord(error.character)
    message = f"the character U+{character:04X} cannot be in a YAML file; remove it"
    return Problem(file, line, "", message)


class _StopError(Exception):
    """Reading stops here: the rest would cost too much, or is not part of the document."""


@dataclass
class _Builder:
    """Events -> plain values. An alias is refused: a small file could unfold into a huge one."""

    file: str
    keys: Callable[[Path], Path] | None = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    traps: dict[Path, str] = field(default_factory=dict)
    last_line: int = 1
    _values: int = 0

    def document(self, events: Iterator[Any]) -> Any:
        value = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document starts here; remove this '---'")
            elif isinstance(event, yaml.NodeEvent):
                value = self._build(event, events, ())
        return value

    def _build(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.last_line = _line(event)
        self.lines.setdefault(path, self.last_line)
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(event, f"holds more than {MAX_VALUES} values; split the file")
        if len(path) > MAX_DEPTH:
            self._stop(event, f"is nested more than {MAX_DEPTH} deep; is a bracket missing?")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, "aliases (*name) are not supported: write it out")
            return None
        if event.tag and not self._is_known(event):
            tag = self._or(f"the tag {printable(event.tag.replace(_STANDARD, '!!'))}", "a tag")
            self._refuse(event, path, f"{tag} is not supported; remove it")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(event, path)

    def _or(self, text: str, discreet: str) -> str:
        return discreet if self.keys else text

    def _is_known(self, event: Any) -> bool:
        """A tag that says no more than the value already does."""
        kinds = {yaml.MappingStartEvent: "map", yaml.SequenceStartEvent: "seq"}
        return event.tag in ("!", f"{_STANDARD}{kinds.get(type(event), 'str')}")

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            result.append(self._build(event, events, (*path, len(result))))
        return result

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            wrong = self._key_problem(key, path, result)
            place = (*path, key.value) if isinstance(key, yaml.ScalarEvent) else path
            if wrong:
                self._refuse(key, place, wrong)
                self._skip(key, events, path)
                self._skip(next(events), events, path)
                continue
            self.lines[place] = _line(key)
            self._values += 1
            result[key.value] = self._build(next(events), events, place)
        return result

    def _key_problem(self, key: yaml.Event, path: Path, known: Mapping[str, Any]) -> str:
        if not isinstance(key, yaml.ScalarEvent):
            return "a key must be a plain word"
        if not _is_text(key.value):
            shown = self._or(cut(repr(key.value), _MAX_PART), "a key")
            return f"{shown} is not text that can be stored"
        if key.value in known:
            first = self.lines[(*path, key.value)]
            shown = self._or(f"key '{printable(key.value)}'", "this key")
            return f"{shown} is already on line {first}; keep one of them"
        return ""

    def _skip(self, event: yaml.Event, events: Iterator[Any], path: Path) -> None:
        """Read past a value, within the same bounds, without keeping it."""
        kept = (self.lines, self.problems, self.traps)
        self.lines, self.problems, self.traps = {}, [], {}
        if isinstance(event, yaml.NodeEvent):
            # One level deeper, also for a key: keys may be nested as values are.
            self._build(event, events, (*path, ""))
        self.lines, self.problems, self.traps = kept

    def _scalar(self, event: Any, path: Path) -> Any:
        if not _is_text(event.value):
            shown = self._or(cut(repr(event.value[: _MAX_PART + 1]), _MAX_PART), "this")
            self._refuse(event, path, f"{shown} is not text that can be stored")
            return None
        if not event.implicit[0]:
            return event.value
        read = scalars.read(event.value, discreet=self.keys is not None)
        if read.refused:
            self._refuse(event, path, read.cure)
        elif read.cure:
            self.traps[path] = read.cure
        return read.value

    def _refuse(self, event: yaml.Event, path: Path, message: str) -> None:
        text = cut(message, _MAX_MESSAGE)
        place = path_text(self.keys(path) if self.keys else path)
        self.problems.append(Problem(self.file, _line(event), place, text))
        if len(self.problems) > MAX_PROBLEMS:
            raise _StopError

    def _stop(self, event: yaml.Event, message: str) -> None:
        self.problems.append(Problem(self.file, _line(event), "", message))
        raise _StopError


def _is_text(value: str) -> bool:
    """Escapes can write what no file could hold: NUL, and halves of characters."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
