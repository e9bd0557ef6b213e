"""The last page of a journal, on an engine without transactions: it may be stored in part.

The page is sent again as its memo describes it, under its key: the engine stores the rest, or
nothing if all is there.
"""

from typing import Any

from kscope.store.copy.memo import contents_of
from kscope.store.copy.tables import TableCopy
from kscope.store.copy.target import write
from kscope.store.store import Store
from kscope.store.write.batch import Batch


async def finish_last(copy: TableCopy, target: Store, bucket: int) -> None:
    """Send the last page of a level again, if the engine may have stored it in part."""
    journal = copy.journals[bucket]
    if target.backend.transactional or not journal.pages:
        return
    number = len(journal.pages) - 1
    memo = (await journal.memos([number]))[number]
    rows = await _rows(copy, bucket, memo)
    if not rows:
        return
    category = target.schema.categories[copy.table].category
    columns = dict(zip(copy.names(bucket), zip(*rows, strict=True), strict=True))
    named, stacks = await copy.source.named(category, columns, bucket)
    await write(target, Batch(journal.key(number), [named], stacks, memo))


async def _rows(copy: TableCopy, bucket: int, memo: str) -> list[tuple[Any, ...]]:
    journal = copy.journals[bucket]
    page, contents = journal.pages[-1], contents_of(memo)
    span = page.first, page.last + 1
    found = []
    async for time, seq, row in copy.source.rows(copy.table_of(bucket), copy.names(bucket), span):
        place = copy.source.place(time, seq, row)
        if (bucket == 0 or seq >= 0) and contents.places[place] > 0:
            contents.places[place] -= 1
            found.append(row)
    earlier = journal.reading(before=page.number)
    for group, sums in sorted(contents.late.items(), key=lambda each: each[0][0]):
        await earlier.go_to(group[0])
        if (grown := copy.differences.since(earlier.late(group), sums)) is not None:
            found.append(grown)
    return sorted(found, key=lambda row: row[0])
