"""Options that several commands share, and the types of their values."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kscope.config import LOG_FORMATS, checked_path, chosen_settings
from kscope.declare import units
from kscope.declare.files.catalog import read_catalog
from kscope.errors import ValueFaultError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_LONGEST = 366 * 86400.0
if TYPE_CHECKING:
    ParamType = click.ParamType
else:

    class ParamType(click.ParamType):
        """That of click 8.1, as Debian 12 has it, with the type of its values as later ones."""

        def __class_getitem__(cls, _: Any) -> type[click.ParamType]:
            return cls


class _File(ParamType[Path]):
    """A path. An address is refused, because it can contain a password."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        try:
            return Path(checked_path(str(value)))
        except ValueFaultError as error:
            self.fail(error.fault, param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click calls it
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list["CompletionItem"]:
        return files_of(incomplete)


class Seconds(ParamType[float]):
    """A length of time in seconds: 90, 500ms, 1.5s, 10m, 1h30m."""

    name = "duration"

    def __init__(self, least: float = 0.1) -> None:
        self.min = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            length = units.span(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self.min <= length <= _LONGEST:
            self.fail(f"'{value}' is not between {self.min:g} seconds and 366 days", param, ctx)
        return length


def files_of(incomplete: str) -> list["CompletionItem"]:
    """Return the order to a shell to complete the name of a file."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells need it

    return [CompletionItem(incomplete, type="file")]


def _tables(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - as click calls it
    incomplete: str,
) -> list["CompletionItem"]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells need it

    settings = chosen_settings(ctx.params.get("config"))
    folders = [*settings.categories, *(ctx.params.get("categories") or ())]
    return [
        CompletionItem(each.table, help=each.prettyname)
        for each in read_catalog(folders).catalog
        if each.table.startswith(incomplete)
    ]


FILE = _File()
SECONDS = Seconds()

table = click.argument("table", shell_complete=_tables)
config = click.option(
    "--config", type=FILE, help="Configuration file. [./kernelscope.yaml, if it exists]"
)
server = click.option(
    "--server",
    metavar="URL",
    help="Ingest address of the server. [the configuration's, or http://127.0.0.1:8081]",
)
token_file = click.option(
    "--token-file",
    type=FILE,
    help="File that contains the token. [the configuration's, or $KSCOPE_TOKEN]",
)
log_format = click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    help="Form of the lines of the log. [the configuration's, or text]",
)
categories = click.option(
    "--categories",
    type=FILE,
    multiple=True,
    metavar="FOLDER",
    help="Folder of category files, in addition to the configured ones; can be repeated.",
)
