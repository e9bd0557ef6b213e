"""The questions of the read API as tools of an assistant, over the Model Context Protocol (MCP).

`tools` derives the tools from the questions, `arguments` checks a call, `asking` gets the answer
from a `source`, the modules of `texts` write it, `answer` bounds it, and `server` speaks MCP.
"""
