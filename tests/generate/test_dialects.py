"""A dialect is one file, which names the functions that it spells its own way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kscope.generate.dialects import DIALECTS
from kscope.generate.expressions import Spelled
from kscope.query.sql import expressions
from kscope.store.sums import functions
from tests.copied import copied

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parent / "one_file" / "postgresql.py"
_MODULES = (expressions, functions)


def test_one_more_file_is_one_more_dialect(tmp_path: Path) -> None:
    """`kscope generate` writes the DDL of a dialect whose file is added; nothing else is edited."""
    copied(tmp_path)
    shutil.copy(EXAMPLE, tmp_path / "kscope/generate/dialects")
    subprocess.run(
        [sys.executable, "-m", "kscope", "generate", "--output", tmp_path / "out"],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    ddl = {path.name: path.read_text() for path in (tmp_path / "out/sql/generated").iterdir()}
    assert {*ddl} == {"clickhouse.sql", "mysql.sql", "postgresql.sql", "sqlite.sql"}
    written = ddl["postgresql.sql"]
    assert written.count("CREATE TABLE IF NOT EXISTS") == ddl["sqlite.sql"].count("CREATE TABLE")
    for text in ("SET timezone", "key BYTEA", "CREATE OR REPLACE VIEW offcputime", "to_timestamp("):
        assert text in written


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=[*DIALECTS])
def test_a_dialect_spells_every_function(dialect: object) -> None:
    """A dialect of a store names each function that it must have, and none that there is not."""
    declared = {each.__name__: each for each in _functions(Spelled)}
    assert len(declared) > 8, _MODULES
    spelled = dialect.functions.keys()  # type: ignore[attr-defined]
    assert spelled <= declared.keys()
    needed = {name for name, each in declared.items() if each.everywhere and not each.common}
    assert needed <= spelled


def _functions(kind: type[Spelled]) -> Iterator[type[Spelled]]:
    for each in kind.__subclasses__():
        yield each
        yield from _functions(each)
