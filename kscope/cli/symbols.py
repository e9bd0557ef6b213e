"""`kscope symbols`: names for frames that agents could not name."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from kscope.cli import SuggestingGroup, audit
from kscope.cli.database import moment, name_of, opened, with_settings
from kscope.cli.options import FILE
from kscope.client.answers import one_line
from kscope.config import Settings
from kscope.errors import KscopeError, UsageError
from kscope.server.symbols.files import NoNamesError, read_symbols
from kscope.store.open import check_there
from kscope.store.symbols.table import SymbolTable

_MAGIC = b"\x7fELF"


@click.group(cls=SuggestingGroup)
def symbols() -> None:
    """Add, list or remove the names of functions, by the build ids of their files.

    A frame without a name, such as libx.so.6+0x1a30, gets one when it is read: that of rows stored
    before, too. The server can keep running.
    """


@symbols.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="PATH...")
@with_settings
def add(*, settings: Settings, paths: Sequence[Path]) -> None:
    """Store the function names of ELF files, and of all that are in folders.

    A file needs a build id, and symbols: binaries, libraries, or debug files.
    """
    if missing := [path for path in paths if not path.exists()]:
        raise UsageError(f"{one_line(str(missing[0]))}: there is no such file or folder")
    counts = asyncio.run(_add(settings, paths))
    if counts["stored"]:
        audit.note(f"names of {counts['stored']} files added to {name_of(settings)}")
    told = f"{counts['stored']} files with {counts['functions']:,} functions are stored"
    others = ("in the table already", "without function names", "unreadable")
    told += "".join(f", {counts[each]} {each}" for each in others if counts[each])
    click.echo(told)
    if counts["failed"]:
        raise KscopeError(f"{counts['failed']} of the named files were not stored")


@symbols.command(name="list")
@with_settings
def list_(*, settings: Settings) -> None:
    """Print each file, the newest first: build id, functions, bytes, time, name."""
    asyncio.run(_list(settings))


@symbols.command()
@click.argument("builds", nargs=-1, required=True, metavar="BUILDID...")
@with_settings
def remove(*, settings: Settings, builds: Sequence[str]) -> None:
    """Remove the names of the files with these build ids, as `kscope symbols list` prints them."""
    asyncio.run(_remove(settings, builds))


@asynccontextmanager
async def _table(settings: Settings) -> AsyncIterator[SymbolTable]:
    check_there(settings)
    async with opened(settings) as store:
        # A database of an older version has no tables for symbols yet.
        await store.home.migrate()
        yield SymbolTable(store.home.backend, store.schema, settings.symbols.max_bytes)


async def _add(settings: Settings, paths: Sequence[Path]) -> Counter[str]:
    counts: Counter[str] = Counter()
    async with _table(settings) as table:
        for path in paths:
            if path.is_dir():
                for each in _elf_files(path, counts):
                    await _add_file(table, each, counts)
            elif not await _add_file(table, path, counts):
                counts["failed"] += 1
    return counts


async def _add_file(table: SymbolTable, path: Path, counts: Counter[str]) -> bool:
    """Return whether the table has the file's names afterwards."""
    shown = one_line(str(path))
    try:
        found = read_symbols(path, path.name, is_installed=True)
    except KscopeError as error:
        counts["without function names" if isinstance(error, NoNamesError) else "unreadable"] += 1
        click.echo(f"{shown}: {error}", err=True)
        return False
    if await table.add(found):
        counts["stored"] += 1
        counts["functions"] += found.functions
        click.echo(f"{found.build}  {found.functions} functions  {shown}")
    else:
        counts["in the table already"] += 1
    return True


def _elf_files(folder: Path, counts: Counter[str]) -> Iterator[Path]:
    """Yield the ELF files below a folder, each once; links to other folders are not followed.

    Files and folders that cannot be read are named, and counted.
    """

    def complain(error: OSError) -> None:
        counts["unreadable"] += 1
        shown = one_line(str(error.filename))
        click.echo(f"{shown}: cannot be opened: {error.strerror}", err=True)

    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=complain):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            try:
                identity = _elf_identity(path)
            except FileNotFoundError:  # removed in the meantime
                continue
            except OSError as error:
                complain(error)
                continue
            if identity and identity not in seen:
                seen.add(identity)
                yield path


def _elf_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of an ELF file, None for others. Raises OSError."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        return (status.st_dev, status.st_ino) if file.read(4) == _MAGIC else None


async def _list(settings: Settings) -> None:
    async with _table(settings) as table:
        files = await table.files()
    for each in files:
        origin = "fetched" if each.fetched else "added"
        told = f"{each.functions} functions  {each.bytes} bytes  {origin} {moment(each.added)}"
        click.echo(f"{each.build}  {told}  {one_line(each.file)}")
    held = sum(each.bytes for each in files)
    click.echo(f"{len(files)} files, {held} of {settings.symbols.max_bytes} bytes")


async def _remove(settings: Settings, builds: Sequence[str]) -> None:
    builds = [build.lower() for build in builds]
    async with _table(settings) as table:
        known = {each.build for each in await table.files()}
        if wrong := [build for build in builds if build not in known]:
            raise UsageError(
                f"{one_line(wrong[0])}: the table has no such build id;"
                " `kscope symbols list` prints them"
            )
        for build in builds:
            await table.remove(build)
            audit.note(f"names of {build} removed from {name_of(settings)}")
            click.echo(f"removed {build}")
