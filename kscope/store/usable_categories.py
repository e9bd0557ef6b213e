"""Use all valid categories of the folders, whatever is wrong with the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from kscope.declare.files.catalog import catalog_of, read_catalog, without_files
from kscope.declare.model import Catalog
from kscope.errors import DeclarationError, Problem


async def adopt_good(
    catalog: Catalog,
    problems: Sequence[Problem],
    before: Catalog,
    adopt: Callable[[Catalog], Awaitable[None]],
) -> tuple[Problem, ...]:
    """Adopt what the database accepts of the catalog, and return all problems, sorted.

    A category whose change is refused keeps what it was in `before`. One that even so is refused is
    left out. Raises StoreError, and DeclarationError if no category is at fault.
    """
    found = {*problems}
    while True:
        try:
            await adopt(catalog)
        except DeclarationError as error:
            found |= {*error.problems}
            left = _without(catalog, {problem.file for problem in error.problems}, before)
            if left == catalog:
                raise
            catalog = left
        else:
            return tuple(sorted(found))


async def adopt_folders(
    folders: Sequence[str | Path],
    before: Catalog,
    adopt: Callable[[Catalog], Awaitable[None]],
) -> tuple[Problem, ...]:
    """Read the folders, and adopt all that is good in them; see adopt_good."""
    reading = await asyncio.to_thread(read_catalog, folders, before)
    return await adopt_good(reading.catalog, reading.problems, before, adopt)


def _without(catalog: Catalog, files: set[str], before: Catalog) -> Catalog:
    kept = without_files(catalog, files, before)
    if kept != catalog:
        return kept
    return catalog_of(category for category in catalog if category.file not in files)[0]
