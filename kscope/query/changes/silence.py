"""Hosts that were silent in the window, or are heard for the first time: one line each."""

from collections.abc import Iterable

from kscope.query.changes.finding import Finding
from kscope.query.changes.presence import HEARD, Presence

# As sure as anything can be, and all of the host.
_RANK = 10.0


def silences(presences: Iterable[Presence]) -> list[Finding]:
    """Return a finding for each host that was silent; its sums are parts of windows."""
    found = []
    for each in presences:
        if not each.new and each.heard < HEARD:
            found.append(_finding(each, new=False))
        elif each.new and each.heard > 0:
            found.append(_finding(each, new=True))
    return found


def _finding(presence: Presence, *, new: bool) -> Finding:
    usually = 0.0 if new else 1.0
    return Finding(
        table="",
        column="",
        kind="silent",
        change="new" if new else "gone" if presence.heard == 0 else "less",
        by="",
        hosts=(presence.host,),
        process=None,
        name=None,
        before=usually,
        now=presence.heard,
        low=usually,
        high=usually,
        factor=None,
        z=_RANK if new else -_RANK,
        part=1.0,
        lasting=1.0,
        unusual=not presence.before or new,
        rank=_RANK * abs(usually - presence.heard) ** 0.5,
        note="so before" if presence.before and not new else "",
    )
