"""`kscope generate`."""

import re
import sys
from pathlib import Path

import click

from kscope.cli.options import FILE, ParamType
from kscope.cli.reference import READ_BY, pages
from kscope.declare.files.catalog import BUILTIN, builtin_folder, load_catalog
from kscope.errors import KscopeError, UsageError
from kscope.generate.files import LostTables, compare, losses, write
from kscope.generate.render import render, render_cluster
from kscope.query.declared_filters import refuse_bad_filters


class Name(ParamType[str]):
    """A name that statements contain."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value, re.ASCII):
            self.fail(f"{value[:80]!r} is not {self.name}: letters, digits, . _ -", param, ctx)
        return value


@click.command()
@click.option(
    "--categories",
    type=FILE,
    multiple=True,
    metavar="FOLDER",
    help="Folder of category files; can be repeated. [the built-in categories]",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write the files to. [the current folder]",
)
@click.option(
    "--cluster",
    type=Name("a cluster's name"),
    metavar="NAME",
    help="Also write sql/generated/clickhouse-NAME.sql, for this cluster of ClickHouse servers.",
)
@click.option(
    "--dbname",
    type=Name("a database's name"),
    default="kernelscope",
    help="Name of the database on that cluster. [kernelscope]",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file differs.")
@click.option(
    "--prune",
    is_flag=True,
    help="Also delete generated files that these categories no longer produce.",
)
@click.pass_context
def generate(  # noqa: PLR0913 - an option each
    ctx: click.Context,
    /,
    categories: tuple[Path, ...],
    output: Path,
    *,
    cluster: str | None,
    dbname: str,
    check: bool,
    prune: bool,
) -> None:
    """Generate DDL, JSON Schemas, chart configurations and reference pages.

    Files of other categories, and files that were not generated, are never deleted. Nothing is
    written if a SQL file would lose the tables of other categories: name their folders too.

    Exit code 0: the files are up to date. 1: --check found a difference. 2: a category file is
    wrong, or a SQL file would lose tables.
    """
    catalog = load_catalog(categories or (BUILTIN,))
    refuse_bad_filters(catalog)
    made = {
        **render(catalog),
        **(render_cluster(catalog, cluster, dbname) if cluster else {}),
        **pages(ctx.find_root().command, load_catalog()),
    }
    try:
        files = {path: text for path, text in made.items() if _is_read(path, output)}
        if found := losses(files, output):
            raise UsageError("\n".join(_loss_text(loss, output) for loss in found))
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


def _loss_text(loss: LostTables, output: Path) -> str:
    shipped = loss.folder == builtin_folder().name and not (output / loss.folder).is_dir()
    tables = f"{len(loss.tables)} tables" if loss.tables[1:] else f"table {loss.tables[0]}"
    return (
        f"{loss.path}: would lose {tables} of {loss.folder}/; add `--categories "
        f"{BUILTIN if shipped else loss.folder}`, or name another folder with --output"
    )


def _is_read(path: str, output: Path) -> bool:
    return path not in READ_BY or (output / READ_BY[path]).exists()


_DONE = {
    "missing": "wrote",
    "changed": "updated",
    "orphaned": "left, no category makes it any more (--prune deletes it)",
    "unknown": "left, it does not say that it is generated",
}
_PRUNED = {**_DONE, "orphaned": "removed"}
