"""An engine whose probes repeat the words of their script: the whole of an engine.

Copied to kscope/declare/engines/, it is one. A larger class is in kscope/agent/engines/.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.interval import Drained
from kscope.declare.engines.base import KEYS, ProbeEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.agent.engines.base import TraceFilter
    from kscope.declare.model import Category

ENGINES = (
    ProbeEngine(
        name="words",
        implementation="kscope.declare.engines.words:WordsEngine",
        source="script",
        options=(KEYS,),
    ),
)


class WordsEngine:
    def __init__(
        self, category: Category, options: Mapping[str, Any], trace_filter: TraceFilter
    ) -> None:
        assert category.probe
        self._words = category.probe.script.split()[: options["keys"]]
        self._pid = trace_filter.pid

    def start(self) -> None:
        pass

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)

    def full(self) -> bool:
        return False

    def drain(self) -> Drained:
        return Drained([{"pid": self._pid, "word": word} for word in self._words])

    def cost(self) -> Cost:
        return Cost()

    def raise_threshold(self, by: int) -> bool:
        del by
        return False

    def close(self) -> None:
        pass
