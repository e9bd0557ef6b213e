"""Modules that are joined into one file for hosts without kscope."""

from __future__ import annotations

import pytest

from kscope.generate.one_module import JoinError, joined

ROOT = """\"\"\"The root.\"\"\"
from kscope.a import work
from kscope.b import unused
"""
A = """\"\"\"Works.\"\"\"
import json
import os.path
import re
from collections.abc import Iterable, Mapping
from kscope.b import helped

log = 1
# How much.
MOST = 3

def work(each: Iterable[int]) -> str:
    return json.dumps([helped(MOST), log])

def idle() -> Mapping[str, str]:
    return re.escape("x")
"""
B = """\"\"\"Helps.\"\"\"
log = 1

def helped(n: int) -> int:
    return n + log

def unused() -> None:
    pass
"""


def test_only_what_is_used_is_in_the_file() -> None:
    """With its imports and comments; the modules are in the order of their imports."""
    text = joined({"kscope": ROOT, "kscope.a": A, "kscope.b": B}, "kscope", ["work"])
    assert (
        text
        == """import json
from collections.abc import Iterable


# kscope.b
# Helps.
log = 1

def helped(n: int) -> int:
    return n + log


# kscope.a
# Works.
# How much.
MOST = 3

def work(each: Iterable[int]) -> str:
    return json.dumps([helped(MOST), log])
"""
    )
    namespace: dict[str, object] = {}
    exec(text, namespace)
    assert namespace["work"]([]) == "[4, 1]"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("log = 1", "log = 2", "log is defined in kscope.b and in kscope.a"),
        ("log = 1", "def log() -> None: ...", "log is defined in kscope.b and in kscope.a"),
        ("log = 1", "class log: ...", "log is defined in kscope.b and in kscope.a"),
        ("log = 1", "async def log() -> None: ...", "log is defined in kscope.b and in kscope.a"),
        ("MOST = 3", "int = MOST = 3", "kscope.b means Python's own int, which is replaced"),
        ("import json", "import json as json", "kscope.a:2: json is renamed"),
        ("log = 1", "from math import e as log", "kscope.a:8: e is renamed"),
        ("log = 1", "from math import log", "log is defined in kscope.b and imported elsewhere"),
        ("log = 1", "from kscope.b import gone\nlog = gone", "kscope.a: kscope.b has no gone"),
        ("log = 1", "import kscope.b\nlog = kscope", "kscope.b has no name"),
        ("def idle", "def f():\n    from kscope import b\ndef idle", "kscope is imported inside"),
    ],
)
def test_a_name_with_two_meanings_is_refused(old: str, new: str, told: str) -> None:
    """One file has one namespace; the error says who must rename what."""
    sources = {"kscope": ROOT, "kscope.a": A.replace(old, new), "kscope.b": B}
    with pytest.raises(JoinError, match=told):
        joined(sources, "kscope", ["work"])
