"""The one-way street: what each part of the package may know of."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "kscope"
BELOW_STORE = {"errors", "files", "declare", "config", "generate"}
MAY_IMPORT = {
    "errors": set[str](),
    "files": {"errors"},
    "declare": {"errors", "files"},
    "config": {"errors", "files", "declare"},
    "generate": {"errors", "declare"},
    "store": BELOW_STORE,
    "query": BELOW_STORE | {"store"},
    "server": BELOW_STORE | {"store", "query"},
    "client": {"errors", "files"},
    "readers": {"errors", "declare", "client"},
    "agent": {"errors", "files", "declare", "config", "client"},
}
# Libraries that only one part deals with, so that replacing one is that part's business alone.
BELONGS_TO = {
    "yaml": {"declare"},
    "bcc": {"agent"},
    "click": {"cli"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "databases": {"store"},
    "sqlalchemy": {"generate", "store", "query"},
}
# Folders of a part, in order; the part's own modules come last.
LAYERS = {"agent": ("host", "rows", "engines", "run")}


def sources() -> Iterator[tuple[str, Path]]:
    """Yield each module with the part that it belongs to; `cli` and `__main__` know all."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each imported module and its line, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: name the package"
            module = node.module or ""
            names = [f"{module}.{name.name}" for name in node.names]
            yield from ((node.lineno, name) for name in (names if module == "kscope" else [module]))


@pytest.mark.parametrize("part", [*MAY_IMPORT])
def test_a_part_knows_only_those_below_it(part: str) -> None:
    """errors <- declare <- generate <- store <- query <- server; the agent knows no store."""
    allowed = {part, "__version__"} | MAY_IMPORT[part]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for own, path in sources()
        if own == part
        for line, name in imports(path)
        if name.startswith("kscope.") and name.split(".")[1] not in allowed
    ]
    assert found == []


@pytest.mark.parametrize("part", [*LAYERS])
def test_a_folder_knows_only_those_before_it(part: str) -> None:
    """The part's own modules know all of its folders; no folder knows them."""
    order = {name: place for place, name in enumerate(LAYERS[part])}
    found = []
    for path in sorted((PACKAGE / part).rglob("*.py")):
        inner = path.relative_to(PACKAGE / part).parts
        own = order[inner[0]] if len(inner) > 1 else len(order)
        found += [
            f"{path.relative_to(ROOT)}:{line}: {name}"
            for line, name in imports(path)
            if name.startswith(f"kscope.{part}.")
            and order.get(name.split(".")[2], len(order)) > own
        ]
    assert found == []


@pytest.mark.parametrize("library", [*BELONGS_TO])
def test_a_library_is_dealt_with_in_its_place(library: str) -> None:
    """Other parts use it through the part that it belongs to."""
    users = {
        own: f"{path.relative_to(ROOT)}:{line}"
        for own, path in sources()
        for line, name in imports(path)
        if name.split(".")[0] == library and own not in BELONGS_TO[library]
    }
    assert users == {}


def test_every_part_has_its_place_on_the_street() -> None:
    """A new part is placed here before anything imports it."""
    assert {own for own, _ in sources()} - {"cli", "__main__", "__init__"} == {*MAY_IMPORT}
