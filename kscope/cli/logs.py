"""The lines of a log: text from outside cannot start a new record."""

import logging
from typing import Any, TextIO

_INDENT = "\n    "


def set_up(form: str, *, verbose: bool, stream: TextIO | None = None) -> None:
    """Log to the stream or to standard error; `form` is for `logging.Formatter`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Escaping(form))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


def set_up_server(*, verbose: bool, of: str = "") -> None:
    """Log to standard error as `kscope serve` does; `of` is in each line."""
    set_up(f"%(asctime)s %(levelname)s {of}%(name)s: %(message)s", verbose=verbose)
    for name in ("databases", "aiosqlite", "asyncmy", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Escaping(logging.Formatter):
    """Write control characters as escapes (`\\x1b`), and indent the further lines of a record.

    Paths, headers and responses can contain control sequences for a terminal, or a line break
    followed by a forged record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "    " + escaped(super().formatException(ei))


def escaped(text: str) -> str:
    """Return the text in printable characters, with its further lines indented."""
    return _INDENT.join("".join(map(_visible, line)) for line in text.split("\n"))


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape").decode()
