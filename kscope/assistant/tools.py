"""The tools: one for each question of the read API, with the question's own parameters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from kscope.query.across.question import PRESETS, QuestionOfAll
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.markers import PARAMETERS as OF_MARKERS
from kscope.query.answers.question import Question
from kscope.query.parse.parameters import ANY, BASE, FROM, PRESET, REST, TO, Parameter
from kscope.query.questions import OF_ALL, QUESTIONS

# Rows, groups, findings or steps that a tool asks for at most.
MOST = 500
FORMAT = "format"
TABLE = Parameter("table", "the data type, such as `offcputime`; `categories` lists all")
FILTERS = Parameter(
    "filters",
    "conditions on columns that must all hold: `column=value` or `column__operator=value`,"
    " such as `process=mysqld` or `elapsed__gte=5ms`; `categories` lists columns and operators",
    many=True,
)
LINES = Parameter("lines", "how many lines of the tree at most", "60", least=1, most=MOST)
# An assistant reads them all, a page draws them: it has room for fewer.
_DEFAULTS = {"limit": "20", "points": "24"}
_AS_TEXT = {
    "flamegraph": " Here: its heaviest paths as an indented tree.",
    "compare": " Here: both totals, and the frames that differ most.",
}
_OF_TOOL = {"compare": {"n": "15"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`question` is None for the tools `categories` and `markers`, which are no questions of a
    table. `needed` are the parameters that a call must have.
    """

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    needed: tuple[str, ...] = ()
    question: Question | QuestionOfAll | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a call's arguments."""
        return {
            "type": "object",
            "properties": {each.name: _schema(each) for each in self.parameters},
            "required": list(self.needed),
            "additionalProperties": False,
        }

    def parameter(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name == name), None)


def _schema(parameter: Parameter) -> dict[str, Any]:
    told = {"description": parameter.help}
    text: dict[str, Any] = {"type": "string"}
    if parameter.many:
        return told | {"type": "array", "items": text}
    if parameter.least is not None:
        bounds = {"minimum": parameter.least, "maximum": parameter.most}
        return told | {"type": "integer", **bounds, "default": int(parameter.default)}
    if parameter.choices:
        text["enum"] = list(parameter.choices)
    return told | text | ({"default": parameter.default} if parameter.default else {})


def _bounded(tool: str, parameter: Parameter) -> Parameter:
    """Return the parameter with the most and the default that suit an assistant."""
    if parameter.most is None:
        return parameter
    usual = _OF_TOOL.get(tool, {}).get(parameter.name) or _DEFAULTS.get(parameter.name)
    most = min(parameter.most, MOST)
    return replace(parameter, most=most, default=usual or parameter.default)


def _based() -> Iterator[Parameter]:
    """Yield the parameters of a comparison's base."""
    for each in (FROM, TO, PRESET, ANY, REST):
        yield replace(each, name=f"{BASE}{each.name}", help=f"of the base: {each.help}", default="")


def _of_table(question: Question) -> Tool:
    own = [_bounded(question.name, each) for each in question.parameters if each.name != FORMAT]
    based = [*_based()] if question.compares else []
    lines = [LINES] if question.answer is Flamegraph else []
    filters = FILTERS
    if question.compares:
        text = f"{FILTERS.help}; `{BASE}column=value` filters the base"
        filters = replace(FILTERS, help=text)
    return Tool(
        name=question.name,
        help=question.help + _AS_TEXT.get(question.name, ""),
        parameters=(TABLE, FROM, TO, filters, PRESET, *own, *based, *lines),
        needed=(TABLE.name, *question.in_path),
        question=question,
    )


def _of_all(question: QuestionOfAll) -> Tool:
    own = [_bounded(question.name, each) for each in question.parameters]
    return Tool(
        name=question.name,
        help=question.help,
        parameters=(FROM, TO, FILTERS, PRESETS, *own),
        question=question,
    )


CATEGORIES = Tool(
    name="categories",
    help="The data types of the server; of one, its columns with units and filters.",
    parameters=(replace(TABLE, help="one data type, to see its columns; default: all in short"),),
)
MARKERS = Tool(
    name="markers",
    help="Markers of a range: moments at which something was done to a host, or to all hosts.",
    parameters=(FROM, TO, FILTERS, *(_bounded("markers", each) for each in OF_MARKERS)),
)
_ALL = (CATEGORIES, *map(_of_all, OF_ALL.values()), *map(_of_table, QUESTIONS.values()), MARKERS)
TOOLS: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in _ALL})
