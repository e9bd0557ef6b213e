"""Strict YAML: plain values, and the line on which each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from kscope.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Document:
    """One YAML document. Mapping keys are text exactly as written."""

    file: str
    value: Any
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...]

    def problem(self, path: Path, message: str) -> Problem:
        return Problem(self.file, self.line(path), path_text(path), message)

    def line(self, path: Path) -> int:
        """Give the line of the nearest enclosing place that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def path_text(path: Path) -> str:
    """Write ("columns", 2, "type") as `columns[2].type`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, file: str) -> Document:
    """Read one document; whatever is wrong with it is in its `problems`."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        message = f"larger than {MAX_BYTES // 1024} KiB"
        return Document(file, None, {}, (Problem(file, 0, "", message),))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return Document(file, None, {}, (_syntax_problem(file, error),))
    except (yaml.YAMLError, ValueError) as error:
        return Document(file, None, {}, (Problem(file, 0, "", f"not YAML: {_first(error)}"),))
    except RecursionError:
        return Document(file, None, {}, (Problem(file, 0, "", "nested too deeply"),))
    builder = _Builder(file)
    value = builder.build(root, ()) if root is not None else None
    return Document(file, value, builder.lines, tuple(builder.problems))


def _syntax_problem(file: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    text = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(file, line, "", f"not YAML: {text}")


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]


@dataclass
class _Builder:
    """Nodes -> plain values. An alias is refused: a small file could unfold into a huge one."""

    file: str
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _scalars: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        if id(node) in self._seen:
            # The node is the anchor's: where the alias stands is known from its key.
            line = self.lines[path]
            return self._refuse(line, path, "aliases (*name) are not supported: write it out")
        self._seen.add(id(node))
        if len(path) > _MAX_DEPTH:
            return self._refuse(_line(node), path, "nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(_line(key_node), path, "a key must be a plain word")
                continue
            key = str(key_node.value)
            if not _is_text(key):
                self._refuse(_line(key_node), path, f"{key!r} is not text that can be stored")
                continue
            if key in result:
                first = self.lines[(*path, key)]
                self._refuse(
                    _line(key_node), (*path, key), f"key '{key}' is already on line {first}"
                )
                continue
            self.lines[(*path, key)] = _line(key_node)
            result[key] = self.build(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            return self._refuse(_line(node), path, f"cannot be read: {_first(error)}")
        if isinstance(value, str) and not _is_text(value):
            return self._refuse(_line(node), path, f"{value!r} is not text that can be stored")
        return value

    def _refuse(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(self.file, line, path_text(path), message))


def _is_text(value: str) -> bool:
    """Escapes can write what no file could hold: NUL, and halves of characters."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
