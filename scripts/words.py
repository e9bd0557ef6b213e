"""Check the words of docs, docstrings, comments and messages, as CONTRIBUTING.md asks for.

Usage: python scripts/words.py [FILE ...], all files by default. Print each place with a better
wording; exit with 1 if there is one.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A pattern that readers stumble over, and the wording to use.
REPLACEMENTS = {
    r"^Gives? ": "Return, yield or show",
    # Except in a question, or in a link to its answer.
    r"^(What|Whoever|Whatever|One that|That which)\b(?!.*[?→])": "start with a noun",
    r"\bwhoever\b": "the user, the caller, clients that",
    r"\banew\b": "again; recreate",
    r"\bgo(es)? by\b": "use, follow, read",
    r"\b(is|are|was|were|be) told\b": "receive; be informed; the log shows",
    r"\btells? of\b": "describe, report",
    r"\btold apart\b": "distinguish",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<!`)\black(s|ed|ing)?\b(?!`)": "is missing, does not have",
    r"\bof (its|their) own\b": "its own, a separate",
    r"\bseldom\b": "rarely",
    r"\bhardly\b": "barely",
    r"\bmeanwhile\b": "in the meantime; while",
    r"\bstands? (in|over) (a|an|the|its|for)\b": "is in, is above, replaces",
    r"\bowed\b|\bowes?\b": "not yet reported",
    r"\bin words\b": "as text, as a message",
    r"\bdearer?\b": "expensive",
    r"\bnobody\b": "no client, no user; or active: the server does not",
    r"\bas one (types|reads|writes)\b": "name the subject",
    r"\bby way of\b": "through",
    r"\bfor (ever|good)\b": "permanently, indefinitely",
    r"\bis looked at\b|\bare looked at\b": "is read, is checked",
    r"\bhas to say\b": "the message",
    r"\bgoes with\b": "requires",
    r"\bbut for\b": "except",
    r"\bis worth\b": "is faster, pays off",
    r"\bof which\b": "split the sentence",
    r"\bin nobody's way\b|\bin the way\b": "blocking, conflicting",
    r"\bwhat there is\b|\bwhat it is\b": "name the thing",
    r"\bonce more\b": "again",
    r"\bget(s)? rid\b": "remove",
    r"\bper cent\b": "%",
}
_RULES = [(re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in REPLACEMENTS.items()]
_QUOTES = re.compile(r"^[rbfu]*('''|\"\"\"|'|\")|('''|\"\"\"|'|\")$", re.IGNORECASE)
_TS_TEXT = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]* [^\"\n]*\"", re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
SUFFIXES = (".py", ".ts", ".md", ".yaml", ".sh")


def main(names: list[str]) -> int:
    """Print every finding of the named files, or of all files; return the exit code."""
    found = [line for path in _paths(names) for line in findings(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def _paths(names: list[str]) -> Iterator[Path]:
    listed = names or subprocess.check_output(["git", "ls-files"], text=True).splitlines()
    for name in listed:
        if name.endswith(SUFFIXES) and name != "scripts/words.py" and "/cases/" not in name:
            yield Path(name)


def findings(path: Path) -> Iterator[str]:
    """Yield `file:line: words: hint` for each match in the prose of one file."""
    for line, text in prose(path):
        for pattern, hint in _RULES:
            for match in pattern.finditer(text):
                at = line + text.count("\n", 0, match.start())
                yield f"{path}:{at}: {match[0].strip()!r}: {hint}"


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that a person reads, each with its first line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield 1, _CODE.sub(lambda code: "`" + "_" * (len(code[0]) - 2) + "`", text)
    elif path.suffix == ".py":
        yield from _python(text, strings=path.parts[0] == "kscope")
    elif path.suffix == ".ts":
        for match in _TS_TEXT.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match[0].lstrip('/*"` ')
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith("#"):
                yield number, line.lstrip("# ")


def _python(text: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Yield comments, docstrings, and if wanted the other strings, which may be messages."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")
        elif (
            token.type == tokenize.STRING
            and " " in token.string
            and (strings or token.line.lstrip().startswith('"""'))
        ):
            yield token.start[0], _QUOTES.sub("", token.string)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
