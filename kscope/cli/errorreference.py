"""The page on errors: exit codes, answers by status, and the messages that the source has."""

from collections.abc import Iterator, Mapping, Sequence
from string import Template

from kscope.cli.errormessages import messages
from kscope.errors import UNKNOWN_NAME
from kscope.generate.reference import table
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.routes import STATUSES
from kscope.server.openapi.components import meanings

_PAGE = Template("""\
# Errors

A message names the place, the fault and the fix. [Troubleshooting](../troubleshooting.md) starts
from a symptom instead.

## Exit codes of commands

$exits

## Answers of the server

Each answer with a fault is a problem document (RFC 9457, `application/problem+json`): `status`,
`detail` with the message, `errors` with a `parameter` or a JSON `pointer` for each fault, and
`type`.

$types

$statuses

## Messages

Those of the server, by status. A `$value` replaces a name or a number of the request.

$messages
""")
_EXITS = (
    ("0", "success; `kscope agent` and `kscope serve` also end so after Ctrl-C and SIGTERM", ""),
    (
        "1",
        "failure: a server, a database or a file did not do its part",
        "The last line on standard error says why. Repeat the command after the fix.",
    ),
    (
        "2",
        "a category file, the configuration, a command or an option is wrong",
        "All faults are printed, with file and line. Repeating the command does not help.",
    ),
    ("130", "interrupted by Ctrl-C", ""),
)
_TYPES = {
    HttpProblem.type: "no meaning beyond the status",
    UNKNOWN_NAME: (
        "a table or a column that the server does not know yet. An agent sends these rows again"
        " for ten minutes: add the category file to the server, or correct the name"
    ),
}
FIXES = {
    400: "Correct the request; `errors` names each place.",
    401: (
        "Send a token of `kscope token`: with `--token-file`, in `KSCOPE_TOKEN`, or as the password"
        " that the browser asks for."
    ),
    403: (
        "Use a token with the right scope, and for this host; list the server's name under"
        " `hosts`; send rows from programs, not from web pages."
    ),
    404: "Check the address and the table; `/api/v1/categories` lists the tables.",
    405: "Use the method that the `Allow` header names.",
    408: "Send the body faster, or fewer rows at a time.",
    413: "Send fewer rows at a time, or raise `max_body`.",
    414: "Use fewer filters, or POST the question.",
    415: "Send `application/json`, plain or compressed with gzip or zstd.",
    422: "Correct the rows that `errors` points to, or the category file.",
    429: ("Wait for the seconds of `Retry-After`. Send a right token, or raise the token's quota."),
    431: "Send fewer or shorter headers; a proxy or cookies may add them.",
    500: "Read the server's log, and report the fault with its lines.",
    503: "Send again after the seconds of `Retry-After`; agents do. `/readyz` says why.",
    504: "Ask for a shorter time range, or filter by a host or a process.",
}


def error_reference() -> str:
    """Markdown on every exit code, status and message."""
    found = messages()
    return _PAGE.substitute(
        exits="\n".join(table(("code", "meaning", "fix"), _EXITS)),
        types="\n".join(
            table(("type", "meaning"), ((f"`{name}`", text) for name, text in _TYPES.items()))
        ),
        statuses="\n".join(table(("status", "to rows", "to a question", "fix"), _rows(found))),
        messages="\n".join(_messages(found)),
        value="…",
    )


def _rows(found: Mapping[int, Sequence[str]]) -> Iterator[tuple[str, str, str, str]]:
    asked = {int(status): text for status, text in meanings().items()}
    sent = {status: text for status, text in STATUSES.items() if status >= 400}
    for status in sorted({*asked, *sent, *found}):
        yield (
            str(status),
            sent.get(status, ""),
            asked.get(status, ""),
            FIXES.get(status, ""),
        )


def _messages(found: Mapping[int, Sequence[str]]) -> Iterator[str]:
    for status, texts in found.items():
        yield from (f"### {status}", "")
        yield from (f"- {_quoted(text)}" for text in texts)
        yield ""


def _quoted(text: str) -> str:
    """Return the text as code: it may have backticks itself."""
    line = " ".join(text.split())
    return f"`` {line} ``" if "`" in line else f"`{line}`"
