"""The texts of the program, with a mark for each value, to compare what the docs quote."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.serving import ROOT

VALUE = "…"
_PERCENT = re.compile(r"%(?:\([a-z_]+\))?[-+#0]*[\d.,]*[a-zA-Z]")
_TEMPLATE = re.compile(r"\$\{[^}]*\}|\{[a-z_.]*(?:![rsa])?(?::[^}]*)?\}")


@cache
def texts() -> tuple[str, ...]:
    """Return every text of kscope's modules and of the page's."""
    found = set()
    for path in (ROOT / "kscope").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(_TEMPLATE.sub(VALUE, _PERCENT.sub(VALUE, node.value)))
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(map(_part, node.values)))
    for path in (ROOT / "web/src").rglob("*.ts"):
        found |= set(re.findall(r'"([^"\n]+)"', path.read_text()))
        found |= {_TEMPLATE.sub(VALUE, each) for each in re.findall(r"`([^`]+)`", path.read_text())}
    return tuple(found)


def is_said(message: str) -> bool:
    """Return whether one text has all parts of the message, in order."""
    parts = [part.strip() for part in message.split(VALUE) if part.strip()]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return any(pattern.search(text) for text in texts())


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else VALUE
