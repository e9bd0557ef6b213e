"""`kscope generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscope.cli.paths import category_folders
from kscope.cli.reference import pages
from kscope.declare.files.catalog import BUILTIN, builtin_folder, load_catalog
from kscope.errors import KscopeError, UsageError
from kscope.generate.files import compare, losses, write
from kscope.generate.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kscope.generate.files import Loss


@click.command()
@click.option(
    "--categories",
    multiple=True,
    metavar="FOLDER",
    help="A folder of category files; may be repeated. Default: the built-in ones.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder below which the files go. Default: this one.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file differs.")
@click.option(
    "--prune",
    is_flag=True,
    help="Also delete files that these categories made and no longer make.",
)
@click.pass_context
def generate(
    ctx: click.Context, /, categories: tuple[str, ...], output: Path, *, check: bool, prune: bool
) -> None:
    """Make DDL, JSON Schemas, chart configs and reference pages from the category files.

    Files of other categories, and files that it did not make, are never deleted. If a file of SQL
    has tables of other categories, nothing is written: name their folders too.

    Exit code 0: all is as it should be. 1: --check found a difference. 2: a category file is wrong,
    or a file of SQL would lose the tables of other categories.
    """
    folders = category_folders(categories)
    files = {**render(load_catalog(folders or (BUILTIN,))), **_pages(ctx)}
    try:
        _refuse_losses(losses(files, output), output)
        drifts = compare(files, output) if check else write(files, output, prune=prune)
    except OSError as error:
        raise KscopeError(f"{error.filename}: {error.strerror}") from None
    for drift in drifts:
        done = _PRUNED if prune else _DONE
        click.echo(f"{drift.how if check else done[drift.how]}: {drift.path}", err=check)
    if check and drifts:
        click.echo("run `kscope generate --prune` and commit the changes", err=True)
        sys.exit(1)
    click.echo(f"{len(files)} files {'are as declared' if check else 'up to date'}")


def _refuse_losses(found: Sequence[Loss], output: Path) -> None:
    if found:
        raise UsageError("\n".join(_loss_text(loss, output) for loss in found))


def _loss_text(loss: Loss, output: Path) -> str:
    shipped = loss.folder == builtin_folder().name and not (output / loss.folder).is_dir()
    tables = f"{len(loss.tables)} tables" if loss.tables[1:] else f"table {loss.tables[0]}"
    return (
        f"{loss.path}: would lose {tables} of {loss.folder}/; add `--categories "
        f"{BUILTIN if shipped else loss.folder}`, or name another folder with --output"
    )


def _pages(ctx: click.Context) -> Mapping[str, str]:
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    return pages(group, load_catalog())


_DONE = {
    "missing": "wrote",
    "changed": "updated",
    "orphaned": "left, no category makes it any more (--prune deletes it)",
    "unknown": "left, it does not say that it is generated",
}
_PRUNED = {**_DONE, "orphaned": "removed"}
