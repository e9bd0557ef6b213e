"""The lines of a log, as text or JSON: text from outside cannot start a new record."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, TextIO

from kscope.errors import cut
from kscope.log_fields import fields

_INDENT = "\n    "
# Characters of a message, of a field beside it, and of an error with its lines.
_MESSAGE, _VALUE, _EXCEPTION = 8_000, 300, 40_000
_QUIET = ("databases", "aiosqlite", "asyncmy", "asyncio", "uvicorn")


def set_up(
    form: str, *, verbose: bool, stream: TextIO | None = None, log_format: str = "text"
) -> None:
    """Log to the stream or to standard error; `form` is for `logging.Formatter`, if it is text."""
    _set_up(JsonLines() if log_format == "json" else Escaping(form), verbose, stream)


def set_up_server(*, verbose: bool, worker: int = 0, log_format: str = "text") -> None:
    """Log to standard error as `kscope serve` does; a worker's number is in each line."""
    of = f"worker {worker} " if worker else ""
    more = {"worker": worker} if worker else {}
    form = f"%(asctime)s %(levelname)s {of}%(name)s: %(message)s"
    _set_up(JsonLines(more) if log_format == "json" else Escaping(form), verbose)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _set_up(formatter: logging.Formatter, verbose: bool, stream: TextIO | None = None) -> None:  # noqa: FBT001
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


class Escaping(logging.Formatter):
    """Write control characters as escapes (`\\x1b`), and indent the further lines of a record.

    Paths, headers and responses can contain control sequences for a terminal, or a line break
    followed by a forged record. The fields of a request stand at the end of the message.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        known = "".join(f" {name}={cut(value, _VALUE)}" for name, value in fields().items())
        record.message = escaped(cut(record.message, _MESSAGE) + known)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "    " + escaped(cut(super().formatException(ei), _EXCEPTION))


class JsonLines(logging.Formatter):
    """Write each record as one line: a JSON object, in ASCII alone, of a bounded length."""

    def __init__(self, more: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._more = more or {}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record.getMessage(), _MESSAGE),
            **self._more,
            **{name: _text(value, _VALUE) for name, value in fields().items()},
        }
        if record.exc_info:
            line["error"] = _text(self.formatException(record.exc_info), _EXCEPTION)
        return json.dumps(line)


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _text(text: str, most: int) -> str:
    """Return a text that is Unicode: half a surrogate pair is not, and some readers refuse it."""
    return cut(text, most).encode("utf-8", "backslashreplace").decode()


def escaped(text: str) -> str:
    """Return the text in printable characters, with its further lines indented."""
    return _INDENT.join("".join(map(_visible, line)) for line in text.split("\n"))


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape").decode()
