"""One file per engine: the keys that a category can use with it, and the class that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kscope.discovery import discovered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.declare.engines.base import ProbeEngine

ENGINES: Mapping[str, ProbeEngine] = discovered(__name__, __path__, "ENGINES")
