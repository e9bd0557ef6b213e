"""Nothing that is printed or logged holds a password or a token, wherever one has slipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from kscope.cli import cli
from kscope.client.endpoint import read_token
from kscope.config import check_probes, parse_settings
from kscope.declare.files.catalog import load_catalog
from kscope.errors import KscopeError
from tests.commands import command
from tests.floods import Raw, places, put
from tests.serving import ROOT
from tests.test_config import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK, NUMBER = "SECRET", "8675309"
ADDRESSES = (
    f"http://u:{MARK}@127.0.0.1:9",
    f"u:{MARK}@127.0.0.1",
    f"mysql://u:{MARK}@127.0.0.1/db?password={MARK}",
    f"http://127.0.0.1:9/?token={MARK}",
    f"http://127.0.0.1:9/#token={MARK}",
    f"http://u:a{MARK}/?b@c{MARK}@127.0.0.1:9",
)
PORT = f"127.0.0.1:{MARK}"
WORDS = (
    *(f"'{address}'" for address in (*ADDRESSES, PORT)),
    *(MARK, f"./{MARK}", f"[{MARK}]", f"{{{MARK}: {MARK}}}", f"{{x: 1, {MARK}: 1, {MARK}: 1}}"),
    *(f"{{pass{MARK}: 1}}", f"{{password: 1, password: {MARK}}}", f"{{token{MARK}: x}}"),
    *(f"!{MARK} x", f"!{MARK}!x y", f"!<{MARK}> x", f"&{MARK} x", f"*{MARK}", f"! {MARK}"),
    *(f'"{MARK}\\0"', f'{{"{MARK}\\0": 1}}', f'"{MARK}', f"[{MARK}", f"'{MARK}\n", f"%{MARK}"),
    *(f"@{MARK}", f"`{MARK}", f'"{MARK}\\q"', f"{MARK}\a", f"{{? [{MARK}] : 1}}"),
    *(NUMBER, f"0x{NUMBER}", f"0{NUMBER[1:]}", f"{NUMBER}.{NUMBER}", f"{NUMBER}e9", f"-{NUMBER}"),
    *(
        f"[{NUMBER}]",
        f"{{{NUMBER}: {NUMBER}}}",
        f"{NUMBER}:30",
        f"127.0.0.1:{NUMBER}",
        f"{NUMBER}x",
    ),
)


def test_no_message_about_the_configuration_shows_a_secret(tmp_path: Path) -> None:
    """Of any word in the place of any value: each of `WHOLE`, which has every setting."""
    catalog = load_catalog([ROOT / "categories"])
    refused = 0
    for place in places(WHOLE):
        for word in WORDS:
            said = _said(put(WHOLE, place, Raw(word)), tmp_path, catalog)
            refused += bool(said)
            assert not any(mark in said for mark in (MARK, NUMBER[1:])), (place, word, said)
    assert refused > 500


def _said(text: str, folder: Path, catalog: Any) -> str:
    try:
        settings = parse_settings(text, "kernelscope.yaml", folder)
        check_probes(settings.agent, catalog)
        read_token(settings.agent.token_file)
    except KscopeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", ["prt", "usr", "passwrd", "token-file", "databse"])
def test_a_key_that_resembles_one_is_shown(tmp_path: Path, key: str) -> None:
    """Only what is unlike every key may be a secret."""
    said = _said(f"database: {{mysql: {{{key}: x}}}}", tmp_path, ())
    assert f"database.mysql.{key}: unknown key. " in said


def _options() -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each option of each command that takes a value; of the probes, one's."""
    for name in cli.list_commands(click.Context(cli)):
        found = cli.get_command(click.Context(cli), name)
        inner = found.list_commands(click.Context(found)) if isinstance(found, click.Group) else []
        chosen = ["offcputime"] if name == "agent" else inner
        commands = [((name,), found)]
        if isinstance(found, click.Group):
            commands += [
                ((name, each), found.get_command(click.Context(found), each)) for each in chosen
            ]
        for path, each in commands:
            for option in each.params if each else ():
                if (
                    isinstance(option, click.Option)
                    and not option.is_flag
                    and option.name != "help"
                ):
                    yield path, max(option.opts, key=len)


NO_PROCESS = ("--pid", "999999999")
# The other arguments of each command, so that it ends without doing anything.
REST = {
    ("agent", "offcputime"): NO_PROCESS,
    ("backup",): ("copy",),
    ("generate",): ("--check",),
    ("import",): ("offcputime", "x.folded"),
    ("query",): ("offcputime",),
    ("restore",): ("copy",),
    ("serve",): ("--ingest", "x:y"),
}


@pytest.mark.parametrize(("path", "option"), [*_options()], ids="".join)
def test_no_command_prints_a_secret(
    path: tuple[str, ...],
    option: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of an address with one in the place of any option's value."""
    servers = ("--server", "--mysql", "--clickhouse", "--read", "--ingest")
    named = dict.fromkeys(servers, (*ADDRESSES, PORT))
    named |= {"--token-file": (MARK, f"./{MARK}", "x" * 300 + MARK), "--dbpassword": (MARK,)}
    for word in (ADDRESSES[-1], *named.get(option, ())):
        rest = (
            ()
            if option in ("--server", "--token-file") and path[0] == "agent"
            else REST.get(path, ())
        )
        ran = command(*path, *(() if option in rest else rest), option, word, folder=tmp_path)
        assert MARK not in ran.stdout + ran.stderr + caplog.text, ran
        assert "Traceback" not in ran.stderr + caplog.text
