"""Statements of today's ClickHouse -> those that ClickHouse 18.16 of 2018 takes.

It leaves out what serves speed (codecs, indexes) and what needs other servers (replicas), puts
bound values in their places, and says some types and functions otherwise. A map is a tuple that
holds an array of pairs: both have the same bytes in the format Native.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Call = Callable[[Sequence[str]], str]

# Behind names of an answer's columns, which the asker does not see.
HIDDEN = "_hidden_"
_TEXT = r"'(?:[^'\\]|\\.|'')*'"
_CLUSTER = rf"(?i)\s*\bON\s+CLUSTER\s+(?:{_TEXT}|`\w+`|\w+)"
_PART = re.compile(rf"{_TEXT}|`[^`]*`|[(),\[\]]|[^'`(),\[\]]+", re.DOTALL)
_TABLES = re.compile(r"(?i)(CREATE\s+(?:OR\s+REPLACE\s+)?(?:TABLE|VIEW)|ALTER)\b")
_OF_TABLES = (
    (r",\s*INDEX\s+\S+\s+\S+\s+TYPE\s+[\w()., ]+?\s+GRANULARITY\s+\d+", ""),
    (rf"\s*\bCOMMENT\s+{_TEXT}", ""),
    (r"\bEPHEMERAL\b", "DEFAULT"),
    (r"\s*\bTTL\s.*?(?=\s+SETTINGS\s|\s*\Z)", ""),
    (r"\s*\bSETTINGS\s*\([^)]*\)", ""),
    (r"\s*\bSETTINGS\s.*\Z", ""),
    # Without types that say how rows merge all are kept: questions take the largest value anyway.
    (r"\bENGINE = AggregatingMergeTree\b", "ENGINE = MergeTree"),
    (r"\bCREATE\s+OR\s+REPLACE\b", "CREATE"),
    (r"\b((?:ADD|DROP|MODIFY) COLUMN) IF (?:NOT )?EXISTS\b", r"\1"),
)
_OF_ALL = (
    (
        r"\ADELETE\s+FROM\s+(\S+)\s+(?:IN PARTITION ID \S+\s+)?WHERE\b",
        r"ALTER TABLE \1 DELETE WHERE",
    ),
    (
        r"\bFROM system\.data_skipping_indices\b",
        "FROM (SELECT '' AS table, '' AS name, '' AS database)",
    ),
    (_CLUSTER, ""),
    (r"\ADROP VIEW\b", "DROP TABLE"),
    (r"\A(DROP TABLE .*) SYNC\Z", r"\1"),
    (r"\AEXCHANGE TABLES (\S+) AND (\S+)", r"RENAME TABLE \1 TO swapped, \2 TO \1, swapped TO \2"),
    (r"\bquery_kind = 'Insert' AND current_database = currentDatabase\(\)", "query LIKE 'INSERT%'"),
    # Of rows that are alike each keeps its number: it cannot count them.
    (r"\brow_number\(\) OVER \(PARTITION BY .*? ORDER BY kscope_twin\)", "(kscope_twin + 1)"),
    (r"\b(GLOBAL\s+)?(LEFT|INNER)\s+ANY\s+JOIN\b", r"\1ANY \2 JOIN"),
    # Columns that are computed are missing in a table that is joined.
    (r"\bJOIN\s+(`?kscope_rows_\w+`?)\s+ON\b", r"JOIN (SELECT *, seq FROM \1) AS \1 ON"),
    (r"\btrue\b", "1"),
    (r"\bfalse\b", "0"),
)
# A join of a table of texts: it, its name in the statement, and the column of ids.
_OF_TEXTS = re.compile(
    r"(?i)\s*\b(?:GLOBAL\s+)?(?:INNER|LEFT|ANY|OUTER|\s)*\bJOIN\s+(\S+)\s+AS\s+`?(\w+)`?"
    r"\s+ON\s+`?\2`?\.`?id`?\s*=\s*([\w`.]+)"
)
_DOCUMENT = re.compile(r"(?i)(\bIN\s+)?JSONExtract\(\{(\w+):String\}, 'Array\((.*?)\)'\)")
_BOUND = re.compile(r"(?i)(\bIN\s+)?\{(\w+):((?:[^{}])+)\}")
_UNESCAPED = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0"}


def is_for_all_shards(statement: str) -> bool:
    return re.search(_CLUSTER, statement) is not None


def replaced_view(statement: str) -> str:
    """Return the name of a view that the statement makes in place of an older one."""
    found = re.match(r"(?i)CREATE\s+OR\s+REPLACE\s+VIEW\s+(\S+)", bare(statement))
    return found[1] if found else ""


def bare(statement: str) -> str:
    """Return the statement without the comments before it."""
    return re.sub(r"\A(?:\s+|--[^\n]*\n)+", "", statement).rstrip("; \n")


def old(
    statement: str, asked: Mapping[str, str], bound: Mapping[str, str], merged: Sequence[str] = ()
) -> str:
    """Return the statement for the old server.

    `asked` are the settings of today, `bound` the values of parameters. `merged` are tables whose
    rows with one key count once, if a setting asks for that.
    """
    statement = _without_texts(bare(statement))
    if asked.get("final") == "1" and merged:
        named = "|".join(merged)
        from_merged = (
            rf"(?i)\b(?:FROM|JOIN)\s+(?:\w+\.)?`?(?:{named})`?(?:\s+AS\s+`?\w+`?)?(?=\W|\Z)"
        )
        statement = re.sub(from_merged, r"\g<0> FINAL", statement)
    changes = (*_OF_TABLES, *_OF_ALL) if _TABLES.match(statement) else _OF_ALL
    for pattern, other in changes:
        statement = re.sub(pattern, other, statement, flags=re.IGNORECASE | re.DOTALL)
    calls = _CALLS | (_NULLS if asked.get("aggregate_functions_null_for_empty") == "1" else {})
    statement = _DOCUMENT.sub(lambda found: _document(found, bound), statement)
    statement = _BOUND.sub(lambda found: _value(found, bound), statement)
    return _with_calls(statement, calls)


def _without_texts(statement: str) -> str:
    """Look texts up without joins, if there are several: the old server knows one."""
    joins = list(_OF_TEXTS.finditer(statement))
    if len(joins) < 2:
        return statement
    statement = _OF_TEXTS.sub("", statement)
    if not _TABLES.match(statement):
        # A name of the answer hides the column of that name: the old server cannot prefer it.
        shown, from_, rest = statement.partition("FROM ")
        statement = re.sub(r"\bAS `(\w+)`", rf"AS `\1{HIDDEN}`", shown) + from_ + rest
    for join in joins:
        table, alias, id_ = join[1], join[2], join[3]

        def looked_up(found: re.Match[str], table: str = table, id_: str = id_) -> str:
            ordered = f"FROM (SELECT id, {found[1]} FROM {table} ORDER BY id, {found[1]})"
            # The lists must not be empty.
            ids = f"arrayPushBack((SELECT groupArray(id) {ordered}), toInt64(0))"
            texts = f"arrayPushBack((SELECT groupArray({found[1]}) {ordered}), '')"
            return f"transform({id_}, {ids}, {texts}, '')"

        statement = re.sub(rf"`?\b{alias}\b`?\.`?(\w+)\b`?", looked_up, statement)
    return statement


def _with_calls(text: str, calls: Mapping[str, Call]) -> str:
    """Write each call otherwise that the old server does not know, those inside first."""
    done, at = "", 0
    for found in re.finditer(rf"(?is){_TEXT}|\b({'|'.join(calls)})\(", text):
        if found.start() < at or not found[1]:
            continue
        arguments, end = _arguments(text, found.end())
        done += text[at : found.start()]
        done += calls[found[1].lower()]([_with_calls(each, calls) for each in arguments])
        at = end
    return done + text[at:]


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """Return the arguments of a call whose bracket opens before `start`, and where it ends."""
    found, depth = [""], 0
    for part in _PART.finditer(text, start):
        if part[0] == ")" and not depth:
            return [each.strip() for each in found], part.end()
        if part[0] == "," and not depth:
            found.append("")
            continue
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(part[0], 0)
        found[-1] += part[0]
    raise ValueError(f"a bracket is open in {text}")


def _keys(of: str) -> str:
    return f"arrayMap(p -> tupleElement(p, 1), tupleElement({of}, 1))"


def _values(of: str) -> str:
    return f"arrayMap(p -> tupleElement(p, 2), tupleElement({of}, 1))"


def _sum_map(arguments: Sequence[str]) -> str:
    if len(arguments) == 2:
        return f"sumMap({', '.join(arguments)})"
    summed = f"sumMap({_keys(arguments[0])}, {_values(arguments[0])})"
    pairs = f"tupleElement({summed}, 1), tupleElement({summed}, 2)"
    return f"tuple(arrayMap((k, v) -> tuple(k, v), {pairs}))"


def _null_if_empty(name: str) -> Call:
    return lambda of: f"if(count() = 0, NULL, {name}({', '.join(of)}))"


def _replicated(kind: str) -> Call:
    """An engine's first two arguments are its path and its name among the replicas."""
    return lambda arguments: f"{kind}({', '.join(arguments[2:])})"


# The arguments of a call -> what the old server is asked in its place.
_CALLS: dict[str, Call] = {
    "codec": lambda _: "",
    "fromunixtimestamp64micro": lambda of: f"toDateTime(intDiv({of[0]}, 1000000), 'UTC')",
    "map": lambda of: f"Tuple(Array(Tuple({', '.join(of)})))",
    "mapcontains": lambda of: f"has({_keys(of[0])}, {of[1]})",
    "mapkeys": lambda of: _keys(of[0]),
    "mapvalues": lambda of: _values(of[0]),
    "now64": lambda _: "now()",
    "simpleaggregatefunction": lambda of: of[1],
    "summap": _sum_map,
    "throwif": lambda of: f"throwIf({of[0]})",
    "toint128": lambda of: f"toInt64({of[0]})",
    # Keys are compared as they are stored.
    "unhex": lambda of: f"toFixedString(unhex({of[0]}), 16)",
    "tounixtimestamp64micro": lambda of: f"(toInt64(toUInt32({of[0]})) * 1000000)",
    "version": lambda _: "'25.8.1.1'",
    **{
        f"replicated{kind.lower()}": _replicated(kind)
        for kind in ("MergeTree", "ReplacingMergeTree", "AggregatingMergeTree")
    },
}
# Of no rows, an aggregate is NULL in standard SQL.
_NULLS = {name: _null_if_empty(name) for name in ("max", "min", "sum", "avg")}


def _document(found: re.Match[str], bound: Mapping[str, str]) -> str:
    values = json.loads(_unescaped(bound[found[2]]))
    texts = [_pair(value) if isinstance(value, list) else _literal(value) for value in values]
    if found[1]:  # IN knows no arrays
        return f"{found[1]}({', '.join(texts) or 'NULL'})"
    # A list's type is that of its values, which an empty one does not have.
    return f"[{', '.join(texts)}]" if texts else f"CAST([] AS Array({found[3]}))"


def _pair(values: Sequence[int]) -> str:
    """Return whole numbers as they are joined with columns, whose type a join needs."""
    return f"({', '.join(f'toInt64({value})' for value in values)})"


def _value(found: re.Match[str], bound: Mapping[str, str]) -> str:
    before, kind, text = found[1] or "", found[3], bound[found[2]]
    if kind.startswith("Array"):
        if before:
            return before + (f"({text[1:-1]})" if text.strip("[] ") else "(NULL)")
        return text
    if re.match(r"(Nullable\()?(U?Int|Float|Decimal)", kind):
        return before + text
    return before + _literal(_unescaped(text))


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def _unescaped(text: str) -> str:
    """Read a value as the server reads one of an address: as in tab-separated text."""
    return re.sub(r"\\(.)", lambda found: _UNESCAPED.get(found[1], found[1]), text, flags=re.DOTALL)
