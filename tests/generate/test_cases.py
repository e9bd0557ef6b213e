"""Each folder in tests/cases is one run of `kscope generate`: what it writes, or what it says.

`KSCOPE_UPDATE_CASES=1` rewrites the expectations; read them before you commit.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from kscope.query.questions import QUESTIONS
from tests.commands import Ran, command

CASES = Path(__file__).parent.parent / "cases"


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def generated_here(files: dict[str, str]) -> dict[str, str]:
    """Leave out what does not depend on the case's categories."""
    common = ("docs/", "schema/category", "schema/kernelscope", "web/generated/types.ts")
    return {path: text for path, text in files.items() if not path.startswith(common)}


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_case(case: str, tmp_path: Path) -> None:
    """A folder of categories gives exactly the expected files, or exactly the expected words."""
    shutil.copytree(CASES / case / "categories", tmp_path / "categories")
    run = command("generate", "--categories", "categories", "--output", "out", folder=tmp_path)
    wrong = CASES / case / "stderr.txt"
    expected = CASES / case / "expected"
    if os.environ.get("KSCOPE_UPDATE_CASES"):
        update(run, wrong, expected, tmp_path / "out")
    if wrong.exists():
        assert run.stderr == wrong.read_text()
        assert run.returncode == 2
        assert not (tmp_path / "out").exists()
    else:
        assert run.returncode == 0, run.stderr
        assert generated_here(tree(tmp_path / "out")) == tree(expected)


def update(run: Ran, wrong: Path, expected: Path, written: Path) -> None:
    shutil.rmtree(expected, ignore_errors=True)
    wrong.unlink(missing_ok=True)
    if run.returncode:
        wrong.write_text(run.stderr)
        return
    for path, text in generated_here(tree(written)).items():
        (expected / path).parent.mkdir(parents=True, exist_ok=True)
        (expected / path).write_text(text)


def test_check_names_what_is_missing_changed_and_orphaned(tmp_path: Path) -> None:
    """The drift check sees all kinds and writes nothing. A plain run deletes nothing, and --prune
    only what these categories made; what others wrote beside the reference is left alone.
    """
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "categories")
    arguments = ("generate", "--categories", "categories")
    (tmp_path / "categories/old.yaml").write_text("table: old\ncolumns: [{name: a, type: int}]\n")
    assert command(*arguments, folder=tmp_path).returncode == 0
    (tmp_path / "categories/old.yaml").unlink()
    (tmp_path / "sql/generated/sqlite.sql").write_text("-- mine\n")
    (tmp_path / "sql/generated/mysql.sql").unlink()
    (tmp_path / "schema/generated/hand.schema.json").write_text("{}")
    (tmp_path / "sql/generated/.gitkeep").write_text("")
    page = (tmp_path / "docs/reference/categories.md").read_text()
    (tmp_path / "docs/reference/old.md").write_text(page)
    (tmp_path / "docs/reference/mine.md").write_text("# Not generated\n")
    before = tree(tmp_path)

    check = command(*arguments, "--check", folder=tmp_path)

    assert check.returncode == 1
    assert check.stderr.splitlines()[:-1] == [
        "orphaned: docs/reference/old.md",
        *(
            f"orphaned: grafana/generated/{each}/old.json"
            for each in ("api", "clickhouse", "mysql")
        ),
        "unknown: schema/generated/hand.schema.json",
        "orphaned: schema/generated/old.schema.json",
        "changed: sql/generated/clickhouse.sql",
        "missing: sql/generated/mysql.sql",
        "changed: sql/generated/sqlite.sql",
        "orphaned: web/generated/old.charts.json",
    ]
    assert tree(tmp_path) == before
    plain = command(*arguments, folder=tmp_path)
    assert "--prune deletes it): schema/generated/old.schema.json" in plain.stdout
    assert set(tree(tmp_path)) == {*before, "sql/generated/mysql.sql"}
    assert (
        "removed: web/generated/old.charts.json"
        in command(*arguments, "--prune", folder=tmp_path).stdout
    )
    assert "schema/generated/old.schema.json" not in tree(tmp_path)
    (tmp_path / "schema/generated/hand.schema.json").unlink()
    assert command(*arguments, "--check", folder=tmp_path).returncode == 0
    assert (tmp_path / "docs/reference/mine.md").exists()


def test_a_file_that_is_made_elsewhere_now_is_an_orphan(tmp_path: Path) -> None:
    """As dashboards that an older version made: of these categories, but in another folder."""
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "categories")
    arguments = ("generate", "--categories", "categories")
    command(*arguments, folder=tmp_path)
    moved = tmp_path / "grafana/generated/forks.json"
    moved.write_text((moved.parent / "mysql/forks.json").read_text())
    check = command(*arguments, "--check", folder=tmp_path)
    assert check.stderr.splitlines()[:-1] == ["orphaned: grafana/generated/forks.json"]
    command(*arguments, "--prune", folder=tmp_path)
    assert not moved.exists()
    assert (moved.parent / "mysql/forks.json").exists()


@pytest.mark.parametrize("folder", ["mine", "elsewhere/categories"])
def test_nothing_of_other_categories_is_lost(folder: str, tmp_path: Path) -> None:
    """Neither by a plain run nor by --prune, not even if the folders are called the same: files of
    SQL, which have the tables of all, are written only if all folders are named.
    """
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "categories")
    command("generate", "--categories", "categories", folder=tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "a.yaml").write_text("table: a\ncolumns: [{name: b, type: int}]\n")
    before = tree(tmp_path)
    for arguments in ((), ("--prune",), ("--check",)):
        run = command("generate", "--categories", folder, *arguments, folder=tmp_path)
        assert run.returncode == 2
        said = "would lose table forks of categories/; add `--categories categories`, or name"
        assert all(said in line for line in run.stderr.splitlines()), run.stderr
        assert [line.partition(":")[0] for line in run.stderr.splitlines()] == sorted(
            path for path in before if path.startswith("sql/")
        )
        assert tree(tmp_path) == before
    both = ("--categories", folder, "--categories", "categories")
    assert command("generate", *both, "--prune", folder=tmp_path).returncode == 0
    assert set(before) < set(tree(tmp_path))
    assert command("generate", *both, "--check", folder=tmp_path).returncode == 0
    elsewhere = command("generate", "--categories", folder, "--output", "out", folder=tmp_path)
    assert elsewhere.returncode == 0


def test_a_renamed_folder_of_categories_keeps_its_files(tmp_path: Path) -> None:
    """The same tables from another folder are no loss, and neither is a category that is gone."""
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "mine")
    (tmp_path / "mine/a.yaml").write_text("table: a\ncolumns: [{name: b, type: int}]\n")
    assert command("generate", "--categories", "mine", folder=tmp_path).returncode == 0
    (tmp_path / "mine").rename(tmp_path / "ours")
    assert command("generate", "--categories", "ours", folder=tmp_path).returncode == 0
    (tmp_path / "ours/a.yaml").unlink()
    assert command("generate", "--categories", "ours", folder=tmp_path).returncode == 0
    assert "ours/: edit" in (tmp_path / "sql/generated/sqlite.sql").read_text()


def test_a_header_names_the_file_that_was_read(tmp_path: Path) -> None:
    """A generated file names the file to edit, the same on every machine."""
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "conf/mine")
    for folder in ("conf/mine", str(tmp_path / "conf/mine")):
        command("generate", "--categories", folder, folder=tmp_path)
        schema = next((tmp_path / "schema/generated").iterdir()).read_text()
        assert re.search(r"kscope generate` from (conf/)?mine/\w+\.yaml: edit", schema)
        assert "mine/: edit" in (tmp_path / "sql/generated/sqlite.sql").read_text()


def test_files_for_a_reader_are_made_where_it_is(tmp_path: Path) -> None:
    """The page's types beside its source, and the schema of settings beside a file of settings."""
    shutil.copytree(CASES / "minimal" / "categories", tmp_path / "mine")
    arguments = ("generate", "--categories", "mine")
    types, settings = "web/generated/types.ts", "schema/kernelscope.schema.json"
    assert command(*arguments, folder=tmp_path).returncode == 0
    assert not {types, settings} & set(tree(tmp_path))
    (tmp_path / "kernelscope.yaml").write_text("")
    command(*arguments, folder=tmp_path)
    assert {types, settings} & set(tree(tmp_path)) == {settings}
    (tmp_path / "web/src").mkdir()
    command(*arguments, folder=tmp_path)
    assert {types, settings} <= set(tree(tmp_path))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Said in one line."""
    run = command("generate", "--output", "/proc/kscope", folder=tmp_path)
    assert run.returncode == 1
    assert re.fullmatch(r"/proc/kscope\S*: [A-Z].*\n", run.stderr)


def test_the_reference_has_every_command_and_question() -> None:
    """The pages follow the program: what `--help` lists and what is answered is on them."""
    pages = CASES.parent.parent / "docs/reference"
    listed = command("--help", folder=CASES).stdout.partition("Commands:")[2]
    commands = re.findall(r"^  (\w+)", listed, re.MULTILINE)
    assert {"serve", "agent", "query"} <= set(commands)
    for name in commands:
        assert f"\n## `kscope {name}`\n" in (pages / "cli.md").read_text()
    for name in QUESTIONS:
        assert f"/api/v1/{name}/{{table}}" in (pages / "http.md").read_text()


def test_what_is_committed_is_what_the_categories_say() -> None:
    """The repository's own generated files have not drifted from its categories."""
    run = command("generate", "--check", folder=CASES.parent.parent)
    assert run.returncode == 0, run.stderr
