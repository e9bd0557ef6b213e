"""The questions that can be asked: one row each, read by the routes and the CLI.

A module of `answers/` with a tuple QUESTIONS is a question about a category, of the API and of
`kscope query`; one of `across/` is a question about all of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from kscope.discovery import discovered
from kscope.query import across, answers
from kscope.query.across.question import QuestionOfAll
from kscope.query.answers.question import Question
from kscope.query.export import COMPARISONS, STACKS, TABLES
from kscope.query.parse.parameters import Parameter


def _with_format(question: Question) -> Question:
    compared = COMPARISONS if question.compares else {}
    tables = (name for name, each in TABLES.items() if question.pieces or each.most is None)
    choices = ("json", *(STACKS if question.stacks else tables), *compared)
    form = Parameter("format", "of the answer", "json", choices=choices)
    return replace(question, parameters=(*question.parameters, form))


_FOUND: Mapping[str, Question] = discovered(answers.__name__, answers.__path__, "QUESTIONS")
QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {name: _with_format(question) for name, question in _FOUND.items()}
)
OF_ALL: Mapping[str, QuestionOfAll] = discovered(across.__name__, across.__path__, "QUESTIONS")
