"""A probe's options, as flags and in the configuration: what cannot be is refused at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from kscope.cli import cli
from kscope.declare.catalog import load_catalog
from kscope.declare.options import option_value
from kscope.errors import DeclarationError

if TYPE_CHECKING:
    from pathlib import Path


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
    ],
)
def test_a_flag_that_cannot_be_is_refused(flags: str, said: str) -> None:
    """With the flag's name and what would do."""
    assert said in refused("agent", *flags.split())


CONFIG = """\
agent:
  probes:
    offcputime:
      threshold: abc
      per-thread: 3
      treshold: 5
      max_overhead: lots
    profile: {frequency: fast}
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
    assert [line.partition(": ")[0] for line in said] == ["4", "5", "6", "7", "8"]
    options = "agent.probes.offcputime"
    assert (
        said[0] == f"4: {options}.threshold: 'abc' is not a length of time such as 5000, 5ms or 2s"
    )
    assert said[1].startswith(f"5: {options}.per-thread: 3 is not of type bool")
    assert said[2] == f"6: {options}.treshold: unknown option. Did you mean 'threshold'?"
    assert said[3].startswith("7: agent.probes.profile.frequency: 'fast' is not of type int")
    assert said[4].startswith("8: agent.probes.nope: there is no probe 'nope'.")


@pytest.mark.parametrize(
    ("given", "us"), [(5000, 5000), ("5000", 5000), ("5ms", 5000), ("2s", 2_000_000), ("7us", 7)]
)
def test_a_length_of_time_may_carry_its_unit(given: object, us: int) -> None:
    """A threshold of 5ms is one of 5000 microseconds, on the command line and in the file."""
    category = load_catalog().get("offcputime")
    assert category
    assert category.probe
    assert option_value(category.probe.options[0], given) == us
