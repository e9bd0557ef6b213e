"""`kscope_logger.py`: the Logger and its helpers in one file, for hosts without kscope."""

import ast
from pathlib import Path

import kscope
from kscope.generate.one_module import joined

_PACKAGE = Path(kscope.__file__).parent
_ROOT = "kscope.client"
_HEAD = '''# SPDX-License-Identifier: Apache-2.0
# {notice}
"""Log rows to a Kernelscope server from any script: copy this one file beside it.

from kscope_logger import Logger

with Logger("http://127.0.0.1:8081") as log:
    log("cpu", process="mysqld", usage=0.7)

It needs Python 3.11 or newer and no packages. It uses python3-zstandard if that is installed.
docs/bcc-tools.md shows how tools of bcc log their rows, with `stack` and `histograms`.
"""

'''
_TAIL = "\n\n__all__ = [{names}]\n"


def logger_module(notice: str) -> str:
    """Return the file's text. `notice` is the line that names its source."""
    sources = {_name(path): path.read_text(encoding="utf-8") for path in _PACKAGE.glob("*.py")}
    for path in (_PACKAGE / "client").glob("*.py"):
        sources[_name(path)] = path.read_text(encoding="utf-8")
    names = _listed(sources[_ROOT])
    tail = _TAIL.format(names=", ".join(f'"{name}"' for name in names))
    return _HEAD.format(notice=notice) + joined(sources, _ROOT, names) + tail


def _name(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _listed(source: str) -> list[str]:
    """Return `__all__` of a module, without importing it."""
    assigned = (each for each in ast.parse(source).body if isinstance(each, ast.Assign))
    (value,) = (each.value for each in assigned if ast.unparse(each.targets[0]) == "__all__")
    return list(ast.literal_eval(value))
