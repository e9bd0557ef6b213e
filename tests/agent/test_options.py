"""A probe's options, as flags and in the configuration: what cannot be is refused at once."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from kscope.cli import cli
from kscope.declare.catalog import load_catalog
from kscope.declare.options import option_value
from kscope.errors import DeclarationError
from tests.serving import kscope

if TYPE_CHECKING:
    from pathlib import Path


# Were a flag taken that must not be, nothing should be traced.
NOBODY = "--pid 999999999"


def refused(*arguments: object) -> str:
    """What the command says when it refuses what it was given."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code != 0
    if isinstance(result.exception, DeclarationError):
        return str(result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    return result.output


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("offcputime --threshold -5", "'--threshold': '-5' is not a length of time such as 5000"),
        ("offcputime --threshold 99999999999999999999", "'--threshold': 99999999999999999999 is"),
        ("offcputime --threshold 5minutes", "such as 5000, 5ms or 2s"),
        ("profile --frequency fast", "'--frequency': 'fast' is not of type int"),
        ("offcputime --reason tired", "'tired' is not one of"),
        ("offcputime --max-overhead 1", "'1' is not a share such as 1% or 0.5%"),
        ("offcputime --max-overhead 101%", "not a share"),
        ("offcputime --replay /nosuch --json {nobody}", "--json and --replay exclude each other"),
        (
            "offcputime --replay /nosuch --folded {nobody}",
            "--folded and --replay exclude each other",
        ),
        (
            "offcputime --json --folded --record x {nobody}",
            "--folded and --json and --record exclude",
        ),
        ("offcputime --replay /nosuch {nobody}", "--replay plays all that was recorded"),
        (
            "offcputime --user-only --kernel-only --json {nobody}",
            "user-only and kernel-only exclude",
        ),
        ("offcputime --history 60 {nobody}", "--history goes with --replay"),
        ("offcputime --children", "--children goes with --pid"),
        ("offcputime --interval nan {nobody}", "'--interval': 'nan' is not a number of seconds"),
        (
            "offcputime --interval inf {nobody}",
            "'--interval': inf is not in the range 0.1<=x<=31622400",
        ),
        ("offcputime --duration nan {nobody}", "'--duration': 'nan' is not a number of seconds"),
        ("offcputime --replay /nosuch --history nan", "'nan' is not a number of seconds"),
        ("offcputime --replay /nosuch --history 1e12", "'--history': 1000000000000.0 is not in"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(flags: str, said: str) -> None:
    """With the flag's name and what would do."""
    assert said in refused("agent", *flags.format(nobody=NOBODY).split())


@pytest.mark.parametrize(("flag", "what"), [("--pid", "process"), ("--tid", "thread")])
def test_whom_to_trace_must_be_there(flag: str, what: str) -> None:
    """A number mistyped would give a trace without rows."""
    result = CliRunner().invoke(cli, ["agent", "offcputime", flag, "999999999", "--json"])
    assert str(result.exception) == f"there is no {what} 999999999"


CONFIG = """\
agent:
  probes:
    offcputime:
      threshold: abc
      per-thread: 3
      treshold: 5
      max_overhead: lots
    profile: {frequency: fast, user-only: true, kernel-only: true}
    nope: {}
    runqlat: {}
"""


@pytest.mark.parametrize("command", ["serve", "agent"])
def test_each_mistake_in_the_configuration_has_its_line(tmp_path: Path, command: str) -> None:
    """Server and agent alike refuse the file, with all that is wrong with its probes."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text(CONFIG)
    place = f"{config}:7: agent.probes.offcputime.max_overhead"
    assert refused(command, "--config", config).splitlines() == [
        f"{place}: 'lots' is not a share such as 1% or 0.5%"
    ]
    config.write_text(CONFIG.replace("      max_overhead: lots\n", ""))
    said = [line.removeprefix(f"{config}:") for line in refused(
        command, "--config", config
    ).splitlines()]  # fmt: skip
    assert [line.partition(": ")[0] for line in said] == ["4", "5", "6", "7", "7", "8"]
    options = "agent.probes.offcputime"
    assert (
        said[0] == f"4: {options}.threshold: 'abc' is not a length of time such as 5000, 5ms or 2s"
    )
    assert said[1].startswith(f"5: {options}.per-thread: 3 is not of type bool")
    assert said[2] == f"6: {options}.treshold: unknown option. Did you mean 'threshold'?"
    assert said[3] == "7: agent.probes.profile: user-only and kernel-only exclude each other"
    assert said[4].startswith("7: agent.probes.profile.frequency: 'fast' is not of type int")
    assert said[5].startswith("8: agent.probes.nope: there is no probe 'nope'.")


def test_a_cgroup_is_not_for_every_engine(tmp_path: Path) -> None:
    """A script of bpftrace would see the whole host: the file is refused, with the line."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/opens.yaml").write_text(
        "table: opens\ncolumns: [{name: n, type: count}]\nprobe:\n  engine: bpftrace\n"
        "  script: 'BEGIN { @n = count(); }'\n  collect: {map: n, columns: {n: value}}\n"
    )
    config = tmp_path / "kernelscope.yaml"
    config.write_text(
        "categories: [builtin, mine]\nagent:\n  probes:\n    opens:\n      cgroup: /system.slice\n"
        "    opensnoop:\n      cgroup: 7\n"
    )
    place = f"{config}:7: agent.probes.opensnoop.cgroup"
    assert refused("agent", "--config", config) == f"{place}: 7 is not a text; put it in quotes"
    config.write_text(config.read_text().replace(" 7", " /a"))
    place = f"{config}:5: agent.probes.opens.cgroup"
    said = f"{place}: a bpftrace script cannot be limited to one"
    assert refused("agent", "--config", config) == said


@pytest.mark.parametrize(
    ("given", "us"), [(5000, 5000), ("5000", 5000), ("5ms", 5000), ("2s", 2_000_000), ("7us", 7)]
)
def test_a_length_of_time_may_carry_its_unit(given: object, us: int) -> None:
    """A threshold of 5ms is one of 5000 microseconds, on the command line and in the file."""
    category = load_catalog().get("offcputime")
    assert category
    assert category.probe
    assert option_value(category.probe.options[0], given) == us


def test_a_bad_category_file_costs_no_other_probe(tmp_path: Path) -> None:
    """The agent and the doctor name the mistake, and work with the good files."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/foo.yaml").write_text("table: [foo")
    config = tmp_path / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\nagent: {probes: {foo: {}}}\n")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(kscope(*arguments), capture_output=True, text=True, check=False)

    bad = f"{tmp_path}/mine/foo.yaml:1: not YAML"
    shown = run("agent", "--config", config, "offcputime", "--help")
    assert shown.returncode == 0
    named = run("agent", "--config", config, "foo")
    assert bad in named.stderr
    assert "'foo' is not a category" in named.stderr
    assert named.returncode != 0
    configured = run("agent", "--config", config)
    assert bad in configured.stderr
    assert "foo: no good category file declares this probe" in configured.stderr
    assert "Traceback" not in configured.stderr
    examined = run("doctor", "--config", config, "--server", "http://127.0.0.1:9")
    assert bad in examined.stderr
    assert "kernel" in examined.stdout
    generated = run("generate", "--categories", tmp_path / "mine", "--output", tmp_path / "out")
    assert generated.returncode == 2
