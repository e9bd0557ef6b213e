"""The data types of a server: all in short, or one with its columns, filters and presets."""

from collections.abc import Iterator, Sequence

from kscope.assistant.texts.cells import Part, Text, cell, table
from kscope.declare.types.base import Role
from kscope.query.answers.categories import Categories, CategoryAnswer

_MEASURED = (Role.VALUE, Role.HISTOGRAM)
_MOST_NAMES = 6
_LONGEST = 160


def all_types(answer: Categories) -> Text:
    """Return a line for each data type."""
    facts = [f"data types: {len(answer.categories)}"]
    facts += [cell(each.message) for each in answer.leftovers]
    facts.append("`categories` with a `table` lists the columns, units and filters of one")
    title = "Data types; those with stacks have flame graphs:"
    return Text(facts, [Part(title, _types(answer.categories), "ask about one `table`")])


def _types(found: Sequence[CategoryAnswer]) -> Iterator[str]:
    heads = ("table", "name", "stacks", "values", "description")
    rows = (
        (
            each.table,
            each.prettyname,
            any(column.role is Role.STACK for column in each.columns),
            _listed([c.name for c in each.columns if c.role in _MEASURED]),
            _first(each.description),
        )
        for each in found
    )
    return table(heads, rows)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _first(text: str) -> str:
    """Return the first sentence of a description."""
    first = " ".join(text.split()).partition(". ")[0]
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]}…"


def one_type(found: CategoryAnswer) -> Text:
    """Return everything that a question about the data type may name."""
    kept = "permanently" if found.retention is None else f"for {found.retention / 86400:.4g} days"
    facts = [cell(f"{found.prettyname}: {found.description}"), f"rows are kept {kept}"]
    if found.union:
        facts.append(f"shows the rows of: {', '.join(found.union)}")
    parts = [
        Part("Columns; a filter is `column=value` or `column__operator=value`:", _columns(found)),
        Part(
            "Charts, which choose the value and the groups if a question does not:", _charts(found)
        ),
    ]
    if found.presets:
        rows = ((each.name, each.help, each.default) for each in found.presets)
        presets = table(("preset", "hides", "the page applies it"), rows)
        parts.append(Part("Presets; a question leaves out only what its `preset` names:", presets))
    return Text(facts, parts)


def _columns(found: CategoryAnswer) -> Iterator[str]:
    heads = ("column", "type", "role", "unit", "operators", "values", "help")
    rows = (
        (
            each.name,
            each.type,
            str(each.role.value),
            each.unit,
            " ".join(each.operators),
            ", ".join(each.words) or f"such as {each.example}",
            each.help or each.prettyname,
        )
        for each in found.columns
    )
    return table(heads, rows)


def _charts(found: CategoryAnswer) -> Iterator[str]:
    heads = ("chart", "title", "value", "stack", "by", "aggregate", "unit")
    rows = (
        (
            each.kind,
            each.title,
            *(each_text(e) for e in (each.value, each.stack, each.by, each.aggregate)),
            each.unit,
        )
        for each in found.charts
    )
    return table(heads, rows)


def each_text(value: object) -> str:
    """Return a chart's entry, empty if it has none."""
    return value if isinstance(value, str) else ""
