"""In the guest: run probes on this very process while it acts, and print rows and truth.

usage: python probes.py PROBE=ACTION ...; the actions are those of tests/probes. A probe's name with
`-` behind it is that probe without what it attaches by choice, such as a kprobe.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

import bcc  # noqa: F401 - loaded once, with its compiler, and not in each child
from actions import ACTIONS

from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.bcc import BccEngine
from kscope.agent.host.libbcc import is_compiler
from kscope.agent.stacks import binaries
from kscope.agent.stacks.mappings import executable
from kscope.declare.files.catalog import load_catalog
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from kscope.declare.model import Category

_MOST_RULES = 64 << 20  # bytes


def main() -> None:
    catalog, own = load_catalog(), load_catalog(["/kscope/tied/categories"])
    _read_rules()
    for pair in sys.argv[1:]:
        name, _, action = pair.partition("=")
        category = own.get(name) or catalog.get(name.removesuffix("-"))
        assert category
        if name.endswith("-"):
            assert category.probe
            probe = dataclasses.replace(category.probe, attach=())
            category = dataclasses.replace(category, probe=probe)
        # A separate process, because some actions change it permanently.
        child = os.fork()
        if not child:
            _tell(name, category, action)
            os._exit(0)
        os.waitpid(child, 0)


def _read_rules() -> None:
    """Read the rules of our own files once: each child would, and emulated it takes long."""
    for mapping in executable("self"):
        if is_compiler(mapping.start, mapping.end):
            continue
        if binary := binaries.shared().of(os.getpid(), mapping.start, mapping.end):
            binary.table(_MOST_RULES)


def _tell(name: str, category: Category, action: str) -> None:
    try:
        told = _rows_and_truth(category, action)
    except (KscopeError, OSError) as error:
        told = {"error": str(error)}
    sys.stdout.write(f"@@ {name} {json.dumps(told)}\n")
    sys.stdout.flush()


def _rows_and_truth(category: Category, action: str) -> object:
    engine = BccEngine(category, {"keys": 2048}, TraceFilter(pid=os.getpid()))
    getattr(ACTIONS[action], "prepare", lambda: None)()
    engine.start()
    truth = ACTIONS[action]()
    engine.poll(0.1)
    drained = engine.drain()
    engine.close()
    return {"rows": drained.rows, "truth": truth, "lost": dataclasses.asdict(drained.loss)}


main()
