"""A probe's options, as flags and in the configuration: what cannot be is refused at once."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kscope.cli import cli
from kscope.cli.agent import probe_command
from kscope.cli.otherflags import resolve
from kscope.cli.probeflags import sending
from kscope.config import parse_settings, parse_share
from kscope.declare.files.catalog import load_catalog
from kscope.declare.units import read_bytes
from kscope.declare.values import option_value
from kscope.errors import DeclarationError
from tests.serving import kscope

# Were a flag taken that must not be, nothing should be traced.
NOBODY = "--pid 999999999"


def refused(*arguments: object) -> str:
    """Return the command's message when it refuses its arguments."""
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
        ("offcputime --max-overhead 1ms {nobody}", "'1ms' is not a share such as 1% or 0.5%"),
        ("offcputime --max-overhead 101% {nobody}", "not a share"),
        ("offcputime --max-overhead 1,5 {nobody}", "not a share"),
        ("offcputime --replay /nosuch --json {nobody}", "--json and --replay exclude each other"),
        (
            "offcputime --replay /nosuch --folded {nobody}",
            "--folded and --replay exclude each other",
        ),
        (
            "offcputime --json --folded --record x {nobody}",
            "--folded and --json and --record exclude",
        ),
        (
            "offcputime --replay /nosuch {nobody}",
            "--replay plays the whole recording",
        ),
        (
            "offcputime --user-only --kernel-only --json {nobody}",
            "user-only and kernel-only exclude",
        ),
        ("offcputime -u -k {nobody}", "-u and -k exclude each other"),
        ("offcputime -u --threads kernel {nobody}", "--threads and -u exclude each other"),
        ("offcputime --reason idle --sleeptype 2 {nobody}", "--reason and --sleeptype exclude"),
        ("offcputime -U -K {nobody}", "user-only and kernel-only exclude each other"),
        ("offcputime --sleeptype 9 {nobody}", "--sleeptype 9: must be one of 0 (preempted), 1"),
        ("offcputime 5 3 {nobody}", "only a duration is expected, not also '3'"),
        ("offcputime 5 --duration 4 {nobody}", "the argument and --duration set the same value"),
        ("offcputime five {nobody}", "'five' is not a length of time such as 90, 500ms"),
        ("opensnoop 5 3 {nobody}", "only a duration is expected, not also '3'"),
        ("runqlat 1 2 3 {nobody}", "an interval and a count are expected, not also '3'"),
        ("runqlat 1 x {nobody}", "'x' is not a count of intervals, from 1"),
        ("runqlat 1 0 {nobody}", "'0' is not a count of intervals, from 1"),
        ("runqlat 1 --interval 2 {nobody}", "the argument and --interval set the same value"),
        ("profile -F fast {nobody}", "'-F' / '--frequency': 'fast' is not of type int"),
        ("runqlat -u {nobody}", "No such option"),
        ("offcputime --history 60 {nobody}", "--history requires --replay"),
        ("offcputime --children", "--children requires --pid"),
        (
            "offcputime --interval nan {nobody}",
            "'--interval': 'nan' is not a length of time such as 90, 500ms",
        ),
        (
            "offcputime --interval inf {nobody}",
            "'--interval': 'inf' is not a length of time",
        ),
        ("offcputime --duration nan {nobody}", "'--duration': 'nan' is not a length of time"),
        ("offcputime --replay /nosuch --history nan", "'nan' is not a length of time"),
        ("offcputime --interval 50ms {nobody}", "'50ms' is not between 0.1 seconds and 366 days"),
        ("offcputime --duration 367d {nobody}", "'367d' is not between 0.1 seconds and 366 days"),
        ("offcputime --duration 30m1h {nobody}", "'30m1h' is not a length of time"),
        ("offcputime --threshold 1.5us {nobody}", "not a whole number of microseconds"),
        ("offcputime --threshold 1h30 {nobody}", "such as 5000, 5ms or 2s"),
        ("offcputime --replay /nosuch --history 1000000000000", "is not between 0 seconds and"),
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
        f"{place}: is not a share such as 1% or 0.5%"
    ]
    config.write_text(CONFIG.replace("      max_overhead: lots\n", ""))
    said = [line.removeprefix(f"{config}:") for line in refused(
        command, "--config", config
    ).splitlines()]  # fmt: skip
    assert [line.partition(": ")[0] for line in said] == ["4", "5", "6", "7", "7", "8"]
    options = "agent.probes.offcputime"
    assert said[0] == f"4: {options}.threshold: is not a length of time such as 5000, 5ms or 2s"
    assert said[1].startswith(f"5: {options}.per-thread: is not of type bool")
    assert said[2] == f"6: {options}.treshold: unknown option. Did you mean 'threshold'?"
    assert said[3] == "7: agent.probes.profile: user-only and kernel-only exclude each other"
    assert said[4].startswith("7: agent.probes.profile.frequency: is not of type int")
    assert said[5].startswith("8: agent.probes.nope: there is no such probe.")


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
    assert (
        refused("agent", "--config", config)
        == f"{place}: must be text, not a number; put it in quotes"
    )
    config.write_text(config.read_text().replace(" 7", " /a"))
    place = f"{config}:5: agent.probes.opens.cgroup"
    said = f"{place}: a bpftrace script cannot be limited to one"
    assert refused("agent", "--config", config) == said


@pytest.mark.parametrize(
    ("given", "us"),
    [
        *((5000, 5000), ("5000", 5000), ("5ms", 5000), ("2s", 2_000_000), ("7us", 7)),
        *(("1.5ms", 1500), (".5ms", 500), ("1m", 60_000_000), ("1m30s", 90_000_000)),
        *(("5 ms", 5000), ("7µs", 7), ("1min", 60_000_000), ("2h", 7_200_000_000)),
    ],
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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("1m", 60), ("10s", 10), ("500ms", 0.5), ("1.5s", 1.5), ("2h", 7200), ("1h30m", 5400)),
        *(("90", 90), ("0.1", 0.1), (" 5 ", 5), ("1d", 86400), ("1h 30m 15s", 5415)),
    ],
)
def test_command_line_and_file_read_a_length_of_time_alike(text: str, seconds: float) -> None:
    """`--interval`, and `interval:` of kernelscope.yaml."""
    option = click.Option(["--interval"], type=sending_type("interval"))
    assert option.type.convert(text, option, None) == seconds
    if seconds >= 0.1:
        settings = parse_settings(f"agent: {{interval: {text.strip()}}}", "k.yaml", Path())
        assert settings.agent.interval == seconds


def sending_type(name: str) -> click.ParamType[Any]:
    """The type of a flag that all probes share."""
    return next(each.type for each in sending() if each.name == name)


@pytest.mark.parametrize(
    ("text", "share"),
    [("5", 0.05), ("5%", 0.05), ("0.5", 0.005), (".5 %", 0.005), (1, 0.01), ("100", 1.0)],
)
def test_a_share_is_in_percent_with_its_sign_or_without(text: object, share: float) -> None:
    """As --max-overhead takes it, and max_overhead of the file."""
    assert parse_share(text) == share


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("32MiB", 32 << 20), ("32M", 32 << 20), ("32 MiB", 32 << 20), ("32MB", 32_000_000)),
        *(("1.5GiB", 3 << 29), ("4096", 4096), ("64k", 65536), ("10 B", 10), ("1TiB", 1 << 40)),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    """`max_body` and `spool_bytes` of the file."""
    settings = parse_settings(f"max_body: {text}\nagent: {{spool_bytes: {text}}}", "k", Path())
    assert (settings.max_body, settings.agent.spool_bytes) == (size, size)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "big", "1PB", "MiB", "1e9", "9" * 30])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    """With one that would do."""
    with pytest.raises(ValueError, match="is not a size such as 32MiB"):
        read_bytes(text)


def parsed(line: str) -> dict[str, Any]:
    """Return the plan that `kscope agent` makes from a command line, before it traces."""
    name, *arguments = line.split()
    category = load_catalog().get(name)
    assert category
    command = probe_command(category)
    with command.make_context(name, arguments) as context:
        flags = dict(context.params)
        resolve(category, flags, context)
    return flags


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("offcputime 5", "offcputime --duration 5"),
        ("offcputime 1m30s -f", "offcputime --folded --duration 90"),
        ("offcputime -fU -p 7 2", "offcputime --user-only --pid 7 --folded --duration 2"),
        ("offcputime -K -t 8", "offcputime --kernel-only --tid 8"),
        (
            "offcputime -u -m 1000 -M 2000",
            "offcputime --threads user --threshold 1ms --longest 2ms",
        ),
        ("offcputime -k --state 2", "offcputime --threads kernel --reason uninterruptible"),
        ("offcputime --sleeptype 1", "offcputime --reason blocked"),
        ("offcputime --sleeptype 0x402", "offcputime --reason idle"),
        ("offcputime --sleeptype 0", "offcputime --reason preempted"),
        ("offcputime -u --threads user", "offcputime --threads user"),
        ("offcputime --stack-storage-size 2048", "offcputime --stacks 2048"),
        (
            "offcputime --logger http://h:8081 --threshold 5000 --sleeptype 2",
            "offcputime --server http://h:8081 --threshold 5ms --reason uninterruptible",
        ),
        ("profile -F 49 -f 10", "profile --frequency 49 --folded --duration 10"),
        ("profile -U -L 7", "profile --user-only --tid 7"),
        ("runqlat 1", "runqlat --interval 1"),
        ("runqlat 1 10 -p 7", "runqlat --interval 1s --duration 10 --pid 7"),
        ("biolatency -Q 500ms 4", "biolatency --queued --interval 0.5 --duration 2"),
        ("softirqs 10 3", "softirqs --interval 10 --duration 30"),
        ("opensnoop -x -d 10", "opensnoop --failed --duration 10"),
        ("opensnoop -p 7 -t 8 10", "opensnoop --pid 7 --tid 8 --duration 10"),
        ("exitsnoop -x", "exitsnoop --failed"),
        ("execsnoop 5", "execsnoop --duration 5"),
        ("tcplife -p 7", "tcplife --pid 7"),
        ("wakeuptime -f -m 100 3", "wakeuptime --folded --threshold 100 --duration 3"),
        ("offwaketime -K -m 5ms", "offwaketime --kernel-only --threshold 5000"),
        ("syscalls -i 2 -d 10", "syscalls --interval 2 --duration 10"),
    ],
)
def test_habits_of_other_tools_work(line: str, same: str) -> None:
    """bcc's letters, its arguments, and the flags of 2016, beside our names for them."""
    assert parsed(line) == parsed(same)


CATEGORY = """\
table: t
columns: [{name: n, type: count}]
probe:
  engine: bpftrace
  script: 'BEGIN { @n = count(); }'
  options:
    mode: {type: label, default: a, define: MODE, choices: {a: 0, b: 1}}
    size: {type: count, default: 1, define: SIZE}
  also: ALSO
  collect: {map: n, columns: {n: value}}
"""


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("{p: size}", "probe.also.p: is a flag of this probe already: choose another letter"),
        ("{pid: size}", "probe.also.pid: is a flag of this probe already: choose another name"),
        ("{mode: size}", "probe.also.mode: is a flag of this probe already"),
        ("{s: sise}", "there is no option 'sise'. Did you mean 'size'?"),
        ("{s: folded}", "there is no option 'folded'."),
        ("{s: {mode: c}}", "probe.also.s.mode: 'c' is not one of the choices a, b"),
        ("{s: {mode: {1: c}}}", "'c' is not one of the choices a, b"),
        ("{s: {size: many}}", "'many' is not of type count"),
        ("{S-s: size}", "probe.also"),
        ("{s: {}}", "probe.also.s"),
        ("{s: 5}", "probe.also.s"),
        ("[s]", "probe.also"),
    ],
)
def test_a_flag_that_stands_for_nothing_is_refused(tmp_path: Path, also: str, said: str) -> None:
    """In the category's file, with its place."""
    file = tmp_path / "t.yaml"
    file.write_text(CATEGORY.replace("ALSO", also))
    with pytest.raises(DeclarationError) as raised:
        load_catalog([tmp_path])
    assert str(raised.value).startswith(f"{file}:9: ")
    assert said in str(raised.value)
