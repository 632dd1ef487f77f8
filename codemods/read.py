"""One file's text to the facts of :mod:`backpop.codemods.facts`, with ``ast``, in one pass."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from backpop.codemods.facts import (
    TOO_DEEP,
    Assigned,
    Binding,
    Bound,
    ClassInfo,
    Definition,
    MapperCall,
    Module,
    Place,
    Scope,
    Site,
    are_between,
    entries,
    first_line,
    is_type_checking,
    is_written_out,
    last_name,
    meets,
    properties_of,
)
from backpop.codemods.source import Source

# SQLAlchemy 1.x took backref as the eighth positional argument.
BACKREF_POSITION = 7

_COMPOUND = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)


# What maps a class imperatively, by its last name: SQLAlchemy 1.4's method, and the function before that.
_MAPPERS = frozenset({"map_imperatively", "mapper"})

_FACTORY_CALL = re.compile(rb"relation(?:ship)?[ \t]*\(")
_KEYWORD = re.compile(rb"\w[ \t]*=(?!=)")
_WINDOW = 1000  # bytes of a call that are looked at


def may_hold_backref(data: bytes) -> bool:
    """Whether the bytes of a file may hold a backref: by that word, or by as many positional arguments."""
    if b"backref" in data:
        return True
    for match in _FACTORY_CALL.finditer(data):
        start = match.end()
        keyword = _KEYWORD.search(data, start, start + _WINDOW)
        if data.count(b",", start, keyword.start() if keyword else start + _WINDOW) >= BACKREF_POSITION:
            return True
    return False


Candidate = ast.Call | ast.Dict | ast.Subscript


class Search(NamedTuple):
    """What a run looks for.

    ``signs`` tell by its bytes whether a file may have some, ``concerns`` which nodes become sites. Each of
    these has one of ``words`` in its text, or ``commas`` commas.
    """

    signs: tuple[Callable[[bytes], bool], ...]
    concerns: Callable[[Candidate], bool]
    words: tuple[str, ...]
    commas: int = sys.maxsize

    def mentioned(self, data: bytes) -> bool:
        """Whether the bytes of a file show a sign."""
        return any(sign(data) for sign in self.signs)

    def __or__(self, other: Search) -> Search:
        """What either of two looks for."""
        return Search(
            (*self.signs, *other.signs),
            lambda node: self.concerns(node) or other.concerns(node),
            (*self.words, *other.words),
            min(self.commas, other.commas),
        )


class SyntaxUnknownError(Exception):
    """A file that this Python cannot parse; the message says where and what to do."""


def read_module(source: Source, package: tuple[str, ...], name: str, search: Search | None = None) -> Module:
    """Parse one file and collect its facts, with the sites of ``search``: of backrefs, if it is not given.

    Raises :class:`SyntaxUnknownError` where the running Python does not know the file's syntax.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the author's business
            tree = ast.parse(source.text)
    except SyntaxError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        where = f"line {error.lineno}: " if error.lineno else ""
        raise SyntaxUnknownError(
            f"{where}{error.msg} (Python {version} cannot parse it; "
            "if a newer Python can, run backpop under that one)"
        ) from error
    except ValueError as error:
        raise SyntaxUnknownError(str(error)) from error
    except TOO_DEEP as error:
        raise SyntaxUnknownError("it is nested too deeply") from error
    module = Module(source, tree, package, name)
    module.scope = Scope("module", name, tree, module, None)
    search = search or BACKREFS
    reader = _Reader(module, search if search.mentioned(source.data) else None)
    try:
        reader.block(tree.body, module.scope, None)
    except TOO_DEEP as error:
        raise SyntaxUnknownError("it is nested too deeply") from error
    return module


# What makes it necessary to look into a function: a relationship, a class, what is put on a class.
_TELLING_WORDS = ("elation", "dynamic_loader", "setattr", "add_property", *_MAPPERS)
_TELLING = re.compile(r"\n[ \t\f]*+(?:class\b|(?!self\.|cls\.)\w++(?:\.\w++)++[ \t]*+=(?!=))")


class _Reader:
    """Walks the statements of a module; looks into expressions only where something wanted may be.

    Functions that show nothing of interest are read when something asks for the names in them.
    """

    def __init__(self, module: Module, search: Search | None) -> None:
        self.module = module
        self.search = search
        source = module.source
        self.lines = source.lines_with(search.words) if search else []
        self.mapping = source.lines_with(_MAPPERS)
        text = source.text.replace("\r", "\n")
        telling = {source.line_of(match.end() - 1) for match in _TELLING.finditer(text)}
        self.telling = sorted(telling.union(self.lines, source.lines_with(_TELLING_WORDS)))
        self.owners: dict[Scope, ClassInfo] = {}

    def block(self, stmts: Iterable[ast.stmt], scope: Scope, guard: ast.AST | None) -> None:
        for stmt in stmts:
            self.statement(stmt, scope, guard)
            if isinstance(stmt, ast.Expr | ast.Assign) and scope.kind != "class":
                self.outside(stmt, scope)

    def statement(self, stmt: ast.stmt, scope: Scope, guard: ast.AST | None) -> None:
        if isinstance(stmt, ast.ClassDef):
            self.class_(stmt, scope, guard)
        elif isinstance(stmt, Definition):
            self.function(stmt, scope, guard)
        elif isinstance(stmt, ast.Import | ast.ImportFrom):
            self.import_(stmt, scope, guard)
        else:
            for target in _targets(stmt):
                self.bind_target(target, stmt, scope, guard)
            if isinstance(stmt, _COMPOUND):
                for part in _heads(stmt):
                    self.scan(part, stmt, scope, guard)
                for block in _blocks(stmt):
                    self.block(block, scope, _guard(stmt, block, guard))
            else:
                self.scan(stmt, stmt, scope, guard)

    def outside(self, stmt: ast.Expr | ast.Assign, scope: Scope) -> None:
        """What a statement adds to a class from outside of its body."""
        for node in ast.walk(stmt.value) if meets(self.mapping, stmt) else ():
            if isinstance(node, ast.Call) and last_name(node.func) in _MAPPERS:
                self.module.mapper_calls.setdefault(scope, []).append(MapperCall(node, stmt, scope))
        if (found := _assigned(stmt)) is not None:
            self.module.assigned.append(Assigned(*found, stmt, scope))

    def class_(self, node: ast.ClassDef, scope: Scope, guard: ast.AST | None) -> None:
        body = Scope("class", node.name, node, self.module, scope)
        self.module.scopes[node] = body
        made = ClassInfo(node.name, node, self.module, scope, body, guard)
        self.module.classes.append(made)
        self.owners[body] = made
        self.bind(Binding(Bound.CLASS, node.name, node, node.lineno, scope, guard, made=made))
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.scan(part, node, scope, guard)
        self.block(node.body, body, None)

    def function(self, node: Definition, scope: Scope, guard: ast.AST | None) -> None:
        self.bind(Binding(Bound.DEF, node.name, node, node.lineno, scope, guard))
        inner = self.module.scopes[node] = Scope("function", node.name, node, self.module, scope)
        if meets(self.telling, node) or (self.search and self.may_concern(self.search, node, node)):
            for part in (*node.decorator_list, node.args):
                self.scan(part, node, scope, guard)
            self.body(node, inner)
        else:
            inner.read = partial(self.body, node, inner)

    def body(self, node: Definition, inner: Scope) -> None:
        """What a function binds."""
        arguments = node.args
        for arg in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ):
            if arg is not None:
                self.bind(Binding(Bound.OTHER, arg.arg, arg, arg.lineno, inner, None))
        self.block(node.body, inner, None)

    def import_(self, stmt: ast.Import | ast.ImportFrom, scope: Scope, guard: ast.AST | None) -> None:
        for alias in stmt.names:
            if isinstance(stmt, ast.Import):
                # ``import a.b`` binds a; ``import a.b as c`` binds a.b
                module = alias.name if alias.asname else alias.name.partition(".")[0]
                name = alias.asname or module
                self.bind(Binding(Bound.IMPORT, name, stmt, stmt.lineno, scope, guard, module))
            else:
                binding = Binding(
                    Bound.FROM,
                    alias.asname or alias.name,
                    stmt,
                    stmt.lineno,
                    scope,
                    guard,
                    stmt.module or "",
                    stmt.level,
                    alias.name,
                )
                if alias.name == "*":
                    scope.stars.append(binding)
                else:
                    self.bind(binding)

    def bind_target(self, target: ast.expr, stmt: ast.stmt, scope: Scope, guard: ast.AST | None) -> None:
        if isinstance(target, ast.Name):
            value = None
            if isinstance(stmt, ast.Assign | ast.AnnAssign):
                value = stmt.value
                if value is None:
                    return  # a bare annotation binds nothing
            how = Bound.VALUE if value is not None else Bound.OTHER
            self.bind(Binding(how, target.id, stmt, stmt.lineno, scope, guard, value=value))
        elif (elements := _unpacked(target, stmt)) is not None:
            for name, value in elements:
                self.bind(Binding(Bound.VALUE, name, stmt, stmt.lineno, scope, guard, value=value))
        elif isinstance(target, ast.Tuple | ast.List | ast.Starred):
            for part in ast.walk(target):
                if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                    self.bind(Binding(Bound.OTHER, part.id, stmt, stmt.lineno, scope, guard))

    def bind(self, binding: Binding) -> None:
        binding.scope.bindings.setdefault(binding.name, []).append(binding)

    def scan(self, root: ast.AST, stmt: ast.stmt, scope: Scope, guard: ast.AST | None) -> None:
        if self.search is None or not self.may_concern(self.search, root, stmt):
            return
        search = self.search
        for node, around in self.candidates(search, root, stmt):
            if search.concerns(node):
                place, body, attribute, on = _place(node, _outwards(around), stmt, scope, guard)
                owner = self.owners.get(body) if body is not None else None
                self.module.sites.append(Site(node, stmt, scope, place, owner, attribute, on))

    def candidates(
        self, search: Search, root: ast.AST, stmt: ast.stmt
    ) -> Iterator[tuple[Candidate, _Around]]:
        """The nodes below one that may be sites, in order."""
        waiting: list[tuple[ast.AST, _Around]] = [(root, ())]
        while waiting:
            node, around = waiting.pop()
            kind = type(node)
            if kind in _LEAVES:
                continue
            long = kind in _LONG and isinstance(node, ast.expr) and (node.end_lineno or 0) > node.lineno + 2
            if long and not self.may_concern(search, node, stmt):
                continue
            if kind in _CANDIDATES:
                yield node, around  # type: ignore[misc]
            if kind in _AROUND:
                around = (node, around)
            for name in reversed(node._fields):
                value = getattr(node, name, None)
                if isinstance(value, list):
                    waiting += [(one, around) for one in reversed(value) if isinstance(one, ast.AST)]
                elif isinstance(value, ast.AST):
                    waiting.append((value, around))

    def may_concern(self, search: Search, root: ast.AST, stmt: ast.stmt) -> bool:
        """Whether the text of something shows that a site may be in it."""
        if isinstance(root, ast.expr):
            first, last = root.lineno, root.end_lineno or root.lineno
        else:
            first, last = first_line(stmt), stmt.end_lineno or stmt.lineno
        if are_between(self.lines, first, last):
            return True
        source = self.module.source
        start, end = source.line_starts[first - 1], source.line_end(last)
        return end - start > search.commas and source.text.count(",", start, end) >= search.commas


# The calls, dictionaries, lambdas and conditions around a node, from the inside out.
_Around = tuple[()] | tuple[ast.AST, "_Around"]
_AROUND = frozenset({ast.Call, ast.Dict, ast.Lambda, ast.IfExp})
_LEAVES = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store})
_CANDIDATES = frozenset({ast.Call, ast.Dict, ast.Subscript})
_LONG = frozenset({ast.Call, ast.Dict, ast.List, ast.Tuple})


def _outwards(around: _Around) -> tuple[ast.AST, ...]:
    """The same from the outside in."""
    found: list[ast.AST] = []
    while around:
        node, around = around
        found.append(node)
    return tuple(reversed(found))


def _concerns_backref(node: Candidate) -> bool:
    """Whether ``backref`` may be given here: as a keyword, by position, in a splat, or as a key."""
    if isinstance(node, ast.Call):
        return len(node.args) > BACKREF_POSITION or any(
            keyword.arg is None or keyword.arg == "backref" for keyword in node.keywords
        )
    if isinstance(node, ast.Dict):
        return any(isinstance(key, ast.Constant) and key.value == "backref" for key in node.keys)
    return (
        isinstance(node.ctx, ast.Store)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == "backref"
    )


BACKREFS = Search((may_hold_backref,), _concerns_backref, ("backref", "**"), BACKREF_POSITION)


def _names_partner(node: Candidate) -> bool:
    return isinstance(node, ast.Call) and any(keyword.arg == "back_populates" for keyword in node.keywords)


def _may_hold_pair(data: bytes) -> bool:
    return b"back_populates" in data


PAIRS = Search((_may_hold_pair,), _names_partner, ("back_populates",))


def _may_be_relationship(node: Candidate) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = last_name(node.func)
    return name in _FACTORIES or any(
        keyword.arg in {"backref", "back_populates"} for keyword in node.keywords
    )


_FACTORIES = {"relationship", "relation", "dynamic_loader", "Relationship"}


def _may_hold_relationship(data: bytes) -> bool:
    return b"relation" in data or b"dynamic_loader" in data or b"backref" in data


RELATIONSHIPS = Search(
    (_may_hold_relationship,),
    _may_be_relationship,
    ("elation", "dynamic_loader", "backref", "back_populates"),
)


def _place(
    node: Candidate, inside: tuple[ast.AST, ...], stmt: ast.stmt, scope: Scope, guard: ast.AST | None
) -> tuple[Place, Scope | None, str | None, ast.expr | None]:
    """Where a call stands, the class body that it belongs to, the attribute, and what it is given to."""
    target: ast.expr | None = None
    if isinstance(stmt, ast.Assign) and len(stmt.targets) == 1:
        target = stmt.targets[0]
    elif isinstance(stmt, ast.AnnAssign):
        target = stmt.target
    direct = isinstance(stmt, ast.Assign | ast.AnnAssign) and stmt.value is node
    if (given := _given(node, inside)) is not None:
        return given[0], None, given[1], given[2]
    if scope.kind == "class":
        if direct and isinstance(target, ast.Name):
            return (Place.CONDITIONAL if guard else Place.BODY), scope, target.id, None
        if isinstance(target, ast.Name) and target.id == "__mapper_args__" and guard is None:
            return Place.MAPPER_ARGS, scope, _key_in_mapper_args(node, inside), None
        return Place.OTHER, scope, None, None
    if isinstance(stmt, ast.Expr | ast.Assign) and (found := _assigned(stmt)) and found[2] is node:
        return Place.ASSIGNED, None, found[1], found[0]
    if any(isinstance(outer, ast.Dict | ast.Call) for outer in inside):
        return Place.ARGUMENT, None, None, None
    if scope.kind == "function" and scope.parent is not None and scope.parent.kind == "class":
        return Place.METHOD, scope.parent, scope.name, None
    return Place.OTHER, None, None, None


def _key_in_mapper_args(node: Candidate, inside: tuple[ast.AST, ...]) -> str | None:
    """The attribute that a value of ``{"properties": {...}}`` becomes; None for one that stands elsewhere."""
    match inside:
        case (outer, properties) if is_written_out(outer) and is_written_out(properties):
            if ("properties", properties) in entries(outer):
                return next((key for key, value in entries(properties) if value is node), None)
    return None


def _given(node: Candidate, inside: tuple[ast.AST, ...]) -> tuple[Place, str | None, ast.expr] | None:
    """The mapper, or the call that maps, which a relationship is given to directly, with the attribute."""
    outer = inside[-1] if inside else None
    if isinstance(outer, ast.Call) and last_name(outer.func) == "add_property":
        match outer:
            case ast.Call(func=ast.Attribute(value=on), args=[ast.Constant(value=str(name)), value]):
                return (Place.ADDED, name, on) if value is node else None
    mapper = inside[-2] if len(inside) > 1 else None
    if not (isinstance(mapper, ast.Call) and last_name(mapper.func) in _MAPPERS):
        return None
    if not is_written_out(outer) or properties_of(mapper) is not outer:
        return None
    return Place.PROPERTIES, next((key for key, value in entries(outer) if value is node), None), mapper


def _assigned(stmt: ast.Expr | ast.Assign) -> tuple[ast.expr, str, ast.expr] | None:
    """The owner, the attribute and the value of ``owner.name = value`` and its like."""
    match stmt:
        case ast.Assign(targets=[ast.Attribute(value=owner, attr=name)], value=value):
            return owner, name, value
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=owner, attr="__mapper__"), attr="add_property"),
                args=[ast.Constant(value=str(name)), value],
            )
        ):
            return owner, name, value
        case ast.Expr(
            value=ast.Call(
                func=ast.Name(id="setattr"),
                args=[owner, ast.Constant(value=str(name)), value],
                keywords=[],
            )
        ):
            return owner, name, value
    return None


def _unpacked(target: ast.expr, stmt: ast.stmt) -> list[tuple[str, ast.expr]] | None:
    """The names and values of ``a, b = x, y``; None for what is not so plain."""
    value = stmt.value if isinstance(stmt, ast.Assign) else None
    if not (isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List)):
        return None
    names = [part.id for part in target.elts if isinstance(part, ast.Name)]
    starred = any(isinstance(part, ast.Starred) for part in value.elts)
    if starred or not len(names) == len(target.elts) == len(value.elts):
        return None
    return list(zip(names, value.elts, strict=True))


def _targets(stmt: ast.stmt) -> list[ast.expr]:
    """The targets that a statement binds in its own scope."""
    targets: list[ast.expr] = []
    if isinstance(stmt, ast.Assign):
        targets = list(stmt.targets)
    elif isinstance(stmt, ast.AnnAssign | ast.AugAssign | ast.For | ast.AsyncFor):
        targets = [stmt.target]
    elif isinstance(stmt, ast.With | ast.AsyncWith):
        targets = [item.optional_vars for item in stmt.items if item.optional_vars is not None]
    elif isinstance(stmt, ast.Delete):
        targets = stmt.targets
    return targets


def _guard(stmt: ast.stmt, block: list[ast.stmt], guard: ast.AST | None) -> ast.AST | None:
    """What decides whether a block runs; the branch that a type checker does not take is taken always."""
    if isinstance(stmt, ast.If):
        negated = isinstance(stmt.test, ast.UnaryOp) and isinstance(stmt.test.op, ast.Not)
        test = stmt.test.operand if isinstance(stmt.test, ast.UnaryOp) else stmt.test
        if is_type_checking(test) and negated == (block is stmt.body):
            return guard
    return stmt


def _heads(stmt: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a compound statement that stand in none of its blocks."""
    for part in ast.iter_child_nodes(stmt):
        head: ast.AST | None = part
        if isinstance(part, ast.withitem):
            head = part.context_expr
        elif isinstance(part, ast.ExceptHandler):
            head = part.type
        elif isinstance(part, ast.match_case):
            head = part.guard
        if isinstance(head, ast.expr):
            yield head


def _blocks(stmt: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The statement lists within a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(stmt, name, None)
        if block:
            yield block
    for handler in getattr(stmt, "handlers", ()):
        yield handler.body
    for case in getattr(stmt, "cases", ()):
        yield case.body
