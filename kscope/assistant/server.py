"""The MCP server over standard input and output."""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ToolAnswer

from kscope import __version__
from kscope.assistant.answer import MARK
from kscope.assistant.arguments import call_of
from kscope.assistant.asking import answered
from kscope.assistant.source import SECONDS, Source, too_late
from kscope.assistant.tools import TOOLS, Tool
from kscope.errors import KscopeError, cut, did_you_mean, without_secrets
from kscope.store.backends.daemon_threads import DaemonThreads

_AT_ONCE = 4
# Bytes of a message: a call has at most 60,000.
MOST_MESSAGE = 1 << 20
_LONGEST_ERROR = 4000
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_INSTRUCTIONS = (
    "Kernelscope stores events that BPF scripts saw on many hosts. Begin with `overview`, or with"
    " `changes` if something is wrong in a range of time; `categories` lists the data types. Times"
    " are UTC; a range is from=now-1h to=now unless the call names another. No tool changes"
    f" anything. {MARK}"
)

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Calls:
    """Calls of tools, each in a thread: a source may not answer."""

    source: Source
    threads: DaemonThreads = field(default_factory=lambda: DaemonThreads(_AT_ONCE, "tool"))

    async def answer(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """Return the answer, or the text of an error."""
        try:
            return _result(await self._answer(name, arguments))
        except KscopeError as error:
            return _error(without_secrets(str(error)))
        except TimeoutError:
            return _error(too_late())
        except Exception:
            log.exception("%s failed", cut(name, 60))
            return _error("the question failed; the log of `kscope mcp` says why")

    async def _answer(self, name: str, arguments: dict[str, Any]) -> str:
        tool = TOOLS.get(name)
        if tool is None:
            raise KscopeError(f"there is no tool {cut(name, 60)!r}{did_you_mean(name, TOOLS)}")
        call = call_of(tool, arguments)
        work = self.threads.submit(lambda: answered(self.source, call))
        return await asyncio.wait_for(asyncio.wrap_future(work), SECONDS)


def _result(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], is_error=is_error)


def _error(text: str) -> CallToolResult:
    return _result(cut(text, _LONGEST_ERROR), is_error=True)


def _described(tool: Tool) -> ToolAnswer:
    return ToolAnswer(
        name=tool.name,
        title=tool.name.capitalize(),
        description=tool.help,
        input_schema=tool.schema,
        annotations=_READ_ONLY,
    )


def server(source: Source) -> Server[dict[str, Any]]:
    """Return the server of the tools, whose answers come from the source."""
    calls = _Calls(source)

    async def list_tools(
        _: ServerRequestContext[dict[str, Any]], __: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_described(each) for each in TOOLS.values()])

    async def call_tool(
        _: ServerRequestContext[dict[str, Any]], asked: CallToolRequestParams
    ) -> CallToolResult:
        return await calls.answer(asked.name, asked.arguments or {})

    return Server(
        "kernelscope",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


class _Lines:
    """The lines of a stream. A line that is too long for a message is left out, and logged."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readline(self) -> str:
        while True:
            line = self._stream.readline(MOST_MESSAGE)
            if len(line) < MOST_MESSAGE or line.endswith(b"\n"):
                return line.decode("utf-8", "replace")
            while line and not line.endswith(b"\n"):
                line = self._stream.readline(MOST_MESSAGE)
            log.warning("a message of more than %d bytes is ignored", MOST_MESSAGE)


def serve(source: Source) -> None:
    """Answer until standard input ends, or no program reads the answers any more."""
    try:
        asyncio.run(_serve(source))
    except BaseExceptionGroup as group:
        _, others = group.split(BrokenPipeError)
        if others:
            raise


async def _serve(source: Source) -> None:
    made = server(source)
    lines = anyio.wrap_file(cast("IO[str]", _Lines(sys.stdin.buffer)))
    async with stdio_server(stdin=lines) as (reading, writing):
        await made.run(reading, writing, made.create_initialization_options())
