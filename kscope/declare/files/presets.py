"""The filters that a category file names: as the file has them, with their places.

The questions know the operators, so `kscope.query.declared_filters` checks the filters themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kscope.declare.files.shapes import PresetFile
from kscope.declare.files.yaml_lines import Document, Found, Path, path_text
from kscope.declare.model import Given, Preset
from kscope.errors import printable


def check_presets(entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Found]:
    """Yield the mistakes that a schema cannot find."""
    first: dict[str, int] = {}
    for i, entry in entries:
        name = entry.get("name")
        if isinstance(name, str) and (same := first.setdefault(name, i)) != i:
            yield ("presets", i, "name"), f"'{printable(name)}' is the name of presets[{same}] too"


def make_presets(files: Sequence[PresetFile], document: Document) -> tuple[Preset, ...]:
    return tuple(
        Preset(
            file.name,
            filters(file.filter, document, ("presets", i, "filter")),
            file.default,
            file.help,
        )
        for i, file in enumerate(files)
    )


def filters(given: Mapping[str, Any], document: Document, path: Path) -> tuple[Given, ...]:
    """Return the filters of a mapping; each entry of a list is one."""
    found = []
    for parameter, value in given.items():
        here = (*path, parameter)
        listed = isinstance(value, list)
        for i, each in enumerate(value if listed else [value]):
            at = (*here, i) if listed else here
            found.append(Given(parameter, _text(each), path_text(at), document.line(at)))
    return tuple(found)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
