"""The order of the page's folders: what each may import."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.serving import ROOT

SOURCE = ROOT / "web" / "src"
# Folders of the same tier do not import each other; files of the source itself come last.
TIERS = (("ui",), ("api",), ("state",), ("flame", "header"), ("charts",), ("views",), (".",))
RANK = {folder: rank for rank, folders in enumerate(TIERS) for folder in folders}
_IMPORT = re.compile(r"""(?:\bfrom|\bimport\(?)\s*"(\.{1,2}/[^"]+)\"""")


def _imports() -> dict[Path, set[Path]]:
    """Return the files that each file imports, both relative to `web/src`; none generated."""
    found: dict[Path, set[Path]] = {}
    for path in sorted(SOURCE.rglob("*.ts")):
        names = _IMPORT.findall(path.read_text())
        targets = {(path.parent / f"{name}.ts").resolve() for name in names}
        own = {one for one in targets if one.is_relative_to(SOURCE)}
        found[path.relative_to(SOURCE)] = {one.relative_to(SOURCE) for one in own}
    return found


def _folder(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else "."


def test_a_folder_of_the_page_imports_only_folders_before_it() -> None:
    """The order is ui, api, state, flame and header, charts, views, main."""
    against = [
        f"{path}: {target}"
        for path, targets in _imports().items()
        for target in targets
        if _folder(path) != _folder(target) and RANK[_folder(path)] <= RANK[_folder(target)]
    ]
    assert against == []


def test_the_pages_files_import_each_other_in_no_circle() -> None:
    """`graphlib` raises CycleError and names the files if there is a circle."""
    order = [*TopologicalSorter(_imports()).static_order()]
    assert Path("main.ts") in order


def test_the_readme_of_the_source_explains_each_folder() -> None:
    """Each folder has one line in the table, in the order of the imports."""
    readme = (SOURCE / "README.md").read_text()
    explained = re.findall(r"^\| `(\w+)/` +\| \S.*\. +\|$", readme, re.MULTILINE)
    assert explained == [folder for folders in TIERS for folder in folders if folder != "."]
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    assert folders - {"style"} == set(explained)  # style sheets import nothing
