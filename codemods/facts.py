"""What is known of one module once it is read: scopes, classes, and the calls that may be relationships.

Nothing here decides anything, and nothing here looks at another module.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TypeGuard

from backpop.codemods.source import Source

Definition = ast.FunctionDef | ast.AsyncFunctionDef

TOO_DEEP = (RecursionError, MemoryError)
"""What is raised for code that is nested too deeply; Python's parser raises the latter."""

# Folders whose code is not part of the program that is shipped: one program, or one for each entry.
_TESTS = frozenset({"test", "tests", "testing"})
_PROGRAMS = frozenset({"example", "examples", "docs", "benchmarks", "versions"})

_MAPPED = frozenset({"Mapped", "DynamicMapped", "WriteOnlyMapped"})


class Bound(Enum):
    """How a name came to be bound in its scope."""

    IMPORT = "import"  # import a.b, import a.b as c
    FROM = "from"  # from a import b
    CLASS = "class"
    DEF = "def"
    VALUE = "value"  # name = expression
    OTHER = "other"  # a parameter, a loop variable, ...: nothing can be said of its value


@dataclass(frozen=True, eq=False, slots=True)
class Binding:
    """One place where a name is bound."""

    how: Bound
    name: str
    node: ast.AST
    line: int
    scope: Scope
    guard: ast.AST | None  # the innermost if, try, loop or match around it within its scope
    module: str = ""  # of an import
    level: int = 0
    imported: str = ""  # the name in ``from module import imported``
    value: ast.expr | None = None
    made: ClassInfo | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Where the binding statement begins: line and column."""
        return self.line, getattr(self.node, "col_offset", 0)

    @property
    def end(self) -> tuple[int, int]:
        """Where its statement ends: what stands before does not see it."""
        return getattr(self.node, "end_lineno", self.line), getattr(self.node, "end_col_offset", 0)

    @property
    def type_checking(self) -> bool:
        """Whether only type checkers see this binding."""
        return isinstance(self.guard, ast.If) and is_type_checking(self.guard.test)


@dataclass(eq=False, slots=True, repr=False)
class Scope:
    """A module, a class body or a function body, and the names bound in it.

    ``read`` is there for a function that nobody has looked into yet: it finds what is bound in it.
    """

    kind: str  # "module", "class" or "function"
    name: str
    node: ast.Module | ast.ClassDef | Definition
    module: Module
    parent: Scope | None
    read: Callable[[], None] | None = None
    stars: list[Binding] = field(default_factory=list)
    _bindings: dict[str, list[Binding]] = field(default_factory=dict)

    @property
    def bindings(self) -> dict[str, list[Binding]]:
        """Where names are bound, by name."""
        if self.read is not None:
            read, self.read = self.read, None
            read()
        return self._bindings

    def inner(self, node: ast.AST) -> Scope | None:
        """The scope of a class or function that stands in this one; None for any other node."""
        if self.read is not None and isinstance(node, Definition | ast.ClassDef):
            _ = self.bindings
        return self.module.scopes.get(node)

    @property
    def outside(self) -> Scope:
        """This scope, or for a class body the nearest around it that is none."""
        return next(outer for outer in self.chain() if outer.kind != "class")

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(frozen=True, eq=False, slots=True)
class Member:
    """A statement of a class body that binds one name."""

    name: str
    stmt: ast.Assign | ast.AnnAssign
    value: ast.expr | None
    annotation: ast.expr | None


@dataclass(frozen=True, eq=False, slots=True)
class Hint:
    """A declaration of an attribute without a value, and the ``if TYPE_CHECKING:`` that it stands in."""

    stmt: ast.AnnAssign
    block: ast.If | None


@dataclass(frozen=True, eq=False, repr=False)
class ClassInfo:
    """A class statement."""

    name: str
    node: ast.ClassDef
    module: Module
    scope: Scope  # where the class statement stands
    body: Scope  # the scope of its body
    guard: ast.AST | None

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The assignments to one name that stand directly in the body, in order."""
        return tuple(_members(self.node.body))

    @cached_property
    def hints(self) -> dict[str, list[Hint]]:
        """The declarations without a value in the body, by name."""
        found: dict[str, list[Hint]] = {}
        blocks = [stmt for stmt in self.node.body if isinstance(stmt, ast.If) and is_type_checking(stmt.test)]
        places = [(self.node.body, None), *((block.body, block) for block in blocks)]
        for body, block in places:
            for stmt in body:
                if not isinstance(stmt, ast.AnnAssign) or stmt.value is not None:
                    continue
                if block is not None or not is_mapped(unquoted(stmt.annotation)):  # that would be a column
                    found.setdefault(ast.unparse(stmt.target), []).append(Hint(stmt, block))
        return found

    @property
    def qualname(self) -> str:
        """The name with those of the scopes around it, as in ``__qualname__`` without ``<locals>``."""
        names = [scope.name for scope in self.body.chain() if scope.kind != "module"]
        return ".".join(reversed(names))

    @cached_property
    def _last(self) -> dict[str, Member]:
        return {member.name: member for member in self.members}

    def member(self, name: str) -> Member | None:
        """The last assignment of a name that stands directly in the body."""
        return self._last.get(name)

    def literal(self, name: str) -> object:
        """The value of a member that is a plain literal; None otherwise."""
        member = self.member(name)
        return member.value.value if member and isinstance(member.value, ast.Constant) else None

    @property
    def where(self) -> str:
        """``path:line`` for messages."""
        return f"{self.module.shown}:{self.node.lineno}"


class Place(Enum):
    """Where a relationship call stands."""

    BODY = "body"  # the value of an attribute, directly in a class body
    MAPPER_ARGS = "mapper arguments"  # a value in the properties of __mapper_args__, in a class body
    CONDITIONAL = "conditional"  # the same, inside an if, try, ... of the class body
    METHOD = "method"  # in a function of a class: declared_attr and its like
    ASSIGNED = "assigned"  # Class.attribute = relationship(...), or the same by setattr()
    ADDED = "added"  # mapper.add_property("attribute", relationship(...))
    PROPERTIES = "properties"  # a value in the properties of an imperative mapping
    ARGUMENT = "argument"  # inside another call or dictionary
    OTHER = "other"


@dataclass(frozen=True, eq=False, repr=False)
class Site:
    """A call, or a dictionary, that has something to do with what is looked for."""

    node: ast.Call | ast.Dict | ast.Subscript
    stmt: ast.stmt
    scope: Scope
    place: Place
    owner: ClassInfo | None  # the class in whose body it stands
    attribute: str | None  # the name that it is assigned to
    on: ast.expr | None = None  # the class, the mapper or the call that maps, where it is given to one

    def keyword(self, name: str) -> ast.keyword | None:
        """The keyword argument of a call with this name."""
        if not isinstance(self.node, ast.Call):
            return None
        return next((keyword for keyword in self.node.keywords if keyword.arg == name), None)


@dataclass(frozen=True, eq=False, repr=False)
class MapperCall:
    """A statement that looks as if it mapped a class: a call of ``map_imperatively`` or ``mapper``."""

    node: ast.Call
    stmt: ast.stmt
    scope: Scope


@dataclass(frozen=True, eq=False, repr=False)
class Assigned:
    """``owner.name = value``, or ``setattr(owner, "name", value)``, anywhere in a module."""

    owner: ast.expr
    name: str
    value: ast.expr
    stmt: ast.stmt
    scope: Scope


@dataclass(eq=False, repr=False)
class Module:
    """One parsed file."""

    source: Source
    tree: ast.Module
    package: tuple[str, ...]  # the folders that lead to it, from the common root
    name: str  # the last part of its dotted name; "__init__" for a package
    scope: Scope = field(init=False)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)  # of classes and functions that were read
    classes: list[ClassInfo] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    mapper_calls: dict[Scope, list[MapperCall]] = field(default_factory=dict)
    assigned: list[Assigned] = field(default_factory=list)

    @property
    def parts(self) -> tuple[str, ...]:
        """The dotted name as a tuple, from the common root of what is read."""
        return self.package if self.name == "__init__" else (*self.package, self.name)

    @property
    def path(self) -> str:
        """The absolute path of its file."""
        return self.source.path

    @property
    def shown(self) -> str:
        """The path of its file from the common root, for messages."""
        return "/".join((*self.package, f"{self.name}.py"))

    @cached_property
    def aside(self) -> tuple[str, ...]:
        """Where the file stands if it is no part of the project itself; see :func:`aside_of`."""
        return aside_of(self.package, self.name)

    @cached_property
    def named(self) -> dict[str, list[ClassInfo]]:
        """The classes by name, in order."""
        found: dict[str, list[ClassInfo]] = {}
        for made in self.classes:
            found.setdefault(made.name, []).append(made)
        return found

    @cached_property
    def bodies(self) -> dict[Scope, ClassInfo]:
        """The classes by the scope of their body."""
        return {made.body: made for made in self.classes}

    @cached_property
    def at_import(self) -> list[tuple[ast.stmt, ast.Call | ast.Assign]]:
        """The calls and assignments that run when it is imported, each with its top-level statement."""
        return [(stmt, node) for stmt in self.tree.body for node in _run_at_import(stmt)]

    def uses(self, name: str) -> Iterator[ast.Name | ast.Attribute]:
        """Every use of a name, bare or as an attribute of something."""
        for node in self.near(name):
            if (isinstance(node, ast.Name) and node.id == name) or (
                isinstance(node, ast.Attribute) and node.attr == name
            ):
                yield node

    def near(self, name: str) -> Iterator[ast.AST]:
        """The nodes of the statements in which a name may stand, each after those around it."""
        may_hold = self.may_hold(name)
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += filter(may_hold, ast.iter_child_nodes(node))

    def may_hold(self, name: str) -> Callable[[ast.AST], bool]:
        """What tells of its nodes whether a name may stand in them: of a statement, by its lines."""
        if not self.source.text.isascii():  # there are several ways to spell a name
            return lambda node: True
        lines = self.source.lines_with([name])
        return lambda node: not isinstance(node, ast.stmt) or meets(lines, node)

    @cached_property
    def checking_block(self) -> ast.If | None:
        """The first ``if TYPE_CHECKING:`` at the top level, on lines of its own."""
        for stmt in self.tree.body:
            if isinstance(stmt, ast.If) and is_type_checking(stmt.test) and stmt.body[0].lineno > stmt.lineno:
                return stmt
        return None


def aside_of(package: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Where a file stands if it is a test, an example or a migration, not there when the project runs.

    Files with the same value may run together: those of one test suite, or of one example. Empty for a file
    of the project itself.
    """
    for index, folder in enumerate(package):
        if folder in _TESTS:
            return package[: index + 1]
        if folder in _PROGRAMS:
            return (*package, name)[: index + 2]
    is_test = name.startswith(("test_", "conftest")) or name.endswith("_test")
    return (*package, "tests") if is_test else ()


def read_at_once(code: ast.stmt | ast.expr) -> Iterator[str]:
    """Names that a piece of a class body reads while the body runs (functions run later)."""
    waiting: list[ast.AST] = [code]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        if isinstance(node, Definition):
            waiting += [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        elif isinstance(node, ast.Lambda):
            waiting.append(node.args)
        else:
            waiting += ast.iter_child_nodes(node)


def first_line(stmt: ast.stmt) -> int:
    """The first line of a statement, its decorators included."""
    decorators: list[ast.expr] | None = getattr(stmt, "decorator_list", None)
    return min(stmt.lineno, decorators[0].lineno) if decorators else stmt.lineno


def callee(expr: ast.expr) -> ast.expr:
    """What is called, where something is: ``registry.mapped`` of the decorator ``@registry.mapped()``."""
    return expr.func if isinstance(expr, ast.Call) else expr


def last_name(func: ast.expr) -> str:
    """The last name of what is called: ``Column`` for ``sa.Column``."""
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def properties_of(call: ast.Call) -> ast.expr | None:
    """The ``properties`` of a call that maps a class; they are the third argument by position."""
    if len(call.args) > 2:
        return call.args[2]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "properties"), None)


def is_written_out(properties: ast.AST | None) -> TypeGuard[ast.Dict | ast.Call]:
    """Whether ``properties`` are ``{...}`` or ``dict(...)``."""
    return isinstance(properties, ast.Dict) or (
        isinstance(properties, ast.Call) and last_name(properties.func) == "dict" and not properties.args
    )


def entries(properties: ast.Dict | ast.Call) -> Iterator[tuple[str | None, ast.expr]]:
    """The keys and values of ``{...}`` or ``dict(...)``; no key where it is computed."""
    if isinstance(properties, ast.Dict):
        for key, value in zip(properties.keys, properties.values, strict=True):
            known = isinstance(key, ast.Constant) and isinstance(key.value, str)
            yield (str(key.value) if isinstance(key, ast.Constant) and known else None), value
    else:
        for keyword in properties.keywords:
            yield keyword.arg, keyword.value


def unquoted(annotation: ast.expr) -> ast.expr:
    """What an annotation says that is a string; any other as it is."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return ast.Name("_")
    return annotation


def is_mapped(annotation: ast.expr) -> bool:
    """Whether an annotation is ``Mapped[...]``, or one of its like."""
    return isinstance(annotation, ast.Subscript) and last_name(annotation.value) in _MAPPED


def is_type_checking(test: ast.expr) -> bool:
    """Whether an ``if`` is there for type checkers alone."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def is_main(test: ast.expr) -> bool:
    """Whether an ``if`` asks whether the file is run as a script."""
    return "__name__" in ast.unparse(test) and "__main__" in ast.unparse(test)


def meets(lines: Sequence[int], stmt: ast.stmt) -> bool:
    """Whether one of some sorted lines belongs to a statement."""
    return are_between(lines, first_line(stmt), stmt.end_lineno or stmt.lineno)


def are_between(lines: Sequence[int], first: int, last: int) -> bool:
    """Whether there is one of some sorted lines from a first to a last."""
    at = bisect_left(lines, first)
    return at < len(lines) and lines[at] <= last


def _run_at_import(stmt: ast.stmt) -> Iterator[ast.Call | ast.Assign]:
    """What of a statement runs while its module is imported: class bodies do, functions do not."""
    waiting: list[ast.AST] = [stmt]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Definition | ast.Lambda) or (isinstance(node, ast.If) and is_main(node.test)):
            continue
        if isinstance(node, ast.Call | ast.Assign):
            yield node
        waiting += ast.iter_child_nodes(node)


def _members(body: list[ast.stmt]) -> Iterator[Member]:
    for stmt in body:
        if isinstance(stmt, ast.Assign) and len(stmt.targets) == 1 and isinstance(stmt.targets[0], ast.Name):
            yield Member(stmt.targets[0].id, stmt, stmt.value, None)
        elif isinstance(stmt, ast.AnnAssign) and isinstance(stmt.target, ast.Name):
            yield Member(stmt.target.id, stmt, stmt.value, stmt.annotation)
