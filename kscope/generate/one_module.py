"""Modules of kscope joined into one, for a script that has no package: only what it uses.

Each definition is copied as it is, below the name of its module. All share one namespace.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_PACKAGE = "kscope"


class JoinError(ValueError):
    """Modules that cannot share one namespace."""


@dataclass(frozen=True, slots=True)
class _Definition:
    """One statement at the top of a module, with the comments above it."""

    module: str
    text: str
    names: frozenset[str]
    uses: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Import:
    """A name of another module; `name` is empty for the module itself."""

    module: str
    name: str

    def is_own(self) -> bool:
        return self.module.partition(".")[0] == _PACKAGE


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    about: str
    definitions: tuple[_Definition, ...]
    imports: Mapping[str, _Import]

    def has(self, name: str) -> bool:
        return name in self.imports or any(name in each.names for each in self.definitions)


def joined(sources: Mapping[str, str], root: str, names: Iterable[str]) -> str:
    """Return the text of a module that defines these names of the module `root`.

    `sources` are texts of modules by name. Raises JoinError if one name has two meanings in them
    (Python's own counts), or if an import renames something, takes a whole module of the package,
    or is in a function.
    """
    modules: dict[str, _Module] = {}
    _collect(root, sources, modules)
    reached = _Reached(modules)
    for name in names:
        reached.add(root, name)
    reached.refuse_two_meanings()
    return "\n\n\n".join([_import_block(reached.imports.values()), *_parts(reached)]) + "\n"


class _Reached:
    """The definitions and the imports that some names need."""

    def __init__(self, modules: Mapping[str, _Module]) -> None:
        self.modules = modules
        self.definitions: dict[_Definition, None] = {}
        self.imports: dict[str, _Import] = {}

    def add(self, module: str, name: str) -> None:
        """Add the definition that a name has in a module, and all that it uses."""
        imported = self.modules[module].imports.get(name)
        if imported and imported.is_own():
            if not self.modules[imported.module].has(imported.name):
                raise JoinError(f"{module}: {imported.module} has no {imported.name or 'name'}")
            self.add(imported.module, imported.name)
        elif imported and self.imports.setdefault(name, imported) != imported:
            raise JoinError(f"{name} is imported from two modules; {module} is one of them")
        for each in self.modules[module].definitions:
            if name in each.names and each not in self.definitions:
                self.definitions[each] = None
                for used in sorted(each.uses):
                    self.add(module, used)

    def refuse_two_meanings(self) -> None:
        first: dict[str, _Definition] = {}
        for each in self.definitions:
            for name in sorted(each.names):
                other = first.setdefault(name, each)
                if other.module != each.module and other.text.strip() != each.text.strip():
                    raise JoinError(f"{name} is defined in {other.module} and in {each.module}")
                if name in self.imports:
                    raise JoinError(f"{name} is defined in {each.module} and imported elsewhere")
        self._refuse_hidden_builtins({*first, *self.imports})

    def _refuse_hidden_builtins(self, names: Iterable[str]) -> None:
        """Raise JoinError if a module means Python's own name, which another one replaces."""
        hidden = {name for name in names if hasattr(builtins, name)}
        for each in self.definitions:
            for name in sorted(each.uses & hidden):
                if not self.modules[each.module].has(name):
                    raise JoinError(f"{each.module} means Python's own {name}, which is replaced")


def _parts(reached: _Reached) -> Iterator[str]:
    """Yield the text of each module; a statement that several have is in the first one."""
    written: set[str] = set()
    for module in reached.modules.values():
        kept = [each for each in module.definitions if each in reached.definitions]
        texts = [each.text for each in kept if each.text.strip() not in written]
        written.update(map(str.strip, texts))
        if texts:
            yield f"# {module.name}\n# {module.about}\n" + "\n".join(texts)


def _collect(name: str, sources: Mapping[str, str], modules: dict[str, _Module]) -> None:
    """Add a module behind those that it imports from."""
    if name in modules:
        return
    module = _parsed(name, sources[name])
    for each in module.imports.values():
        if each.is_own():
            _collect(each.module, sources, modules)
    modules[name] = module


def _parsed(name: str, source: str) -> _Module:
    lines, tree = source.splitlines(), ast.parse(source)
    definitions: list[_Definition] = []
    imports: dict[str, _Import] = {}
    begin = 0
    for node in tree.body:
        end = node.end_lineno or 0
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.update(_imported(name, node))
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            _refuse_imports_inside(name, node)
            text = "\n".join(lines[begin:end])
            definitions.append(_Definition(name, text, _bound(node), _names(node, ast.Load)))
        begin = end
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    return _Module(name, about, tuple(definitions), imports)


def _refuse_imports_inside(module: str, node: ast.stmt) -> None:
    """Raise JoinError if a function imports from the package, which the file has not."""
    for each in ast.walk(node):
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            for _, found in _imported(module, each):
                if found.is_own():
                    raise JoinError(f"{module}:{each.lineno}: {found.module} is imported inside")


def _imported(module: str, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Import]]:
    for each in node.names:
        if each.asname is not None:
            raise JoinError(f"{module}:{node.lineno}: {each.name} is renamed")
        if isinstance(node, ast.Import):
            yield each.name.partition(".")[0], _Import(each.name, "")
        else:
            yield each.name, _Import(node.module or "", each.name)


def _bound(node: ast.stmt) -> frozenset[str]:
    """Return the names that a statement at the top of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return frozenset({node.name})
    imported = (each for each in ast.walk(node) if isinstance(each, (ast.Import, ast.ImportFrom)))
    return _names(node, ast.Store) | {name.name for each in imported for name in each.names}


def _names(node: ast.stmt, context: type[ast.expr_context]) -> frozenset[str]:
    found = (each for each in ast.walk(node) if isinstance(each, ast.Name))
    return frozenset(each.id for each in found if isinstance(each.ctx, context))


def _import_block(imports: Iterable[_Import]) -> str:
    whole = sorted({f"import {each.module}" for each in imports if not each.name})
    named: dict[str, set[str]] = {}
    for each in imports:
        if each.name:
            named.setdefault(each.module, set()).add(each.name)
    lines = (f"from {module} import {', '.join(sorted(named[module]))}" for module in sorted(named))
    return "\n".join([*whole, *lines])
