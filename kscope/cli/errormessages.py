"""The messages of the server's refusals, as its source has them."""

import ast
from collections.abc import Container, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

import kscope

_SERVER = Path(kscope.__file__).parent / "server"
_FUNCTIONS = frozenset({"problem", "raw_problem"})
# Starlette's, for an address or a method that no route has.
_OF_ROUTES = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
# In place of a value that a message names.
_VALUE = "…"

_Names = Mapping[str, ast.expr]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def messages() -> dict[int, list[str]]:
    """Return the messages of each status that have a fixed text, sorted."""
    found = {int(status): {status.phrase} for status in _OF_ROUTES}
    for path in sorted(_SERVER.rglob("*.py")):
        for status, text in _of_module(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(status, set()).add(text)
    return {status: sorted(found[status], key=str.lower) for status in sorted(found)}


def _of_module(module: ast.Module) -> Iterator[tuple[int, str]]:
    constants = _assigned(module.body)
    functions = [each for each in ast.walk(module) if isinstance(each, _Function)]
    passing = {f.name: status for f in functions for status in _passed_on(f)}
    for function in functions:
        local = [each for each in ast.walk(function) if isinstance(each, ast.stmt)]
        names = {**constants, **_assigned(local)}
        yield from _of_calls(function, names)
        for call in _calls(function, passing):
            yield passing[_name(call)], _text(call.args[0], names)
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            yield from _of_calls(statement, constants)


def _passed_on(function: _Function) -> Iterator[int]:
    """Yield the status, if the function refuses with a text that is its first parameter."""
    first = function.args.args[0].arg if function.args.args else ""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and _refuses(call) and len(call.args) > 1:
            match call.args[:2]:
                case [ast.Constant(value=int(status)), ast.Name(id=name)] if name == first:
                    yield status


def _calls(within: ast.AST, functions: Container[str]) -> Iterator[ast.Call]:
    for call in ast.walk(within):
        if isinstance(call, ast.Call) and _name(call) in functions and call.args:
            yield call


def _assigned(statements: list[ast.stmt]) -> dict[str, ast.expr]:
    """Return the expression of each plain `name = expression`."""
    return {
        each.targets[0].id: each.value
        for each in statements
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }


def _of_calls(within: ast.AST, names: _Names) -> Iterator[tuple[int, str]]:
    for call in ast.walk(within):
        if isinstance(call, ast.Call) and _refuses(call) and len(call.args) > 1:
            status, detail = call.args[:2]
            text = _text(detail, names)
            if isinstance(status, ast.Constant) and text.strip(f"{_VALUE}:; "):
                yield int(str(status.value)), text


def _refuses(call: ast.Call) -> bool:
    return _name(call) in _FUNCTIONS or _name(call).endswith("Problem")


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _text(detail: ast.expr, names: _Names) -> str:
    """Return the text of an expression, with a mark for each part that a request decides."""
    match detail:
        case ast.Constant():
            return str(detail.value)
        case ast.JoinedStr():
            return "".join(_text(part, names) for part in detail.values)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name) if name in names:
            return _text(names[name], {})
    return _VALUE
