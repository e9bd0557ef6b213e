"""A tool is called as an assistant calls it, and its answer is read."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from mcp import Client

from kscope.assistant.server import server

if TYPE_CHECKING:
    from kscope.assistant.source import Source


def tools(source: Source) -> dict[str, Any]:
    async def listed() -> dict[str, Any]:
        async with Client(server(source)) as client:
            return {each.name: each for each in (await client.list_tools()).tools}

    return asyncio.run(listed())


def asked(source: Source, name: str, /, *, wrong: bool = False, **arguments: Any) -> str:
    """Return the text of the answer; `from` is given as `start`, `to` as `end`."""
    renamed = {{"start": "from", "end": "to"}.get(key, key): v for key, v in arguments.items()}

    async def answer() -> str:
        async with Client(server(source)) as client:
            found = await client.call_tool(name, renamed)
            (content,) = found.content
            assert content.type == "text"
            assert bool(found.is_error) is wrong, content.text
            return content.text

    text = asyncio.run(answer())
    assert "Traceback" not in text
    return text


def cells(text: str) -> list[list[str]]:
    """Return the rows of data in an answer, without the hosts and the lines below headings."""
    _, _, after = text.rpartition("Hosts with rows in the range:\n")
    lines = [line for line in after.splitlines() if line.startswith("| ")]
    lines = lines[len(text) != len(after) :]
    return [re.split(r" (?<!\\)\| ", line.removeprefix("| ").removesuffix(" |")) for line in lines]


def own(text: str) -> str:
    """Return the lines that are not data."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))
