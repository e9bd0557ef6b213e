from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import SQLiteFile
from tests.query.world import World, waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.databases import Database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield an empty SQLite database."""
    yield from _world(SQLiteFile(tmp_path / "kernelscope.db"))


@pytest.fixture
def engine_world(database: Database) -> Iterator[World]:
    """Yield an empty database of each engine in turn."""
    yield from _world(database)


@pytest.fixture(scope="module")
def module_world(module_database: Database) -> Iterator[World]:
    """Yield a database of each engine in turn, which the tests of a module only ask."""
    yield from _world(module_database)


@pytest.fixture
def client(world: World) -> World:
    """Six off-CPU waits, see `world.waits`."""
    world.insert("offcputime", waits())
    return world


def _world(database: Database) -> Iterator[World]:
    world = World(database)
    try:
        yield world
    finally:
        world.close()
