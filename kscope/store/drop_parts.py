"""Drop tables and columns from each part of a database: from itself, or from all shards."""

from collections.abc import Collection, Mapping

from kscope.store.drop import Drop, Loss, NothingToDropError, drop, plan_drop
from kscope.store.every_shard import one_by_one
from kscope.store.store import Store


async def plan_drops(
    store: Store, named: str, declared: Mapping[str, Collection[str]]
) -> Mapping[str, Drop]:
    """Return the drop of each part that has the table or column, by the part's name.

    Others have dropped it before, if the command was interrupted. See plan_drop.
    """
    plans: dict[str, Drop] = {}
    unknown: NothingToDropError | None = None
    for name, part in store.parts.items():
        try:
            plans[name] = await plan_drop(part, named, declared)
        except NothingToDropError as error:
            unknown = error
    if unknown is not None and not plans:
        raise unknown
    return plans


async def drop_all(store: Store, plans: Mapping[str, Drop]) -> None:
    """Drop from one part after the other."""
    parts = {name: store.parts[name] for name in plans}
    await one_by_one(parts, lambda name, part: drop(part, plans[name]))


def summed(plans: Mapping[str, Drop]) -> Drop:
    """Return the losses of all parts as one."""
    one = next(iter(plans.values()))
    by_table: dict[str, list[Loss]] = {}
    for plan in plans.values():
        for loss in plan.losses:
            by_table.setdefault(loss.table, []).append(loss)
    return Drop(one.category, one.column, tuple(map(_sum, by_table.values())))


def _sum(losses: Collection[Loss]) -> Loss:
    firsts = [each.first for each in losses if each.first is not None]
    lasts = [each.last for each in losses if each.last is not None]
    (table,) = {each.table for each in losses}
    rows = sum(each.rows for each in losses)
    return Loss(table, rows, min(firsts, default=None), max(lasts, default=None))
