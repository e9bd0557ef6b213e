"""Frames that agents could not name get their names when they are read, whatever the question."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.errors import KscopeError
from kscope.query.scan import heaviest, same_stacks
from kscope.query.scan import largest as series_of_largest
from kscope.store.symbols.packing import MAX_FUNCTIONS, names, packed
from kscope.store.symbols.table import NoRoomError, SymbolTable
from tests.databases import changing
from tests.query.world import NOON, waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
OLD, NEW, OTHER = "aa" * 20, "bb" * 20, "cc" * 20
OLD_LIBX = [(0x1000, 0x100, "wait_for"), (0x1100, 0x80, "drop;all"), (0x1200, 0, "entry")]
NEW_LIBX = [(0x2000, 0x100, "wait_for")]
# Stored -> shown with the names of OLD_LIBX and NEW_LIBX.
STACKS = {
    f"main;libx.so+0x1000@{OLD};poll": "main;wait_for [libx.so];poll",
    f"main;libx.so+0x1040@{OLD};poll": "main;wait_for [libx.so];poll",
    f"main;libx.so+0x2010@{NEW};poll": "main;wait_for [libx.so];poll",
    "main;wait_for [libx.so];poll": "main;wait_for [libx.so];poll",
    f"libx.so+0x1100@{OLD}": "drop:all [libx.so]",
    f"main;libx.so+0x1200@{OLD};libx.so+0x1201@{OLD}": "main;entry [libx.so];libx.so+0x1201",
    f"main;libz.so+0x1000@{OTHER};libx.so+0x999@{NEW}": "main;libz.so+0x1000;libx.so+0x999",
    f"main;libx.so+0x1000@{OLD[:-1]};a+0x1@b": f"main;libx.so+0x1000@{OLD[:-1]};a+0x1@b",
    "main;libz.so+0x1000": "main;libz.so+0x1000",
    f"a [y];libx.so+0x1010@{OLD}": "a [y];wait_for [libx.so]",
    "": "",
}


def rows() -> list[dict[str, Any]]:
    """One row for each stack, a second apart; row i took 2**i us, on hosts that alternate."""
    return [
        waits()[0]
        | {"stack": stack, "elapsed": 2**i, "count": 1, "time": NOON + i * 1_000_000}
        | {"hostname": f"web-{i % 2}"}
        for i, stack in enumerate(STACKS)
    ]


def table(world: World, most: int = 1 << 30) -> SymbolTable:
    return SymbolTable(world.store.backend, world.store.schema, most)


def add(world: World, build: str, functions: Any, **more: Any) -> None:
    world.run(table(world).add(packed(build, "libx.so", functions), **more))


def shown(world: World, **query: str) -> list[str]:
    answer = world.get("/api/v1/rows/offcputime", params=DAY | {"order": "time"} | query)
    assert answer.status_code == 200, answer.text
    at = answer.json()["columns"].index("stack")
    return [row[at] for row in answer.json()["rows"]]


def ask(world: World, question: str, **query: str) -> Any:
    answer = world.get(f"/api/v1/{question}/offcputime", params=DAY | {"by": ""} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored_before_named(world: World) -> World:
    """Store rows before the table has the names of their frames."""
    world.insert("offcputime", rows())
    before = [re.sub(r"@([0-9a-f]{40})(?=;|$)", "", stack) for stack in STACKS]
    assert shown(world) == before
    add(world, OLD, OLD_LIBX)
    add(world, NEW, NEW_LIBX)
    return world


@pytest.fixture(scope="module")
def named(module_world: World) -> World:
    return stored_before_named(module_world)


@pytest.fixture
def changing_world(engine_world: World) -> World:
    return stored_before_named(engine_world)


def sums() -> dict[str, int]:
    """Return the sum of each stack as it is shown."""
    found: dict[str, int] = {}
    for i, text in enumerate(STACKS.values()):
        found[text] = found.get(text, 0) + 2**i
    return found


def test_rows_and_trees_have_the_names(named: World) -> None:
    """Rows of last week have them too; equal frames are one node."""
    assert shown(named) == [*STACKS.values()]
    paths = paths_of(ask(named, "flamegraph"))
    assert paths["all", "main", "wait_for [libx.so]", "poll"] == 0b1111
    for form in ("csv", "ndjson"):
        text = named.get("/api/v1/rows/offcputime", params=DAY | {"format": form}).text
        assert text.count("main;wait_for [libx.so];poll") == 4
    query = DAY | {"format": "folded", "by": ""}
    folded = named.get("/api/v1/flamegraph/offcputime", params=query).text
    assert "main;wait_for [libx.so];poll 15\n" in folded
    assert not any(build in folded for build in (OLD, NEW, OTHER))


def test_groups_are_summed_by_their_names(named: World) -> None:
    """Stacks that are shown alike are one group of every aggregate."""
    top = ask(named, "top", by="stack")
    assert {each["key"][0]: each["value"] for each in top["entries"]} == sums()
    assert (top["groups"], top["total"]) == (len(sums()), sum(sums().values()))
    ordered = [each["value"] for each in top["entries"]]
    assert ordered == sorted(ordered, reverse=True)
    for aggregate in ("count", "avg", "p50", "last"):
        entries = ask(named, "top", by="stack", aggregate=aggregate)["entries"]
        assert sorted(each["key"][0] for each in entries) == sorted(sums()), aggregate


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-22"])
def test_many_groups_are_ranked_by_their_names(
    changing_world: World, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there are too many to read them all at once.

    Stacks without names that are not among the groups let the database rank them.
    """
    before = [
        row | {"stack": f"plain{i}", "time": row["time"] - 86_400_000_000}
        for i, row in enumerate(rows())
    ]
    changing_world.insert("offcputime", before)
    for module in (heaviest, same_stacks):
        monkeypatch.setattr(module, "RANKED_HERE", 3)
    plain = {row["stack"]: row["elapsed"] for row in before}
    true = sums() if day == DAY["from"] else plain
    top = ask(changing_world, "top", by="stack", n="2", **{"from": day, "to": f"{day}T23:59:59Z"})
    largest = sorted(true.items(), key=lambda each: -each[1])[:2]
    assert [(each["key"][0], each["value"]) for each in top["entries"]] == largest
    assert (top["groups"], top["total"]) == (len(true), sum(true.values()))


def test_stacks_with_names_are_looked_at_once(client: World) -> None:
    """A ranking of the same stacks then reads no text but those that it shows."""
    client.insert("offcputime", [waits()[0] | {"stack": f"plain{i}"} for i in range(9)])
    assert len(ask(client, "top", by="stack", n="2")["entries"]) == 2
    assert len(client.store.reader.names.plain) >= 9
    assert len(client.store.reader.stacks) <= 2


@pytest.mark.parametrize("most", [50_000, 1])
def test_series_are_summed_by_their_names(
    named: World, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many groups there are."""
    monkeypatch.setattr(series_of_largest, "_MOST_GROUPS", most)
    series = ask(named, "timeseries", by="stack", n="3", points="1")["series"]
    found = {each["name"]: sum(each["values"]) for each in series if not each["rest"]}
    largest = sorted(sums().items(), key=lambda each: -each[1])[:3]
    assert found == dict(largest)
    assert sum(sum(each["values"]) for each in series) == sum(sums().values())


def test_hosts_are_as_near_as_their_names(named: World) -> None:
    """Two builds of a library make no distance."""
    answer = named.get("/api/v1/hosts/offcputime", params=DAY | {"min_events": 0}).json()
    frames = {each["name"] for host in answer["hosts"] for each in host["frames"]}
    assert "wait_for [libx.so]" in frames
    assert not any(build in frame for frame in frames for build in (OLD, NEW))
    same = DAY | {"min_events": 0, "stack__eq": "main;wait_for [libx.so];poll"}
    answer = named.get("/api/v1/hosts/offcputime", params=same).json()
    assert [each["distance"] for each in answer["hosts"]] == [0, 0]


def test_completion_offers_the_names(named: World) -> None:
    """A frame is offered once, with the rows of all its stored texts."""
    answer = named.get("/api/v1/values/offcputime/stack", params=DAY | {"prefix": "wait"}).json()
    assert answer["values"] == [{"value": "wait_for [libx.so]", "rows": 5, "amount": 527}]


def test_comparisons_have_no_node_twice(named: World) -> None:
    """A new build of a library is no change by itself."""
    sides = {"hostname": "web-0", "base.hostname": "web-1", "stack__has": "main"}
    found = ask(named, "compare", **sides)
    names_of = [found["names"][each] for each in found["name"]]
    assert names_of.count("wait_for [libx.so]") == 1
    assert "wait_for [libx.so]" not in {names_of[at] for at in found["appeared"]}


def paths_of(tree: Any) -> dict[tuple[str, ...], int]:
    paths: dict[tuple[str, ...], int] = {}
    path: list[str] = []
    for name, level, value in zip(tree["name"], tree["level"], tree["value"], strict=True):
        path[level:] = [tree["names"][name]]
        assert tuple(path) not in paths
        paths[tuple(path)] = value
    return paths


FILTERS: dict[str, Any] = {
    "eq": lambda stack, value: stack == value,
    "in": lambda stack, value: stack in (value, "main"),
    "contains": lambda stack, value: value in stack,
    "startswith": lambda stack, value: stack.startswith(value),
    "has": lambda stack, value: bool(stack) and value in stack.split(";"),
    "regex": lambda stack, value: re.search(value, stack) is not None,
}
OPPOSITES = {"eq": "ne", "in": "not_in", "has": "lacks"}
VALUES = (
    "wait_for [libx.so]",
    "main;wait_for [libx.so];poll",
    "a [y];wait_for [libx.so]",
    "drop:all [libx.so]",
    "libz.so+0x1000",
    "main;libz.so+0x1000;libx",
    "libx.so+0x1201",
    "libx.so+0x1000",
    "wait_for",
    "main",
    "so];po",
    "entry [libx.so];libx.so+0x1201",
    f"libx.so+0x1000@{OLD}",
    "nothing [libx.so]",
    "+0x",
    "@",
    OLD[:4],
)


@pytest.mark.parametrize("operator", [*FILTERS])
def test_filters_hold_for_what_is_shown(named: World, operator: str) -> None:
    """A filter by the text that a person sees finds these rows, and its opposite all others.

    A filter by the stored text, such as one from an agent's log, still finds them too.
    """
    matches, opposite = FILTERS[operator], OPPOSITES.get(operator, f"not_{operator}")
    for value in VALUES:
        if operator == "has" and ";" in value:
            continue
        text = re.escape(value) if operator == "regex" else value
        given = f'["{text}","main"]' if operator == "in" else text
        by_stored = operator in ("eq", "in", "has") or OLD in value
        have = [
            seen
            for stored, seen in STACKS.items()
            if matches(seen, text) or (by_stored and matches(stored, text))
        ]
        others = [*STACKS.values()]
        for each in have:
            others.remove(each)
        assert shown(named, **{f"stack__{operator}": given}) == have, value
        assert sorted(shown(named, **{f"stack__{opposite}": given})) == sorted(others), value


def test_anchors_of_a_pattern_hold_for_what_is_shown(named: World) -> None:
    """The end of a shown frame is not that of the stored one."""
    assert shown(named, stack__regex=r"libx\.so\+0x999$") == ["main;libz.so+0x1000;libx.so+0x999"]
    assert len(shown(named, stack__regex=r"for \[libx\.so\];poll$")) == 4


def test_filters_and_sums_agree(named: World) -> None:
    """A question of sums with a filter by a name counts what the rows of that filter add up to."""
    found = ask(named, "flamegraph", stack__has="wait_for [libx.so]")
    assert found["total"] == 0b1111 + 2**9
    assert ask(named, "top", by="stack", stack__lacks="main")["total"] == 2**4 + 2**9 + 2**10


def test_questions_at_the_same_time_do_not_wait_for_each_other(named: World) -> None:
    """More questions with a filter on stacks than the database has connections for them."""
    asked = {"stack__not_regex": "nosuch", "by": ""}

    async def together() -> list[int]:
        address = "/api/v1/flamegraph/offcputime"
        requests = (named.http.get(address, params=DAY | asked) for _ in range(16))
        return [answer.status_code for answer in await asyncio.gather(*requests)]

    assert named.run(together()) == [200] * 16


def test_without_names_the_offset_is_a_frame(engine_world: World) -> None:
    """Two builds of one library are one frame where they have no names, and filters find both."""
    stacks = [f"main;libx.so+0x10@{OLD}", f"main;libx.so+0x10@{NEW}", "main;poll"]
    engine_world.insert("offcputime", [waits()[0] | {"stack": each} for each in stacks])
    top = ask(engine_world, "top", by="stack")
    assert {each["key"][0]: each["rows"] for each in top["entries"]} == {
        "main;libx.so+0x10": 2,
        "main;poll": 1,
    }
    assert len(shown(engine_world, stack__has="libx.so+0x10")) == 2
    assert len(shown(engine_world, stack="main;libx.so+0x10")) == 2
    assert len(shown(engine_world, stack__contains="n;libx.so+0x1")) == 2
    for part in ("@", OLD[:4], "0@"):
        assert shown(engine_world, stack__contains=part) == []
        assert len(shown(engine_world, stack__not_regex=part)) == 3


def test_names_that_change_are_seen_at_once(changing_world: World) -> None:
    """Each answer has the names of the table as it is then."""
    assert "wait_for [libx.so]" in shown(changing_world)[0]
    add(changing_world, OLD, [(0x1000, 0x100, "renamed"), *((at, 1, f"f{at}") for at in range(9))])
    assert shown(changing_world)[0] == "main;renamed [libx.so];poll"
    assert paths_of(ask(changing_world, "flamegraph"))["all", "main", "renamed [libx.so]"] == 0b11
    assert changing_world.run(table(changing_world).remove(OLD))
    assert not changing_world.run(table(changing_world).remove(OLD))
    assert shown(changing_world)[0] == "main;libx.so+0x1000;poll"
    assert paths_of(ask(changing_world, "flamegraph"))["all", "main", "libx.so+0x1000"] == 1


def test_a_damaged_page_names_nothing(changing_world: World) -> None:
    """The frames are shown by their offsets, and the other files keep their names."""
    is_hex = changing_world.database.name == "clickhouse"
    nothing = "unhex('00')" if is_hex else "x'00'"
    of = f"file IN (SELECT id FROM kscope_symbols WHERE build = '{OLD}')"
    changing_world.database.run(
        changing(changing_world.database, "kscope_symbol_page", f"functions = {nothing}", of),
        changing(changing_world.database, "kscope_meta", "value = '1'", "name = 'symbols'"),
    )
    assert shown(changing_world)[:3] == [
        "main;libx.so+0x1000;poll",
        "main;libx.so+0x1040;poll",
        "main;wait_for [libx.so];poll",
    ]


def test_only_fetched_files_make_room(engine_world: World) -> None:
    """The oldest of them goes first; a file that a user added is never removed for another."""
    content = packed(OLD, "libx.so", [(i * 16, 16, f"f{i}") for i in range(2000)])
    small = table(engine_world, 3 * content.bytes)

    async def put(number: int, *, fetched: bool) -> None:
        each = packed(f"{number:040x}", "libx.so", [(i * 16, 16, f"f{i}") for i in range(2000)])
        await small.add(each, fetched=fetched)

    def kept() -> list[int]:
        files = engine_world.run(small.files())
        assert sum(each.bytes for each in files) <= 3 * content.bytes
        return sorted(int(each.build, 16) for each in files)

    engine_world.run(put(1, fetched=False))
    for number in (2, 3, 4):
        engine_world.run(put(number, fetched=True))
    assert kept() == [1, 3, 4]
    engine_world.run(put(1, fetched=True))
    assert [
        each.fetched for each in engine_world.run(small.files()) if int(each.build, 16) == 1
    ] == [False]
    for number in (5, 6):
        engine_world.run(put(number, fetched=False))
    assert kept() == [1, 5, 6]
    with pytest.raises(NoRoomError, match="the symbol table is full: 3 files"):
        engine_world.run(put(7, fetched=False))
    assert kept() == [1, 5, 6]


def test_a_flood_of_build_ids_is_bounded(client: World) -> None:
    """Made-up build ids cost their frames' texts, and no more than a thousand are asked for."""
    builds = [f"{number:040x}" for number in range(3000)]
    stacks = [
        ";".join(f"x+0x1@{each}" for each in builds[at : at + 300]) for at in range(0, 3000, 300)
    ]
    client.insert("offcputime", [waits()[0] | {"stack": each} for each in stacks])
    paths = paths_of(ask(client, "flamegraph", stack__has="x+0x1"))
    assert len(paths) == 301
    assert len(client.store.reader.names.wanted()) == 1000
    assert client.store.reader.names.wanted() == {}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FUNCTIONS = st.lists(
    st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**40), NAMES), max_size=40
)
BLANK = {ord(";"): ":"} | dict.fromkeys((*range(32), 127), " ")


def name_at(functions: Sequence[tuple[int, int, str]], at: int) -> str:
    """Look through all functions, as slowly as that is."""
    plain = [(start, size, name.translate(BLANK).strip()) for start, size, name in functions]
    before = [each for each in plain if each[0] <= at and each[2]]
    near = [each for each in before if each[0] == max(before)[0]]
    sizes = [min(size, 2**32 - 1) for _, size, _ in near]
    if not near or at - near[0][0] >= max(*sizes, 1):
        return ""
    return near[sizes.index(max(sizes))][2]


@given(FUNCTIONS | st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9), NAMES)))
def test_packed_functions_keep_their_names(functions: list[tuple[int, int, str]]) -> None:
    """Each address has the name of the nearest function before it, if it is in it, else that of the
    function at the next address.
    """
    pages = packed(OLD, "x", functions).pages
    assert [page.first for page in pages] == sorted({page.first for page in pages})
    for start, size, _ in functions:
        for at in {start, start + max(size, 1) - 1, start + size}:
            page = next((each for each in reversed(pages) if each.first <= at), None)
            found = names(page.content, [at], page.first) if page else [""]
            expected = name_at(functions, at)
            if page and not expected and at + 1 not in {each.first for each in pages}:
                starts = any(start == at + 1 for start, _, _ in functions)
                expected = name_at(functions, at + 1) if starts else ""
            assert found == [expected]


def test_a_flood_of_functions_is_refused() -> None:
    """More functions than any program has are no symbol table, and take no more memory."""
    with pytest.raises(KscopeError, match="more than 2,000,000 functions"):
        packed(OLD, "x", ((at, 1, "f") for at in range(MAX_FUNCTIONS + 10**9)))


def test_the_byte_in_front_of_a_function_is_taken_for_it() -> None:
    """Rules of code that nothing calls begin there; it may be in no other function."""
    functions = [(0x1000, 0x10, "before"), (0x1010, 8, "next"), (0x1050, 9, "__restore_rt")]
    (page,) = packed("aa" * 20, "libc.so", functions).pages
    found = names(page.content, [0x104F, 0x104E, 0x100F, 0x1050], page.first)
    assert found == ["__restore_rt", "", "before", "__restore_rt"]
