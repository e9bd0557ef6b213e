"""The part that a process has in a server."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kscope.config import Settings
from kscope.server.http.connections import LISTENERS
from kscope.server.http.crowd import Crowd
from kscope.server.http.memory_budget import Budget
from kscope.server.http.metrics import Whole
from kscope.server.http.wrong_tokens import ALLOWED
from kscope.store.write.cardinality import NewTextLimits, NewTexts


def _alone(settings: Settings) -> NewTextLimits:
    return NewTextLimits(
        NewTexts(settings.new_stacks_per_hour), NewTexts(settings.new_strings_per_hour)
    )


@dataclass(frozen=True)
class Part:
    """The things that a process shares with others of its server. By default there are none.

    `keeps_house` is whether it sums and removes rows, `accepts_early` whether it answers before the
    database is open, if only with 503. `share` is its part of the requests. `budget` is made of
    bytes; `whole` adds the metrics of the others.
    """

    keeps_house: bool = True
    accepts_early: bool = True
    wrong_tokens: int = ALLOWED
    share: float = 1.0
    budget: Callable[[int], Budget] = Budget
    new_texts: Callable[[Settings], NewTextLimits] = _alone
    crowds: tuple[Crowd, ...] = field(default_factory=lambda: tuple(Crowd() for _ in LISTENERS))
    whole: Whole | None = None
