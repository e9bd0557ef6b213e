"""In the guest: run probes on this very process while it acts, and print rows and truth.

usage: python probes.py PROBE=ACTION ...; the actions are those of tests/probes.
"""

from __future__ import annotations

import json
import os
import sys

from actions import ACTIONS

from kscope.agent.engines.base import Target
from kscope.agent.engines.bcc import BccEngine
from kscope.declare.catalog import load_catalog


def main() -> None:
    for pair in sys.argv[1:]:
        probe, _, action = pair.partition("=")
        sys.stdout.write(f"@@ {probe} {json.dumps(_rows_and_truth(probe, action))}\n")
        sys.stdout.flush()


def _rows_and_truth(probe: str, action: str) -> object:
    category = load_catalog().get(probe)
    assert category
    assert category.probe
    options = {option.name: option.default for option in category.probe.options}
    engine = BccEngine(category, options, Target(pid=os.getpid()), keys=2048, stacks=2048)
    getattr(ACTIONS[action], "prepare", lambda: None)()
    engine.start()
    truth = ACTIONS[action]()
    engine.poll(0.1)
    rows = engine.drain().rows
    engine.close()
    return {"rows": rows, "truth": truth}


main()
