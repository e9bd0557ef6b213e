"""`kscope generate --cluster`: the statements of a ClickHouse cluster, as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kscope.declare.files.catalog import read_catalog
from kscope.generate.clickhouse.dialect import ClickHouseDDL
from kscope.generate.clickhouse.statements import copy_creation, creation, removal
from kscope.generate.tables import schema
from tests.commands import command
from tests.serving import ROOT

if TYPE_CHECKING:
    from tests.clickhouse import Node

MINIMAL = ROOT / "tests/cases/minimal/categories"
GOLDEN = Path(__file__).parent / "cluster" / "clickhouse-fleet.sql"


def generate(folder: Path, *options: str) -> str:
    ran = command("generate", "--categories", MINIMAL, "--output", folder, *options)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [each.strip() for each in "\n".join(lines).split(";\n") if each.strip(" \n;")]


def test_it_is_the_file_that_is_agreed(tmp_path: Path) -> None:
    """The golden file; other runs neither write it nor take it for an orphan."""
    generate(tmp_path, "--cluster", "fleet")
    made = tmp_path / "sql/generated/clickhouse-fleet.sql"
    assert made.read_text() == GOLDEN.read_text()
    assert "as declared" in generate(tmp_path, "--check")
    generate(tmp_path, "--prune")
    assert made.exists()
    assert "as declared" in generate(tmp_path, "--check", "--cluster", "fleet")


def test_another_database_has_another_name(tmp_path: Path) -> None:
    generate(tmp_path, "--cluster", "fleet", "--dbname", "waits")
    made = (tmp_path / "sql/generated/clickhouse-fleet.sql").read_text()
    assert made == GOLDEN.read_text().replace("kernelscope", "waits")


@pytest.mark.parametrize("name", ["a'b", "", "a b", "../x", "a" * 65, "ü"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    ran = command("generate", "--output", tmp_path, "--cluster", name)
    assert ran.returncode == 2
    assert "not a cluster's name" in ran.stderr
    assert not list(tmp_path.iterdir())


def formatted(engine: Node, statement: str) -> str:
    quoted = statement.replace("\\", "\\\\").replace("'", "\\'")
    return engine.sql(f"SELECT formatQuery('{quoted}')").strip()


@pytest.mark.clickhouse
def test_a_table_that_is_built_again_has_another_path(clickhouse: Node) -> None:
    """It keeps its path in the Keeper when it takes the other's name, and two builds have two."""
    dialect = ClickHouseDDL("fleet")
    (category,) = schema(read_catalog([MINIMAL]).catalog).categories.values()
    made = [creation(category.rows, dialect)]
    made += [copy_creation(category.rows, "other", token, dialect) for token in ("1a", "2b")]
    read = [formatted(clickhouse, each) for each in made]
    paths = [re.findall(r"ReplicatedMergeTree\(\\*'([^'\\]+)", each)[0] for each in read]
    name = f"/clickhouse/tables/{{shard}}/{{database}}/{category.rows.name}"
    assert paths == [name, f"{name}-1a", f"{name}-2b"]
    assert "ON CLUSTER" in read[0]
    assert "ON CLUSTER" not in read[1]
    assert formatted(clickhouse, removal("other", dialect)).endswith("SYNC")


@pytest.mark.clickhouse
def test_the_engine_of_today_reads_every_statement(clickhouse: Node) -> None:
    """It parses them: without a Keeper it cannot run them."""
    read = statements(GOLDEN.read_text())
    assert len(read) > 20
    for each in read:
        assert formatted(clickhouse, each)
    for engine in ("ReplicatedMergeTree", "ReplicatedReplacingMergeTree", "Distributed"):
        assert any(f"ENGINE = {engine}" in each for each in read)
