"""Which modules of a package a program needs, found by reading them: nothing is imported and nothing runs.

A module's own imports always run. Those inside a function run where the function is reached: it is named in code that
is reached, as a name, through its module, or, for a method, as an attribute of anything at all. So too much may be
found, and what is looked up by a name made at run time has to be given as a start.

A module that imports one of the packages `without` at once is left out, and so is what only it needs: a function
that asks for such a module could not be called where those packages are not.
"""

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["Found", "follow"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Decorators that call nothing later; a function with any other one is held by whoever decorated it.
_PASSIVE = {"abstractmethod", "cache", "cached_property", "classmethod", "contextmanager", "asynccontextmanager",
            "dataclass", "lru_cache", "overload", "property", "runtime_checkable", "staticmethod", "total_ordering",
            "wraps", "setter"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a program needs of a package.

    modules: their names. texts: every text in the code that is reached, among them the names of files of data.
    packages: what of elsewhere is imported at once with them, by top name; the standard library is not told.
    later: what is imported inside the functions that are reached.
    """

    modules: frozenset[str]
    texts: frozenset[str]
    packages: frozenset[str]
    later: frozenset[str]


@dataclass(frozen=True, eq=False)
class _Module:
    """A module that was read. above: the package that relative imports begin from."""

    name: str
    above: str
    tree: ast.Module
    definitions: dict[str, _Definition]
    bound: dict[str, str]  # by name: the dotted name that a module-level import gives it


@dataclass
class _State:
    waiting: list[tuple[str, str, list[ast.AST]]] = field(default_factory=list)  # module, class, code
    seen: set[tuple[str, str]] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    asleep: dict[str, list[tuple[str, str, ast.AST]]] = field(default_factory=dict)  # methods, by name
    texts: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)


def follow(
    folder: Path,
    starts: Collection[str],
    *,
    without: Collection[str],
    instead: Mapping[str, str] | None = None,
) -> Found:
    """What is needed to import the modules `starts` and to call whatever they list in `__all__`.

    folder: the package's own. without: top names of packages that will not be there. instead: by module, the text to
    read in place of its file. Raises ValueError where a start is no module, or needs one of those packages at once.
    """
    follower = _Follower(folder, frozenset(without), dict(instead or {}))
    for start in starts:
        if not follower.is_module(start) or not follower.possible(start):
            raise ValueError(f"{start} is missing, or needs a package that will not be there")
        follower.enter(start)
        for name in _listed(follower.read(start).tree):
            follower.reach(f"{start}.{name}")
    follower.run()
    state = follower.state
    ours = {folder.name, *sys.stdlib_module_names}
    packages = frozenset(state.packages - ours)
    return Found(
        frozenset(state.modules), frozenset(state.texts), packages, frozenset(state.later - ours - packages)
    )


class _Follower:
    def __init__(self, folder: Path, without: frozenset[str], instead: dict[str, str]) -> None:
        self.folder, self.without, self.instead = folder, without, instead
        self.state = _State()
        self.read = cache(self._read)
        self.possible = cache(self._possible)
        self.is_module = cache(lambda name: self._file(name) is not None)

    # ------------------------------------------------------------ modules
    def _file(self, name: str) -> Path | None:
        first, *rest = name.split(".")
        if first != self.folder.name:
            return None
        path = self.folder.joinpath(*rest)
        for file in (path / "__init__.py", path.with_suffix(".py") if rest else path):
            if file.is_file():
                return file
        return None

    def _read(self, name: str) -> _Module:
        file = self._file(name)
        assert file is not None
        tree = ast.parse(self.instead.get(name) or file.read_text(encoding="utf-8"))
        above = name if file.name == "__init__.py" else name.rpartition(".")[0]
        definitions: dict[str, _Definition] = {
            node.name: node for node in _statements(tree.body) if isinstance(node, _DEFINITIONS)
        }
        bound: dict[str, str] = {}
        for node in _statements(tree.body):
            bound.update(_bindings(node, above))
        return _Module(name, above, tree, definitions, bound)

    def _possible(self, name: str) -> bool:
        """Whether a module and all that it imports at once can be imported."""
        waiting, seen = [name], {name}
        while waiting:
            module = self.read(waiting.pop())
            for target in _imported(_statements(module.tree.body, soft=False), module.above):
                if not self.is_module(target.partition(".")[0]):
                    if target.partition(".")[0] in self.without:
                        return False
                    continue
                for needed in self._on_the_way(target):
                    if needed not in seen:
                        seen.add(needed)
                        waiting.append(needed)
        return True

    def _on_the_way(self, target: str) -> Iterator[str]:
        """The modules that importing a dotted name runs: the packages above it, and itself if it is one."""
        parts = target.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if not self.is_module(name):
                return
            yield name

    # ------------------------------------------------------------ what is reached
    def enter(self, target: str) -> None:
        """Import a dotted name: the code of its modules runs."""
        for name in self._on_the_way(target):
            if name not in self.state.modules and self.possible(name):
                self.state.modules.add(name)
                module = self.read(name)
                code = [node for node in module.tree.body if not isinstance(node, _DEFINITIONS)]
                self.state.waiting.append((name, "", list(code)))
                hard = _imported(_statements(module.tree.body, soft=False), module.above)
                self.state.packages |= {one.partition(".")[0] for one in hard}
                for one in module.definitions.values():
                    outer = [*one.decorator_list, *([] if isinstance(one, ast.ClassDef) else _defaults(one))]
                    self.state.waiting.append((name, "", list(outer)))
                    if _is_held(one):
                        self.reach(f"{name}.{one.name}")

    def reach(self, target: str) -> None:
        """Something with that dotted name is used: a function, a class, or a module as a whole."""
        owner, _, name = target.rpartition(".")
        if self.is_module(target):
            self.enter(target)
            return
        if not owner or not self.is_module(owner) or not self.possible(owner):
            return
        self.enter(owner)
        module = self.read(owner)
        if name in module.definitions:
            self._open(module, module.definitions[name])
        elif name in module.bound and module.bound[name] != target:
            self.reach(module.bound[name])

    def reach_all(self, name: str) -> None:
        """A module is handed on as a value: any of it may be used."""
        if self.possible(name):
            self.enter(name)
            for one in self.read(name).definitions:
                self.reach(f"{name}.{one}")

    def _open(self, module: _Module, node: _Definition) -> None:
        key = (module.name, node.name)
        if key in self.state.seen:
            return
        self.state.seen.add(key)
        if not isinstance(node, ast.ClassDef):
            self.state.waiting.append((module.name, node.name, [node]))
            return
        code: list[ast.AST] = [*node.bases, *(one.value for one in node.keywords)]
        for inner in node.body:
            if not isinstance(inner, _FUNCTIONS):
                code.append(inner)
                continue
            code += [*inner.decorator_list, *_defaults(inner)]
            if inner.name.startswith("__") or inner.name in self.state.mentioned or _is_held(inner):
                code.append(inner)
            else:
                self.state.asleep.setdefault(inner.name, []).append((module.name, node.name, inner))
        self.state.waiting.append((module.name, node.name, code))

    def _mention(self, name: str) -> None:
        if name not in self.state.mentioned:
            self.state.mentioned.add(name)
            for module, owner, node in self.state.asleep.pop(name, []):
                self.state.waiting.append((module, owner, [node]))

    def run(self) -> None:
        """Read all code that is reached, until there is no more."""
        while self.state.waiting:
            name, _, code = self.state.waiting.pop()
            _Reader(self, self.read(name)).read(code)


class _Reader:
    """Reads a piece of one module's code."""

    def __init__(self, follower: _Follower, module: _Module) -> None:
        self.follower, self.module = follower, module
        self.bound = dict(module.bound)

    def read(self, code: list[ast.AST]) -> None:
        for piece in code:
            for node in _inside(piece):
                self._import(node)
        for piece in code:
            self._visit(piece)

    def _import(self, node: ast.AST) -> None:
        self.bound.update(_bindings(node, self.module.above))
        for target in _imported([node], self.module.above):
            if self.follower.is_module(target.partition(".")[0]):
                self.follower.enter(target)
            self.follower.state.later.add(target.partition(".")[0])

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.If) and _is_typing(node.test):
            for other in node.orelse:
                self._visit(other)
            return
        if isinstance(node, ast.Attribute):
            self.follower._mention(node.attr)
            dotted = self._dotted(node)
            if dotted is not None:
                self.follower.reach(dotted)
                return
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._name(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.follower.state.texts.add(node.value)
            if node.value.isidentifier():
                self.follower._mention(node.value)  # as getattr is given it
        for child in ast.iter_child_nodes(node):
            self._visit(child)

    def _name(self, name: str) -> None:
        if name in self.bound and self.follower.is_module(self.bound[name]):
            self.follower.reach_all(self.bound[name])
        elif name in self.bound:
            self.follower.reach(self.bound[name])
        elif name in self.module.definitions:
            self.follower.reach(f"{self.module.name}.{name}")

    def _dotted(self, node: ast.expr) -> str | None:
        """The dotted name that a chain of attributes means, where it begins with a module; else None.

        `tasks.train` means a function; of `tasks.tasks.names`, whose `tasks.tasks` is no module, nothing is reached
        but the first two.
        """
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            self.follower._mention(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or not self.follower.is_module(self.bound.get(node.id, "")):
            return None
        dotted = self.bound[node.id]
        for name in reversed(names):
            dotted = f"{dotted}.{name}"
            if not self.follower.is_module(dotted):
                break
        return dotted


# ---------------------------------------------------------------- reading a tree
def _statements(body: list[ast.stmt], *, soft: bool = True) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, at any depth of `if` and `try`.

    soft: with those that may fail, for an ImportError is caught.
    """
    for node in body:
        if isinstance(node, ast.If):
            yield from [] if _is_typing(node.test) else _statements(node.body, soft=soft)
            yield from _statements(node.orelse, soft=soft)
        elif isinstance(node, ast.Try):
            if soft or not any(_catches_imports(one) for one in node.handlers):
                yield from _statements(node.body, soft=soft)
            for handler in node.handlers:
                yield from _statements(handler.body, soft=soft)
            yield from _statements([*node.orelse, *node.finalbody], soft=soft)
        elif isinstance(node, ast.With):
            yield from _statements(node.body, soft=soft)
        else:
            yield node


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but for what only type checkers read."""
    yield node
    below = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and _is_typing(node.test):
        below = iter(node.orelse)
    for child in below:
        yield from _inside(child)


def _imported(nodes: Iterator[ast.stmt] | list[ast.AST], above: str) -> Iterator[str]:
    """The dotted names that these statements import; of `from a import b` it is a.b, which may be no module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, above)
            yield from (origin if one.name == "*" else f"{origin}.{one.name}" for one in node.names)


def _bindings(node: ast.AST, above: str) -> Iterator[tuple[str, str]]:
    """(name, dotted name) of what an import binds."""
    if isinstance(node, ast.Import):
        for one in node.names:
            yield (one.asname, one.name) if one.asname else (one.name.partition(".")[0],) * 2
    elif isinstance(node, ast.ImportFrom):
        origin = _origin(node, above)
        yield from ((one.asname or one.name, f"{origin}.{one.name}") for one in node.names)


def _origin(node: ast.ImportFrom, above: str) -> str:
    if not node.level:
        return node.module or ""
    parts = above.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def _is_typing(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    caught = {getattr(one, "id", "") for one in ast.walk(handler.type)} if handler.type else {"Exception"}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _defaults(node: _Definition) -> list[ast.expr]:
    """What of a function's head runs at once: defaults, and annotations, which frameworks read."""
    if isinstance(node, ast.ClassDef):
        return []
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    notes = [one.annotation for one in every if one is not None and one.annotation is not None]
    return [*given.defaults, *(one for one in given.kw_defaults if one is not None), *notes]


def _is_held(node: _Definition) -> bool:
    """Whether somebody may call it who does not name it: it has a decorator that keeps it."""
    names = set()
    for one in node.decorator_list:
        one = one.func if isinstance(one, ast.Call) else one
        names.add(getattr(one, "attr", getattr(one, "id", "")))
    return bool(names - _PASSIVE)


def _listed(tree: ast.Module) -> list[str]:
    """The names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            found: list[str] = ast.literal_eval(node.value)
            return found
    return []
