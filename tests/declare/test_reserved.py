from sqlalchemy.dialects.mysql import reserved_words
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

from kscope.declare.files import reserved


def test_every_word_that_a_dialect_would_quote_is_reserved() -> None:
    """Our list, which the agent can read without SQLAlchemy, has every word of SQLAlchemy's."""
    known = (
        reserved_words.RESERVED_WORDS_MYSQL
        | reserved_words.RESERVED_WORDS_MARIADB
        | SQLiteIdentifierPreparer.reserved_words
    )
    assert known - reserved.SQL == set()


def test_the_names_of_the_built_in_types_stay_usable() -> None:
    """Words that categories are likely to use are not refused."""
    for name in ("process", "pid", "reason", "stack", "elapsed", "count", "state", "latency"):
        assert not reserved.column_problem(name)
