"""Moving an expression from the source's class body into the target's.

Three spellings, tried in this order: as it stands, where every name in it means the same at the target;
as a string of the declarative registry; as a lambda. Only the arguments in ``LATE`` have the last two:
SQLAlchemy evaluates those when the mappers are configured, and takes everything else literally.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from backpop.codemods.facts import Binding, Bound, ClassInfo, Scope
from backpop.codemods.link import Attribute, External, Project, Resolved, Value
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.model import Import, Refused

# Arguments that SQLAlchemy accepts as a string or a callable: relationship(), "Late-evaluation".
LATE = frozenset({"primaryjoin", "secondaryjoin", "secondary", "foreign_keys", "remote_side", "order_by"})

# Annotations that are names in such a string beside sqlalchemy's own.
_ORM = {"foreign", "remote"}
# What ``sqlalchemy.sql...`` modules define and the top level of sqlalchemy has too, in every version.
_TOP_LEVEL = frozenset(
    {"and_", "or_", "not_", "asc", "desc", "nullsfirst", "nullslast", "func", "case", "cast", "collate"}
    | {
        "distinct",
        "exists",
        "extract",
        "false",
        "true",
        "null",
        "literal",
        "literal_column",
        "select",
        "text",
    }
    | {"tuple_", "type_coerce", "between", "bindparam", "any_", "all_", "over", "within_group"}
)
# Members that make an attribute of the class that a string may name.
_NOT_COLUMNS = {"relationship", "relation", "dynamic_loader", "association_proxy", "backref"}


@dataclass(frozen=True, slots=True)
class Moved:
    """An argument's text at the target, and the imports that it needs there."""

    text: str
    imports: tuple[Import, ...] = ()
    column: int | None = None  # where a text of several lines began in its file


class NotAStringError(Exception):
    """An expression that the registry's strings cannot say."""


def quoted(text: str, quote: str) -> str:
    """A string literal in the house's quotes, or in the others where the text has those in it."""
    other = "'" if quote == '"' else '"'
    if "\\" in text or "\n" in text or (quote in text and other in text):
        return repr(text)
    return f"{other}{text}{other}" if quote in text else f"{quote}{text}{quote}"


class Mover:
    """Spells expressions of ``source``'s class body so that they mean the same in ``target``'s."""

    def __init__(
        self, project: Project, source: ClassInfo, target: ClassInfo, quote: str, scope: Scope | None = None
    ) -> None:
        self.project = project
        self.source = source
        self.target = target
        self.quote = quote
        self.scope = scope or source.body  # where the expressions stand

    # -- the three spellings

    def move(self, keyword: str, expr: ast.expr) -> Moved:
        """The argument at the target. Raises :class:`Refused` where no spelling is safe."""
        scope, body = self._unwrapped(expr)
        late = keyword in LATE
        if late and isinstance(expr, ast.Constant) and isinstance(expr.value, str):
            return Moved(self._segment(expr), column=expr.col_offset)
        as_it_is = self._substituted(expr, self.scope, immediate=True)
        if as_it_is is not None and not as_it_is.imports:
            return as_it_is
        constant = self._constant(expr)
        if constant is not None:
            return Moved(constant)
        if late:
            try:
                return Moved(quoted(self.as_string(expr), self.quote))
            except NotAStringError as error:
                reason = str(error)
            as_lambda = self._substituted(body, scope, immediate=False)
            if as_lambda is not None and not isinstance(body, ast.Lambda):
                return Moved(f"lambda: {as_lambda.text}", as_lambda.imports)
        elif as_it_is is not None:
            return as_it_is
        else:
            reason = "it names something that the target's module does not see"
        raise Refused("BP501", f"{keyword}={ast.unparse(expr)}: {reason}")

    def _constant(self, expr: ast.expr) -> str | None:
        """The literal that a computed argument comes to, as in ``remote_side=f"{cls.__name__}.id"``."""
        try:
            value = evaluate(self.project, expr, self.scope)
        except NotConstantError:
            return None
        if isinstance(value, str):
            return quoted(value, self.quote)
        return repr(value) if value is None or isinstance(value, int | float) else None

    def as_string(self, expr: ast.expr) -> str:
        """The expression as a string of the registry. Raises :class:`NotAStringError`."""
        scope, body = self._unwrapped(expr)
        return ast.unparse(ast.fix_missing_locations(_Stringer(self, scope).visit(_copy(body))))

    def _unwrapped(self, expr: ast.expr) -> tuple[Scope, ast.expr]:
        """A lambda without arguments is its body, which does not see the names of the class body."""
        if isinstance(expr, ast.Lambda) and not _parameters(expr):
            return next(scope for scope in self.scope.chain() if scope.kind != "class"), expr.body
        return self.scope, expr

    def _segment(self, expr: ast.expr) -> str:
        return self.scope.module.source.segment(expr)

    # -- as it stands

    def _substituted(self, expr: ast.expr, scope: Scope, *, immediate: bool) -> Moved | None:
        """The text of an expression with its free names as the target spells them; None if one has none."""
        source = self.scope.module.source
        base, end = source.span(expr)
        text = source.text
        imports: list[Import] = []
        parts: list[str] = []
        done = base
        bound = bound_within(expr)
        for name, in_lambda in free_names(expr, bound):
            at_once = immediate and not in_lambda
            seen_from = (
                scope if not in_lambda else next(outer for outer in scope.chain() if outer.kind != "class")
            )
            spelt = self._spelt(name.id, seen_from, immediate=at_once)
            if spelt is None:
                return None
            start, stop = source.span(name)
            if not base <= start <= stop <= end or text[start:stop] != name.id:
                return None  # within an f-string, whose positions Python 3.11 does not give
            parts += (text[done:start], spelt.text)
            done = stop
            imports += spelt.imports
        parts.append(text[done:end])
        return Moved("".join(parts), tuple(dict.fromkeys(imports)), expr.col_offset)

    def _spelt(self, name: str, scope: Scope, *, immediate: bool) -> Moved | None:
        """How the target spells a name of the source; None where it cannot."""
        target, project = self.target, self.project
        bindings = project.lookup(name, scope)
        home = bindings[0].scope if bindings else None
        seen_from = target.body if immediate else target.scope
        if home is self.source.body:
            if target is self.source and immediate:
                return Moved(name)
            return Moved(f"{self.source.name}.{name}") if not immediate and self.sees_source() else None
        there = project.lookup(name, seen_from)
        if home is not None and home in seen_from.chain():
            if there != bindings:
                return None  # the class body, or a function between, has another thing of this name
            early = home.kind == "module" and target.scope.kind == "function"
            before = early or any(binding.line < target.node.lineno for binding in bindings)
            return Moved(name) if not immediate or before else None
        meaning = project.resolve(ast.Name(name), scope)
        if meaning is None:
            return None
        if meaning == External(f"builtins.{name}"):
            return Moved(name) if not there else None
        if there and project.resolve(ast.Name(name), seen_from) == meaning:
            return Moved(name)
        known = self._known_as(meaning)
        if known is not None:
            return Moved(known)
        return self._imported(name, bindings, bool(there))

    def sees_source(self) -> bool:
        """Whether code that runs later in the target's body finds the source class by its bare name."""
        source = self.source
        return source.scope.kind != "class" and (
            self.project.lookup(source.name, self.target.scope) == source.scope.bindings.get(source.name)
        )

    def _known_as(self, meaning: Resolved) -> str | None:
        """A name by which the target's module already imports something."""
        for name, bindings in self.target.module.scope.bindings.items():
            if all(binding.how in {Bound.IMPORT, Bound.FROM} for binding in bindings) and (
                self.project.resolve(ast.Name(name), self.target.body) == meaning
            ):
                return name
        return None

    def _imported(self, name: str, bindings: list[Binding], taken: bool) -> Moved | None:
        """A name that the source's module imports, imported into the target's as well."""
        if len(bindings) != 1 or taken:
            return None
        binding = bindings[0]
        if binding.how is Bound.IMPORT and isinstance(binding.node, ast.Import):
            alias = next(a for a in binding.node.names if (a.asname or a.name.partition(".")[0]) == name)
            wanted = Import(alias.name, "", alias.asname or "")
        elif binding.how is Bound.FROM and not binding.level:
            alias_name = binding.name if binding.name != binding.imported else ""
            wanted = Import(binding.module, binding.imported, alias_name)
        else:
            return None
        self.check_cycle(wanted, binding)
        return Moved(name, (wanted,))

    def check_cycle(self, wanted: Import, binding: Binding) -> None:
        """Raise :class:`Refused` if an import in the target's module may lead back to that module."""
        importer = binding.scope.module
        home = self.project.find_module(wanted.module, 0, importer)
        goal = self.target.module.path
        if home is not None and (home.path == goal or self.project.reaches(home.path, goal)):
            raise Refused("BP504", f"{wanted.text} in {self.target.module.shown}")

    # -- names of the registry

    def registry_name(self, made: ClassInfo) -> str:
        """How strings name a class: simply, or after as much of its module path as tells it apart.

        Raises :class:`Refused` where no string does.
        """
        function = next((scope for scope in made.scope.chain() if scope.kind == "function"), None)
        rivals = [
            other
            for other in self.project.meets(made, made.name)
            if other is not made
            # classes of other functions come and go with their functions
            and next((s for s in other.scope.chain() if s.kind == "function"), None) in {function, None}
            and not (function is not None and other.scope.kind == "module" and other.module is made.module)
        ]
        if not rivals:
            return made.name
        parts = made.module.parts
        for size in range(1, len(parts) + 1):
            suffix = parts[-size:]
            if all(part.isidentifier() for part in suffix) and all(
                other.module.parts[-size:] != suffix for other in rivals
            ):
                return ".".join((*suffix, made.name))
        places = ", ".join(sorted(other.where for other in (made, *rivals)))
        raise Refused("BP202", f"no string tells {made.name} at {places} apart")

    def table_name(self, table: Value) -> str | None:
        """The key of a Table in the metadata of the target's registry; None if that is not certain."""
        call = table.expr
        if not isinstance(call, ast.Call) or not call.args:
            return None
        name = call.args[0]
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            return None
        schema = ""
        for keyword in call.keywords:
            if keyword.arg == "schema" and isinstance(keyword.value, ast.Constant):
                schema = f"{keyword.value.value!s}." if keyword.value.value else ""
            elif keyword.arg in {"schema", "bind_key", None}:
                return None
        func = self.project.resolve(call.func, table.scope)
        roots = {root.key for root in self.project.roots(self.target)}
        if isinstance(func, Attribute) and func.name == "Table":
            shared = Attribute(func.owner, "Model") in roots
        elif isinstance(func, External) and func.last == "Table" and len(call.args) > 1:
            shared = self._same_metadata(call.args[1], table.scope, roots)
        else:
            return None
        dotted = f"{schema}{name.value}"
        return dotted if shared and all(part.isidentifier() for part in dotted.split(".")) else None

    def _same_metadata(self, expr: ast.expr, scope: Scope, roots: set[Resolved | str]) -> bool:
        metadata = self.project.resolve(expr, scope)
        owner = self.project.resolve(expr.value, scope) if isinstance(expr, ast.Attribute) else None
        if owner in roots or (
            isinstance(owner, ClassInfo) and self.project.same_registry(owner, self.target)
        ):
            return True
        if metadata is None:
            return False
        for root in roots:
            if isinstance(root, str):
                continue
            known = [Attribute(root, "metadata"), *self._metadata_of(root)]
            if isinstance(root, Attribute) and root.name == "Model":
                known.append(Attribute(root.owner, "metadata"))
            if metadata in known:
                return True
        return False

    def _metadata_of(self, root: Resolved) -> list[Resolved]:
        """What a declarative base was given as its metadata."""
        if isinstance(root, Value) and isinstance(root.expr, ast.Call):
            call = root.expr
            given = [keyword.value for keyword in call.keywords if keyword.arg == "metadata"]
            return [found for expr in given for found in self.project.resolve_all(expr, root.scope)]
        if isinstance(root, ClassInfo):
            return (
                self.project.resolve_all(ast.Name("metadata"), root.body)
                if "metadata" in root.body.bindings
                else []
            )
        return []


class _Stringer(ast.NodeTransformer):
    """Rewrites an expression's tree into names of the declarative registry."""

    def __init__(self, mover: Mover, scope: Scope) -> None:
        self.mover = mover
        self.scope = scope
        self.project = mover.project

    def visit_Name(self, node: ast.Name) -> ast.expr:
        bindings = self.project.lookup(node.id, self.scope)
        source = self.mover.source
        if bindings and bindings[0].scope is source.body and not node.id.startswith("__"):
            member = source.member(node.id)
            if member is None or not _may_be_column(member.value, member.annotation):
                raise NotAStringError(f"{node.id} is no column of {source.name}")
            return self._attribute(self._class(source), node.id)
        return self._resolved(node, self.project.resolve(node, self.scope))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        column = self._table_column(node)
        if column is not None:
            return column
        resolved = self.project.resolve(node, self.scope)
        if isinstance(resolved, External | ClassInfo) or (
            isinstance(resolved, Attribute) and self._library_name(resolved) is not None
        ):
            return self._resolved(node, resolved)
        if isinstance(resolved, Value) and self.mover.table_name(resolved):
            return self._resolved(node, resolved)
        owner = self.project.resolve(node.value, self.scope)
        if isinstance(owner, ClassInfo):
            member = owner.member(node.attr)
            if node.attr.startswith("__") or (
                member is not None and not _may_be_column(member.value, member.annotation)
            ):
                raise NotAStringError(f"{ast.unparse(node)} is no column")
        return self._attribute(self.visit(node.value), node.attr)

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        raise NotAStringError("it holds a lambda")

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        raise NotAStringError("it holds a comprehension")

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp  # type: ignore[assignment]
    visit_NamedExpr = visit_Await = visit_JoinedStr = visit_ListComp  # type: ignore[assignment]

    def _attribute(self, owner: ast.expr, name: str) -> ast.expr:
        return ast.Attribute(owner, name, ast.Load())

    def _class(self, made: ClassInfo) -> ast.expr:
        try:
            return ast.parse(self.mover.registry_name(made), mode="eval").body
        except Refused as refused:
            raise NotAStringError(refused.detail) from refused

    def _table_column(self, node: ast.Attribute) -> ast.expr | None:
        """``Class.__table__.c.column``, which no string can say, as ``Class.attribute``."""
        columns = node.value
        if not (isinstance(columns, ast.Attribute) and columns.attr in {"c", "columns"}):
            return None
        table = columns.value
        if not (isinstance(table, ast.Attribute) and table.attr == "__table__"):
            return None
        made = self.project.resolve(table.value, self.scope)
        if not isinstance(made, ClassInfo) or made.member("__table__") is not None:
            return None
        return self._attribute(self._class(made), attribute_of_column(made, node.attr))

    def _library_name(self, resolved: Resolved) -> str | None:
        """The name in a string of something that SQLAlchemy, or a Flask-SQLAlchemy object, provides."""
        if isinstance(resolved, External):
            if not resolved.name.startswith("sqlalchemy."):
                return None
            function = re.search(r"\.func\.([\w.]+)$", resolved.name)
            if function:
                return f"func.{function[1]}"
            top = resolved.name.count(".") == 1 and resolved.last not in {"orm", "ext", "sql"}
            return resolved.last if top or resolved.last in _ORM | _TOP_LEVEL else None
        if isinstance(resolved, Attribute) and isinstance(resolved.owner, Value | External):
            roots = {root.key for root in self.project.roots(self.mover.target)}
            if Attribute(resolved.owner, "Model") in roots and resolved.name in _TOP_LEVEL | _ORM:
                return resolved.name
        return None

    def _resolved(self, node: ast.expr, resolved: Resolved | None) -> ast.expr:
        if isinstance(resolved, ClassInfo):
            if (
                not self.project.is_mapped(resolved)
                or self.project.same_registry(resolved, self.mover.target) is False
            ):
                raise NotAStringError(f"{resolved.name} is not in the registry of {self.mover.target.name}")
            return self._class(resolved)
        if isinstance(resolved, Value):
            name = self.mover.table_name(resolved)
            if name is not None:
                return ast.parse(name, mode="eval").body
            if (
                isinstance(resolved.expr, ast.Constant)
                and resolved.scope.module is not self.mover.target.module
            ):
                return ast.Constant(resolved.expr.value)
        elif resolved is not None:
            name = self._library_name(resolved)
            if name is not None:
                top = name.partition(".")[0]
                if self.project.has_table(top):
                    raise NotAStringError(f"a table or class of the project is named {top}")
                return ast.parse(name, mode="eval").body
        raise NotAStringError(f"{ast.unparse(node)} is not known in the registry's strings")


def attribute_of_column(made: ClassInfo, column: str) -> str:
    """The attribute of a class that a column of this name is mapped to. Raises :class:`NotAStringError`."""
    for member in made.members:
        call = member.value
        if not (isinstance(call, ast.Call) and _may_be_column(call, None)):
            continue
        first = call.args[0] if call.args else None
        name = first.value if isinstance(first, ast.Constant) else member.name
        if name == column:
            return member.name
    if made.member(column) is not None:
        raise NotAStringError(f"{made.name}.{column} is not the column {column}")
    return column  # inherited, or added by a mixin


def _may_be_column(value: ast.expr | None, annotation: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        func = value.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return name not in _NOT_COLUMNS
    return annotation is not None and (value is None)


def _parameters(node: ast.Lambda) -> list[ast.arg]:
    args = node.args
    extra = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def bound_within(expr: ast.expr) -> set[str]:
    """The names that an expression itself binds: parameters of lambdas, variables of comprehensions."""
    names: set[str] = set()
    for node in ast.walk(expr):
        if isinstance(node, ast.Lambda):
            names |= {arg.arg for arg in _parameters(node)}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def free_names(expr: ast.expr, bound: set[str]) -> Iterator[tuple[ast.Name, bool]]:
    """The names that an expression reads from around it, in order, and whether a lambda reads them later."""
    found: list[tuple[ast.Name, bool]] = []
    waiting: list[tuple[ast.AST, bool]] = [(expr, False)]
    while waiting:
        node, later = waiting.pop()
        if isinstance(node, ast.Name) and node.id not in bound:
            found.append((node, later))
        later = later or isinstance(node, ast.Lambda)
        waiting.extend((child, later) for child in ast.iter_child_nodes(node))
    yield from sorted(found, key=lambda item: (item[0].lineno, item[0].col_offset))


def _copy(expr: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(expr), mode="eval").body
