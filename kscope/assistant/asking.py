"""One call of a tool: the question is asked, and its answer written."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kscope.assistant.answer import written
from kscope.assistant.arguments import Call
from kscope.assistant.links import link
from kscope.assistant.source import SECONDS, Source, received
from kscope.assistant.texts import declared, fleet, profiles, tables
from kscope.assistant.texts.cells import Part, Text, as_json, cell, line, name, span
from kscope.assistant.tools import CATEGORIES
from kscope.declare.model import HOSTNAME
from kscope.errors import KscopeError
from kscope.query.across.changes_answer import Changes
from kscope.query.across.overview_answer import Overview
from kscope.query.across.question import QuestionOfAll
from kscope.query.answers.categories import Categories
from kscope.query.answers.compare import Comparison
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.heatmap import Heatmap
from kscope.query.answers.histogram import Histogram
from kscope.query.answers.hosts import Hosts
from kscope.query.answers.markers import Markers
from kscope.query.answers.question import JsonAnswer, Question
from kscope.query.answers.rows import Rows
from kscope.query.answers.timeseries import Timeseries
from kscope.query.answers.top import Top
from kscope.query.answers.values import Values
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.parameters import BASE
from kscope.query.parse.timerange import TimeRange, iso
from kscope.query.questions import QUESTIONS

_WRITERS: dict[type, Callable[[Any], Text]] = {
    Comparison: profiles.comparison,
    Timeseries: tables.timeseries,
    Heatmap: tables.heatmap,
    Histogram: tables.histogram,
    Hosts: tables.hosts,
    Top: tables.top,
}
_MOST_HOSTS = 10
_NO_ROWS = (
    "no rows pass: ask for a longer range (from=now-1d), or see `overview` for the newest rows"
)


def answered(source: Source, call: Call) -> str:
    """Return the text of the answer. Raise KscopeError with the API's message."""
    return _Asking(source, call).text()


class _Asking:
    def __init__(self, source: Source, call: Call) -> None:
        self._source = source
        self._call = call
        self._until = time.monotonic() + SECONDS

    def text(self) -> str:
        call, question = self._call, self._call.tool.question
        if isinstance(question, Question):
            return self._of_table(question)
        if isinstance(question, QuestionOfAll):
            return self._of_all(question)
        return self._categories() if call.tool is CATEGORIES else self._markers()

    def _received(self, ask: Callable[..., None], kind: type[Any]) -> Any:
        return received(ask, kind, self._until)

    def _of_table(self, question: Question) -> str:
        call = self._call
        ask = partial(self._source.ask, question, call.table, call.request)
        answer = self._received(ask, question.answer)
        text = self._written(answer)
        meta = getattr(answer, "meta", None)
        facts, parts, address = _notices(answer), [*text.parts], ""
        if meta is None:
            facts = [*self._asked(), *facts]
        else:
            covered = TimeRange(meta.start, meta.end)
            base = getattr(answer, "base_meta", None)
            other = TimeRange(base.start, base.end) if base else None
            address = link(self._source.page, call, covered, other)
            read = f"rows in the answer: {meta.rows:,}, read from: {meta.source}"
            asked = self._asked(without=("from", "to"))
            facts = [f"range: {span(meta.start, meta.end)}", read, *asked, *facts]
            if not meta.rows:
                facts.append(_NO_ROWS)
            elif not self._names_hosts(answer):
                # First, so that they have room.
                parts = [self._hosts(covered), *parts]
        heading = f"{question.name} of {call.table}"
        return written(heading, Text([*facts, *text.facts], parts), address)

    def _names_hosts(self, answer: JsonAnswer) -> bool:
        return isinstance(answer, Rows | Hosts) or self._call.given.get("column") == HOSTNAME.name

    def _written(self, answer: JsonAnswer) -> Text:
        match answer:
            case Flamegraph():
                return profiles.flamegraph(answer, self._call.lines)
            case Rows():
                return tables.rows(answer, self._units())
        return _WRITERS.get(type(answer), tables.any_table)(answer)

    def _units(self) -> dict[str, str]:
        """Return the unit of each column of the data type."""
        found = self._received(self._source.categories, Categories).categories
        columns = (each.columns for each in found if each.table == self._call.table)
        return {column.name: column.unit for each in columns for column in each}

    def _hosts(self, covered: TimeRange) -> Part:
        """Return the hosts whose rows are in the answer, those with the most rows first."""
        values = QUESTIONS["values"]
        chosen = [each for each in self._call.filters if not each[0].startswith(BASE)]
        chosen += [each for each in self._call.request if each[0] == "preset"]
        ends = [("from", iso(covered.start)), ("to", iso(covered.end))]
        asked = [("column", HOSTNAME.name), ("n", str(_MOST_HOSTS)), *ends, *chosen]
        try:
            ask = partial(self._source.ask, values, self._call.table, asked)
            found: Values = self._received(ask, Values)
        except KscopeError as error:
            return Part(f"The hosts were not read: {cell(str(error))}", ())
        listed = [f"{name(each.value)} ({each.rows:,} rows)" for each in found.values]
        more = ["and more"] if found.more else []
        return Part("Hosts with rows in the range:", [line(", ".join([*listed, *more]))])

    def _of_all(self, question: QuestionOfAll) -> str:
        call, page = self._call, self._source.page
        ask = partial(self._source.ask_of_all, question, call.request)
        answer = self._received(ask, question.answer)
        match answer:
            case Changes():
                text = fleet.changes(answer, page)
            case Overview():
                text = fleet.overview(answer)
            case _:
                text = Text([], [Part("", as_json(answer))])
        return self._over(answer, text)

    def _markers(self) -> str:
        ask = partial(self._source.markers, self._call.request)
        answer = self._received(ask, Markers)
        return self._over(answer, fleet.markers(answer))

    def _over(self, answer: Any, text: Text) -> str:
        """Write an answer about all data types in a range."""
        asked = self._asked(without=("from", "to"))
        facts = [f"range: {span(answer.start, answer.end)}", *asked, *_notices(answer)]
        address = link(self._source.page, self._call, TimeRange(answer.start, answer.end))
        return written(self._call.tool.name, Text([*facts, *text.facts], text.parts), address)

    def _categories(self) -> str:
        found = self._received(self._source.categories, Categories)
        table = self._call.table
        if not table:
            return written("categories", declared.all_types(found))
        known = {each.table: each for each in found.categories}
        if table not in known:
            raise complain("table", one_of("table", table, known))
        return written(f"categories: {table}", declared.one_type(known[table]))

    def _asked(self, without: Sequence[str] = ()) -> list[str]:
        """Return the request as a fact; none if it has no parameters but those."""
        pairs = [f"{n}={cell(text)}" for n, text in self._call.request if n not in without]
        return [f"asked: {', '.join(pairs)}"] if pairs else []


def _notices(answer: Any) -> list[str]:
    told = [f"{each.level}: {cell(each.text)}" for each in getattr(answer, "notices", ())]
    hidden = getattr(getattr(answer, "meta", None), "hidden", ())
    told += [f"the preset {each.preset} hides {each.rows:,} rows" for each in hidden if each.rows]
    return told
