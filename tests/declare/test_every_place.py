"""Each kind of value in the place of every value and every key, one after the other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kscope.config import check_probes, parse_settings
from kscope.declare.files.catalog import load_catalog
from kscope.declare.files.category import read_category
from kscope.declare.model import Catalog
from kscope.declare.values import option_value
from kscope.errors import DeclarationError
from kscope.generate.render import render
from tests.floods import Raw, places, put, put_key
from tests.test_config import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kscope.declare.model import Category

ROOT = Path(__file__).parent.parent.parent
VALUES = [
    Raw(text)
    for text in (
        *("[]", "{}", "[[x, [y]]]", "{a: {b: [c]}}", "7", "9" * 30, ".nan", "null", "true"),
        *("zzz", "'(%s{0}['", "2026-11-23"),
    )
]
KEYS = [Raw(text) for text in ("[a]", "{a: b}", "7", "null", "zzz")]
CHARTS = """
table: t
columns:
  - {name: reason, type: label, prettyname: R, help: h, index: true}
  - {name: stack, type: stack, default: ""}
  - {name: took, type: elapsed, unit: us, default: 1}
  - {name: sizes, type: histogram, default: []}
  - {name: since, type: timestamp, default: null}
charts:
  - {kind: flamegraph, stack: stack, value: took, by: reason, title: T}
retention: 14d
rollup: {1h: 90d, 1d: 2y}
"""
BCC = """
table: t
columns: [{name: w, type: label}, {name: s, type: label}, {name: e, type: label},
          {name: stack, type: stack}]
probe:
  engine: bcc
  program: p.bpf.c
  options:
    threshold: {type: elapsed, default: 5, define: THRESHOLD, least: 1, most: 9, help: h}
    only: {type: label, default: a, define: ONLY, choices: {a: 1, b: 2}}
  also: {m: threshold, u: {only: a}, state: {only: {0: a, 1: b}}}
  attach: [{to: "kprobe:f", run: f, define: HAVE_F}]
  needs: [btf]
  detect: {HAVE_T: "tracepoint:a:b"}
  children: true
  collect:
    events: e
    columns:
      w: {from: event.r, names: {0: a, 0x10: b}}
      s: {from: event.s, as: signal}
      e: {from: event.n, enum: skb_drop_reason}
      stack: [event.kstack, event.ustack]
      time: event.at
"""
BPFTRACE = """
table: t
columns: [{name: word, type: string}, {name: n, type: count}]
probe:
  engine: bpftrace
  script: "tracepoint:a:b { @m[args->sig] = count(); }"
  collect: {map: m, columns: {word: {from: key.0, as: signal}, n: value}}
"""
CATEGORIES = {
    "charts": CHARTS,
    "bcc": BCC,
    "bpftrace": BPFTRACE,
    "hardirqs": (ROOT / "categories/hardirqs.yaml").read_text(),
}


def variants(whole: Any) -> Iterator[tuple[Any, str]]:
    """Yield the document with each value at each place, and with each in place of each key."""
    for place in places(whole):
        for value in VALUES:
            yield (place, value), put(whole, place, value)
        for value in KEYS if place and isinstance(place[-1], str) else ():
            yield (place, value, "key"), put_key(whole, place, value)


def is_usable(category: Category) -> bool:
    """Everything is made from it, and the agent reads each default as it reads a flag."""
    for option in category.probe.options if category.probe else ():
        value = option_value(option, option.default)
        assert not option.choices or isinstance(option.choices[value], int)
    return bool(render(Catalog((category,))))


@pytest.mark.parametrize("name", CATEGORIES)
def test_a_category_with_each_value_in_each_place_is_refused_or_works(name: str) -> None:
    """A file with any value at any place, or any key, is refused with a message, or used."""
    whole = yaml.safe_load(CATEGORIES[name])
    unchanged = read_category(CATEGORIES[name], "x.yaml").category
    assert unchanged
    for where, text in variants(whole):
        reading = read_category(text, "x.yaml")
        said = [problem.message for problem in reading.problems]
        assert bool(said) is (reading.category is None), where
        assert all(0 < len(each) <= 600 and each.isprintable() for each in said), (where, said)
        if reading.category not in (None, unchanged):
            assert is_usable(reading.category), where


def test_a_configuration_with_each_value_in_each_place_is_refused_or_works(tmp_path: Path) -> None:
    """Also each option of a probe, which only its category knows."""
    catalog = load_catalog([ROOT / "categories"])
    whole = copy.deepcopy(WHOLE)
    whole["agent"]["probes"] |= {"syscalls": {"x": "x"}, "execsnoop": None}
    whole["agent"]["probes"]["offcputime"] |= {"reason": "any", "user-only": True}
    for where, text in variants(whole):
        try:
            settings = parse_settings(text, "kernelscope.yaml", tmp_path)
            check_probes(settings.agent, catalog)
        except DeclarationError as error:
            said = str(error).splitlines()
            assert all(line.startswith("kernelscope.yaml:") for line in said), (where, said)
            assert all(line.isprintable() and len(line) < 800 for line in said), (where, said)
