"""The amount that presets hide from an answer: what is left out is always told."""

from dataclasses import replace

from kscope.query.parse.columns import Value
from kscope.query.scan.aggregates import adds
from kscope.query.scan.measures import ROWS, total_of
from kscope.query.scan.parallel import together
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Hidden, Scan, columns


async def note_hidden(scan: Scan, value: Value, aggregate: str = "sum") -> None:
    """Note in the scan what each preset of its question hides, in the order of the presets.

    Rows that several of them hide count for the first.
    """
    measures = [ROWS, *([total_of(value)] if adds(aggregate) else [])]
    found = await together(
        *(
            summed(replace(scan, where=where, replayed_hosts=()), columns(), measures)
            for _, where in scan.hides
        )
    )
    for (name, _), groups in zip(scan.hides, found, strict=True):
        rows, *value_sum = groups.get((), [0] * len(measures))
        scan.hidden.append(Hidden(name, (value_sum[0] or 0) if value_sum else None, rows or 0))
