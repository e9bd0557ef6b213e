"""The one-way street: what each part of the package may know of."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = ROOT / "kscope"
BELOW_STORE = {"errors", "files", "discovery", "declare", "config", "generate"}
MAY_IMPORT = {
    "errors": set[str](),
    "files": {"errors"},
    "discovery": set[str](),
    "log_fields": set[str](),
    "elf": {"errors", "files"},
    "declare": {"errors", "files", "discovery"},
    "config": {"errors", "files", "declare"},
    "generate": {"errors", "discovery", "declare"},
    "profiles": {"errors", "declare"},
    "store": BELOW_STORE,
    "query": BELOW_STORE | {"store", "profiles"},
    "server": BELOW_STORE | {"store", "query", "elf", "profiles", "log_fields"},
    "client": {"errors", "files"},
    "readers": {"errors", "discovery", "declare", "client", "profiles"},
    "assistant": {"errors", "declare", "store", "query"},
    "agent": {"errors", "files", "elf", "declare", "config", "client"},
}
# The folders of a part, from left to right; "" is the part's own modules.
LAYERS = {
    "declare": ("types", "", "engines", "charts", "files"),
    "generate": ("clickhouse", "dialects", ""),
    "store": ("backends", "schema", "sums", "symbols", "write", "", "housekeeping", "copy"),
    "query": ("sql", "parse", "scan", "changes", "answers", "columnar", "export", "across", ""),
    "server": ("http", "ingest", "receive", "openapi", "read", "symbols", "", "workers"),
    "readers": ("reading", "tools", "perf", "formats", ""),
    "assistant": ("texts", ""),
    "agent": ("host", "rows", "stacks", "engines", "run", ""),
}
# Libraries that only one part deals with, so that replacing one is that part's business alone.
BELONGS_TO = {
    "yaml": {"declare"},
    "bcc": {"agent"},
    "click": {"cli"},
    "mcp": {"assistant"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "databases": {"store"},
    "sqlalchemy": {"generate", "store", "query"},
}


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
            yield from ((node.lineno, f"{module}.{name.name}") for name in node.names)


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


def modules() -> dict[str, Path]:
    """Return the path of each module by its name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for _, path in sources()
    }


def graph() -> dict[str, set[str]]:
    """Return each module with the modules that it imports, those for types alone included."""
    known = modules()
    found = {}
    for name, path in known.items():
        targets = {target for _, target in imports(path)}
        found[name] = {
            target if target in known else target.rpartition(".")[0] for target in targets
        } & known.keys()
    return found


def folder(module: str) -> tuple[str, str]:
    """Return the part and the folder in it, which is empty for the part's own modules."""
    _, part, *rest = module.split(".")
    return part, rest[0] if rest and (PACKAGE / part / rest[0]).is_dir() else ""


def arrows_to_the_right() -> set[str]:
    """Return each pair of folders in one part if the left one imports from the right one."""
    found = set()
    for name, targets in graph().items():
        for target in targets:
            if "." not in name or "." not in target:
                continue
            (part, own), (other, its) = folder(name), folder(target)
            if part == other in LAYERS:
                order = LAYERS[part]
                if order.index(its) > order.index(own):
                    found.add(f"{part}/{own} -> {part}/{its}")
    return found


def test_a_folder_imports_only_from_folders_to_its_left() -> None:
    """There is no exception."""
    assert arrows_to_the_right() == set()


def test_every_folder_has_its_place_in_the_order() -> None:
    """A new folder is placed in LAYERS before anything imports it."""
    found = {folder(name) for name in modules() if "." in name}
    assert {(part, own) for part, own in found if own} == {
        (part, own) for part, order in LAYERS.items() for own in order if own
    }


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types alone count: a circle of them shows two modules that are one."""
    TopologicalSorter(graph()).prepare()
