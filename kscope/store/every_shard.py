"""Changes of all shards by a command, which says how far it came if it does not reach all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from kscope.store.backends.errors import StoreError
from kscope.store.store import Store

Result = TypeVar("Result")


async def check_all_answer(shards: Mapping[str, Store]) -> None:
    """Raise StoreError that names the shards that do not answer."""
    outcomes = await asyncio.gather(
        *(part.ping() for part in shards.values()), return_exceptions=True
    )
    faults = dict(zip(shards, outcomes, strict=True))
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, StoreError):
            raise outcome
    if missing := [f"{name}: {fault}" for name, fault in faults.items() if fault is not None]:
        listed = "; ".join(missing)
        raise StoreError(
            f"{listed}\nnothing was changed: repeat the command once all shards answer"
        )


async def one_by_one(
    shards: Mapping[str, Store], change: Callable[[str, Store], Awaitable[Result]]
) -> dict[str, Result]:
    """Change one shard after the other. A StoreError says which of them are changed by then."""
    done: dict[str, Result] = {}
    for name, part in shards.items():
        try:
            done[name] = await change(name, part)
        except StoreError as error:
            if not name:
                raise
            left = [each for each in shards if each not in done]
            changed = f"changed: {', '.join(done) or 'none'}; not, or in part: {', '.join(left)}"
            raise StoreError(f"{name}: {error}\n{changed}; repeat the command") from error
    return done
