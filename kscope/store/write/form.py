"""The form in which an attempt stores a batch: what its rows have that the body does not say.

A sender that comes again brings the same body, at another time and to a server with other limits.
The rows of the first attempt are found if the batch is brought into the form that they have.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kscope.store.write.batch import FORM, Batch
from kscope.store.write.cardinality import OVER, without_texts
from kscope.store.write.transaction import answer_of


@dataclass(frozen=True, slots=True, order=True)
class Form:
    """`arrived` and `over` of a batch."""

    arrived: int = 0
    over: tuple[tuple[str, str], ...] = ()


def form_of(batch: Batch) -> Form:
    return Form(batch.arrived, tuple(sorted(batch.over.items())))


def in_form(batch: Batch, form: Form) -> Batch:
    """Return the batch as a body brings it, with its rows as an attempt of this form has them."""
    if form.arrived and batch.arrived:
        tables = []
        for rows in batch.tables:
            times = [form.arrived if time == batch.arrived else time for time in rows.columns[0]]
            tables.append(replace(rows, columns=[times, *rows.columns[1:]]))
        batch = replace(batch, tables=tables, arrived=form.arrived)
    over = dict(form.over)
    for kind in OVER:
        if kind.table in over:
            batch = without_texts(batch, kind, over[kind.table])
    return batch


def begun_answer(batch: Batch) -> str:
    """Return what is noted with the key of a batch that is begun."""
    form = form_of(batch)
    return answer_of(batch, {} if form == Form() else {FORM: [form.arrived, form.over]})


def forms_of(answers: Iterable[str]) -> list[Form]:
    """Return the forms of attempts, each once, by the answers that are noted with them."""
    noted = (json.loads(answer).get(FORM, (0, ())) for answer in answers)
    return sorted({Form(arrived, tuple(map(tuple, over))) for arrived, over in noted})
