"""docs/performance.md: what `benchmarks/run` writes of the results that it keeps, and its links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from benchmarks import columns, ingest
from benchmarks.report import measured
from benchmarks.report.markdown import anchor, page
from benchmarks.report.results import Found, Machine, Measured, Output, Part, Table, load, save
from benchmarks.report.sections import SECTIONS
from benchmarks.report.turns import Options, take_turns
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = Machine("A processor", 2, 4 << 30, "Linux 6.1", "3.11.2", "3.40.1")
PAGE = ROOT / "docs" / "performance.md"


def part(name: str, found: Found, variant: str = "", **changed: object) -> Part:
    made = Part(
        name=name,
        variant=variant,
        date="2026-11-30 12:00 UTC",
        commit="abc1234",
        repeat=3,
        is_quick=False,
        seconds=90,
        load=(0.1, 1.5),
        machine=MACHINE,
        found=found,
    )
    return msgspec.structs.replace(made, **changed)


def test_a_figure_is_the_median_with_the_smallest_and_the_largest() -> None:
    """A reader sees how far repetitions were apart."""
    assert str(Measured((120_000.0, 90_000.0, 100_000.0))) == "100,000 (90,000 to 120,000)"
    assert str(Measured((1.5,))) == "1.50"
    assert str(Measured((2.0, 2.001))) == "2.00 (2 to 2.00)"


def test_a_ratio_is_of_the_two_in_the_same_repetition() -> None:
    """Repetitions on a machine that becomes slower do not change the ratio."""
    ours, theirs = Measured((10.0, 20.0, 40.0)), Measured((5.0, 10.0, 20.0))
    assert ours.over(theirs).values == (2, 2, 2)


def test_the_page_has_what_the_results_have(tmp_path: Path) -> None:
    """Tables, output, faults, dates, commits and loads of every part, read back from JSON."""
    table = Table("Of rows", ("way", "ms"), (("a|b", Measured((1.0, 3.0, 2.0))),), ("A note.",))
    found = Found((table,), (Output("python -m x", "printed\n"),), {}, ("InfluxDB: `gone`",))
    for each in (part("size", found), part("start", Found(), repeat=5)):
        save(each, tmp_path)
    text = page(load(tmp_path), {"SQLite rows/s": 5.0})
    assert "### Of rows\n\n| way | ms |\n|---|--:|\n| a\\|b | 2 (1 to 3) |\n\nA note.\n" in text
    assert "`python -m x`\n\n```\nprinted\n```\n" in text
    assert "Not measured:\n\n- `InfluxDB: 'gone'`\n" in text
    assert "- A processor, 2 cores, 4 GiB, Linux 6.1, Python 3.11.2, SQLite 3.40.1\n" in text
    assert "| [Start](#start) | 2026-11-30 12:00 UTC | abc1234 | 5 | 1.5 | 0.10, 1.50 |" in text
    assert "Not measured: `benchmarks/run ingest`." in text
    assert "- SQLite rows/s: 5, in another run\n" in text


def test_goals_are_compared_with_what_was_measured() -> None:
    """Each goal says whether it is reached, by the size that it was measured with."""
    facts = {"hosts / SQL": Measured((1.4, 1.2, 1.5)), "other": Measured((1.0,))}
    text = page([part("questions", Found(facts=facts), "1000000")], {})
    line = "of its SQL, 1,000,000 rows | at most 1.30 | 1.40 (1.20 to 1.50) |"
    assert f"{line} missed |" in text


def test_growth_is_of_the_smallest_and_the_largest_size() -> None:
    """The page says how many times as long an answer takes, and the reason."""
    parts = [
        part("questions", Found(facts={"top of rows": Measured((took,))}), str(rows))
        for rows, took in ((1_000_000, 100.0), (10_000_000, 950.0))
    ]
    text = page(parts, {})
    assert "### How answers grow from 1,000,000 to 10,000,000 rows" in text
    assert "| top | 9.50 |  |  | groups all rows by one column |" in text


def test_figures_of_few_rows_do_not_count_for_scaling() -> None:
    """`--quick` does not change docs/scaling.md; other runs change what they have measured."""
    facts = {"SQLite bytes a row": Measured((64.04,)), "burst memory": Measured((200.0,))}
    known = {"SQLite bytes a row": 70.0, "MariaDB bytes a row": 100.0}
    whole = part("size", Found(facts=facts))
    assert measured.merged(known, [whole]) == known | {"SQLite bytes a row": 64}
    assert measured.merged(known, [msgspec.structs.replace(whole, is_quick=True)]) == known


def test_every_link_to_a_part_of_the_page_leads_somewhere() -> None:
    """Headings that change take the links along."""
    headings = {
        anchor(title) for title in re.findall(r"^##+ (.+)$", PAGE.read_text(), re.MULTILINE)
    }
    assert {anchor(section.title) for section in SECTIONS} <= headings
    links = [
        (path.name, place)
        for path in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
        for place in re.findall(r"\]\((?:docs/)?performance\.md#([^)]+)\)", path.read_text())
    ]
    links += [(PAGE.name, place) for place in re.findall(r"\]\(#([^)]+)\)", PAGE.read_text())]
    assert len(links) >= len(SECTIONS)
    assert [link for link in links if link[1] not in headings] == []


def test_no_other_page_has_figures_of_speed() -> None:
    """Rates and tables of times are on one page, which a script writes."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    figures = [
        (path.name, line)
        for path in pages
        if path.name not in ("performance.md", "decisions.md")
        for line in path.read_text().splitlines()
        if re.search(r"\d rows/s|^\|.*\d (?:ns|us|ms|s) \|", line)
    ]
    assert figures == []


def test_a_way_that_fails_is_left_out_and_named() -> None:
    """A peer that does not run costs its figure, not the part."""

    def fails(_: Path) -> int:
        raise RuntimeError("no such program\nmore\nthe end")

    taken = take_turns({"a": lambda _: 1, "b": fails}, repeat=3)
    assert taken.results == {"a": [1, 1, 1]}
    assert taken.failures == ["b: RuntimeError: no such program ... the end"]


def test_sizes_are_measured_one_by_one() -> None:
    """`--rows` replaces the sizes of questions; other parts are measured once."""
    by_name = {section.name: section for section in SECTIONS}
    assert by_name["questions"].variants(Options()) == ["1000000", "10000000"]
    assert by_name["questions"].variants(Options(rows=(50_000_000,))) == ["50000000"]
    assert by_name["questions"].of(Options(), "5").rows == (5,)
    assert by_name["ingest"].variants(Options(rows=(5,))) == [""]


def test_batches_have_so_many_rows_of_one_host() -> None:
    """Every row is in one batch, in its order; only the last batch of a host may be smaller."""
    minutes = list(ingest.minutes_of(5_000, lengths=True))
    for size in (100, 1_000):
        batches = list(ingest.by_host(minutes, size))
        counts: dict[str, list[int]] = {}
        for batch in batches:
            (host,) = {minute.host for minute in batch}
            counts.setdefault(host, []).append(sum(len(minute.pairs) for minute in batch))
        assert {rows for each in counts.values() for rows in each[:-1]} <= {size}
        for host in counts:
            before = [e for m in minutes if m.host == host for e in m.elapsed]
            assert [e for b in batches for m in b if m.host == host for e in m.elapsed] == before


def test_columns_have_the_rows_of_the_other_form() -> None:
    """The forms that are compared hold the same rows."""
    minutes = list(ingest.minutes_of(2_000, lengths=True))[:2]
    rows = msgspec.json.decode(ingest.body_of(minutes)[0])
    for encoded, decode in (
        (columns.as_json(minutes)[0], msgspec.json.decode),
        (columns.as_msgpack(minutes)[0], msgspec.msgpack.decode),
    ):
        body = decode(encoded)
        assert body["stacks"] == rows["stacks"]
        found = {
            name: column(values, body["strings"]) for name, values in body["offcputime"].items()
        }
        for name, values in found.items():
            assert values == [row[name] for row in rows["offcputime"]]


def column(values: object, strings: list[str]) -> list[object]:
    """Return the values of rows that a column stands for."""
    match values:
        case {"strings": places}:
            return [strings[place] for place in numbers(places)]
        case {"slots": slots, "counts": counts, "ends": ends}:
            return histograms(numbers(slots), numbers(counts), numbers(ends))
    return numbers(values)


def numbers(values: object) -> list[int]:
    if isinstance(values, msgspec.msgpack.Ext):
        return memoryview(values.data).cast({1: "B", 2: "H", 4: "I", 8: "q"}[values.code]).tolist()
    assert isinstance(values, list)
    return values


def histograms(slots: list[int], counts: list[int], ends: list[int]) -> list[object]:
    found: list[object] = []
    for start, end in zip([0, *ends], ends, strict=False):
        each = [0] * (slots[end - 1] + 1)
        for slot, count in zip(slots[start:end], counts[start:end], strict=True):
            each[slot] = count
        found.append(each)
    return found
