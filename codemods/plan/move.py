"""Moving an expression from the source's class body into the target's.

Three spellings, tried in this order: as it stands, where every name in it means the same at the target;
as a string of the declarative registry; as a lambda. Only the arguments in ``LATE`` have the last two:
SQLAlchemy evaluates those when the mappers are configured, and takes everything else literally.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from typing import NamedTuple

from backpop.codemods.facts import Binding, Bound, ClassInfo, Scope, last_name
from backpop.codemods.link import External, Opaque, Project, Resolved, Value
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.model import Form, Import, Refused, Spot
from backpop.codemods.plan.registry import (
    class_name,
    class_table_name,
    is_hidden,
    library_name,
    table_name,
)

# Arguments that SQLAlchemy accepts as a string or a callable: relationship(), "Late-evaluation".
LATE = frozenset({"primaryjoin", "secondaryjoin", "secondary", "foreign_keys", "remote_side", "order_by"})

# What makes an attribute of a class that a string may name.
COLUMN_MAKERS = {"Column", "mapped_column", "column_property", "deferred", "synonym", "query_expression"}
# Methods of tables, and of what is selected from them, that make no new table in the metadata.
_OF_TABLES = {"alias", "cte", "join", "outerjoin", "select", "subquery", "where"}
_WITH_SELECTABLE = re.compile(r"with_polymorphic'?[:=] *\(")
_NOT_COLUMNS = {"relationship", "relation", "dynamic_loader", "association_proxy", "backref", "composite"}


class Moved(NamedTuple):
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
    """Spells expressions of ``source``'s class body so that they mean the same where the reverse is written.

    That is ``spot``, the body of ``target`` if it is not given. ``scope`` is where the expressions stand, if
    not in the class body itself; ``stmt`` their statement: names that a class body binds after it are not yet
    seen there.
    """

    def __init__(
        self,
        project: Project,
        source: ClassInfo,
        target: ClassInfo,
        quote: str,
        scope: Scope | None = None,
        stmt: ast.stmt | None = None,
        spot: Spot | None = None,
    ) -> None:
        self.project = project
        self.source = source
        self.target = target
        self.quote = quote
        self.scope = scope or source.body
        self.stmt = stmt
        self.spot = spot or Spot.body(target)

    # -- the three spellings

    def move(self, keyword: str, expr: ast.expr) -> Moved:
        """The argument at the target. Raises :class:`Refused` where no spelling is safe."""
        late = keyword in LATE
        if isinstance(expr, ast.Constant) and not hasattr(expr, "lineno"):  # given by a function
            return Moved(quoted(expr.value, self.quote) if isinstance(expr.value, str) else repr(expr.value))
        if late and isinstance(expr, ast.Constant) and isinstance(expr.value, str):
            added = self.spot.form is Form.ADDED and not self.project.is_mapped(self.target)
            if added or self.project.same_registry(self.source, self.target) is False:
                raise Refused("BP506", f"{keyword}={ast.unparse(expr)}")
            return Moved(self._segment(expr), column=expr.col_offset)
        if keyword == "secondary" and self._makes_table(expr):
            return self._named_table(expr)
        # what is looked up in a container may not be there yet where the target stands
        before = self.spot.form in {Form.BODY, Form.ENTRY}
        looked_up = late and before and any(isinstance(node, ast.Subscript) for node in ast.walk(expr))
        as_it_is = None if looked_up else self._substituted(expr, self.scope, immediate=True, late=late)
        if as_it_is is not None and not (late and as_it_is.imports):
            return as_it_is
        constant = self._constant(expr)
        if constant is not None:
            return Moved(constant)
        if not late:
            reason = "it names something that the target's module does not see"
            raise Refused("BP501", f"{keyword}={ast.unparse(expr)}: {reason}")
        return self._late(keyword, expr)

    def _makes_table(self, expr: ast.expr) -> bool:
        """Whether an expression makes a table, or may, each time that it is read."""
        for node in ast.walk(expr):
            if isinstance(node, ast.Call) and last_name(node.func) not in _OF_TABLES:
                found = self.project.resolve(node.func, self.scope)
                library = isinstance(found, External) and found.name.startswith("sqlalchemy.")
                if not library or last_name(node.func) == "Table":
                    return True
        return False

    def _named_table(self, expr: ast.expr) -> Moved:
        """A table that the forward makes, by its name: metadata take no second one of that name."""
        if self.spot.form in {Form.BODY, Form.ASSIGNED}:
            with suppress(NotAStringError):
                return Moved(quoted(self.as_string(expr, "secondary"), self.quote))
        raise Refused("BP501", f"secondary={ast.unparse(expr)}: it may make a table, which it can only once")

    def _late(self, keyword: str, expr: ast.expr) -> Moved:
        if self.spot.form is not Form.BODY and (as_lambda := self._as_lambda(expr)) is not None:
            return as_lambda  # beside the source, where its own names are in reach; and 1.3 has no other way
        try:
            return Moved(quoted(self.as_string(expr, keyword), self.quote))
        except NotAStringError as error:
            reason = str(error)
        as_lambda = self._as_lambda(expr)
        if as_lambda is not None:
            return as_lambda
        try:
            return Moved(quoted(self.as_string(expr, keyword, qualified=True), self.quote))
        except NotAStringError:
            raise Refused("BP501", f"{keyword}={ast.unparse(expr)}: {reason}") from None

    def _as_lambda(self, expr: ast.expr) -> Moved | None:
        scope, body = self._unwrapped(expr)
        moved = self._substituted(body, scope, immediate=False)
        if moved is None or isinstance(body, ast.Lambda):
            return None
        called = ""
        if body is expr and isinstance(body, ast.Name | ast.Attribute):
            found = self.project.resolve(body, scope)
            function = isinstance(found, Opaque) and found.binding.how is Bound.DEF
            if function or (isinstance(found, Value) and isinstance(found.expr, ast.Lambda)):
                called = "()"  # a callable that is called when the mappers are configured
        return Moved(f"lambda: {moved.text}{called}", moved.imports)

    def _constant(self, expr: ast.expr) -> str | None:
        """The literal that a computed argument comes to, as in ``remote_side=f"{cls.__name__}.id"``."""
        try:
            value = evaluate(self.project, expr, self.scope)
        except NotConstantError:
            return None
        if isinstance(value, str):
            return quoted(value, self.quote)
        return repr(value) if value is None or isinstance(value, int | float) else None

    def as_string(self, expr: ast.expr, keyword: str = "", *, qualified: bool = False) -> str:
        """The expression as a string of the registry. Raises :class:`NotAStringError`.

        ``qualified`` allows names with a module path; those hold only while the modules keep their names.
        """
        scope, body = self._unwrapped(expr)
        stringer = _Stringer(self, scope, qualified=qualified, tables_first=keyword == "secondary")
        text = ast.unparse(ast.fix_missing_locations(stringer.visit(_copy(body))))
        if keyword == "secondary" and not all(map(str.isidentifier, text.split("."))):
            raise NotAStringError("SQLAlchemy 2.1 looks up a name, and evaluates nothing")
        return text

    def class_argument(self, by_string: bool, named: ast.expr | None = None) -> str:
        """How the reverse names the source class: by a string, or late where no string reaches.

        ``by_string`` says that the forward names the target so, which proves that they share a registry.
        ``named`` is what the forward's own scope calls the source, if it does not stand in its class body.
        """
        if self.spot.form is not Form.BODY:
            return self._class_object(named)
        if self.sees_source() and self.project.beside(self.source):
            return f"lambda: {self.source.name}"  # no string tells it from those
        shared = self.project.same_registry(self.source, self.target)
        if shared or (shared is None and by_string):
            try:
                name = class_name(self.project, self.source)
            except Refused:
                if not self.sees_source():
                    raise
                return f"lambda: {self.source.name}"
            # a test or an example that adds a class of the same name to the registry must not matter
            if not self.sees_source() or not (
                "." in name or self.project.shares_registry(self.source, self.source.name)
            ):
                return quoted(name, self.quote)
        if self.sees_source():
            return f"lambda: {self.source.name}"
        source, target = self.source, self.target
        raise Refused("BP506", f"{source.name} at {source.where} and {target.name} at {target.where}")

    def _class_object(self, named: ast.expr | None) -> str:
        """The source class itself, which a reverse outside of class bodies can name."""
        if named is None and self.sees_source():
            early = all(one.line < self.spot.line for one in self._bound_there(self.source.name))
            return self.source.name if early else f"lambda: {self.source.name}"
        for immediate in (True, False):
            moved = self._substituted(named, self.scope, immediate=immediate) if named is not None else None
            if moved is not None and not moved.imports:
                return moved.text if immediate else f"lambda: {moved.text}"
        raise Refused("BP312", f"{self.source.name} cannot be named at line {self.spot.line}")

    def _bound_there(self, name: str) -> list[Binding]:
        """The bindings of a name in the very scope of the reverse, which may come too late for it."""
        return [one for one in self.project.lookup(name, self.spot.outer) if one.scope is self.spot.outer]

    def _unwrapped(self, expr: ast.expr) -> tuple[Scope, ast.expr]:
        """A lambda without arguments is its body, which does not see the names of the class body."""
        if isinstance(expr, ast.Lambda) and not _parameters(expr):
            return self.scope.outside, expr.body
        return self.scope, expr

    def _segment(self, expr: ast.expr) -> str:
        return self.scope.module.source.segment(expr)

    # -- as it stands

    def _substituted(
        self, expr: ast.expr, scope: Scope, *, immediate: bool, late: bool = True
    ) -> Moved | None:
        """The text of an expression with its free names as the target spells them; None if one has none.

        ``immediate``: they are read when the reverse is made; ``late``: what they stand for may be the mapped
        attribute of a class instead of its column.
        """
        source = self.scope.module.source
        moves = self.spot.scope not in self.scope.chain()
        if moves and any(
            isinstance(node, ast.Attribute) and is_mangled(node.attr) for node in ast.walk(expr)
        ):
            return None
        base, end = source.span(expr)
        imports: list[Import] = []
        parts: list[str] = []
        done = base
        for name, later in free_names(expr):
            seen_from = scope.outside if later else scope
            spelt = self._spelt(name.id, seen_from, immediate=immediate and not later, late=late)
            start, stop = source.span(name)
            if spelt is None or not base <= start <= stop <= end or source.text[start:stop] != name.id:
                return None  # positions within an f-string are wrong before Python 3.12
            parts += (source.text[done:start], spelt.text)
            done = stop
            imports += spelt.imports
        parts.append(source.text[done:end])
        return Moved("".join(parts), tuple(dict.fromkeys(imports)), expr.col_offset)

    def seen(self, name: str, scope: Scope) -> tuple[list[Binding], Scope]:
        """The bindings of a name that an expression of the source sees, and the scope to see them from."""
        bindings = self.project.lookup(name, scope)
        if scope.kind == "class" and self.stmt is not None and bindings and bindings[0].scope is scope:
            end = (self.stmt.lineno, self.stmt.col_offset)
            early = [binding for binding in bindings if binding.position < end]
            if not early:
                return self.seen(name, scope.outside)
            if len(early) < len(bindings):
                raise Refused("BP505", f"{name} is bound again further down in {self.source.name}")
        return bindings, scope

    def _spelt(self, name: str, scope: Scope, *, immediate: bool, late: bool) -> Moved | None:
        """How the target spells a name of the source; None where it cannot."""
        spot, project = self.spot, self.project
        bindings, scope = self.seen(name, scope)
        home = bindings[0].scope if bindings else None
        seen_from = spot.scope if immediate else spot.outer
        if home is self.source.body:
            if spot.scope is home and immediate:
                return Moved(name)
            if project.once(_selects_a_union, self.source):
                return None
            there_is = not immediate or (
                spot.form in {Form.ASSIGNED, Form.ADDED}
                and (late or all(_is_itself(one) for one in bindings))
                and self.project.mapped_later(self.source) is None
            )
            plain = there_is and self.sees_source() and not is_mangled(name)
            return Moved(f"{self.source.name}.{name}") if plain else None
        if is_mangled(name):
            return None
        there = project.lookup(name, seen_from)
        if home is not None and home in seen_from.chain():
            if there != bindings:
                return None  # the class body, or a function between, has another thing of this name
            return Moved(name) if self._same_value(home, bindings, immediate=immediate) else None
        meaning = project.resolve(ast.Name(name), scope)
        if meaning is None:
            beside = spot.form is not Form.BODY and spot.module is scope.module
            return Moved(name) if beside and not bindings and not there else None  # a global of a function
        if meaning == External(f"builtins.{name}"):
            return Moved(name) if not there else None
        if self._usable(there, immediate=immediate) and project.resolve(ast.Name(name), seen_from) == meaning:
            return Moved(name)
        known = self._known_as(meaning, immediate=immediate)
        if known is not None:
            return Moved(known)
        if immediate and late:
            return None  # a string, or a lambda, may do without the import
        return self._imported(name, bindings, bool(there))

    def _same_value(self, home: Scope, bindings: list[Binding], *, immediate: bool) -> bool:
        """Whether a name of a scope around both classes has one value, where each of them reads it."""
        end = self.spot.line if immediate and home is self.spot.outer else None
        if len(bindings) > 1:
            end = min(self.spot.line, self.source.node.lineno)
            if self.stmt is not None and home is self.scope:
                end = min(end, self.stmt.lineno)
        return end is None or all(binding.line < end for binding in bindings)

    def _usable(self, bindings: list[Binding], *, immediate: bool) -> bool:
        """Whether a name of the target's module is sure to be bound when the reverse reads it."""
        line, scope = self.spot.line, self.spot.outer
        return bool(bindings) and all(
            binding.guard is None and not (immediate and binding.scope is scope and binding.line >= line)
            for binding in bindings
        )

    def sees_source(self) -> bool:
        """Whether code that runs later in the target's body finds the source class by its bare name."""
        source = self.source
        bindings = self.project.lookup(source.name, self.spot.outer)
        return source.scope.kind != "class" and len(bindings) == 1 and bindings[0].made is source

    def _known_as(self, meaning: Resolved, *, immediate: bool) -> str | None:
        """A name by which the target's module already imports something."""
        for name, bindings in self.spot.module.scope.bindings.items():
            if (
                all(binding.how in {Bound.IMPORT, Bound.FROM} for binding in bindings)
                and self._usable(bindings, immediate=immediate)
                and self.project.resolve(ast.Name(name), self.spot.scope) == meaning
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
        home = self.project.find_module(wanted.module, 0, binding.scope.module)
        goal = self.spot.module.path
        if home is not None and (home.path == goal or self.project.reaches(home.path, goal)):
            raise Refused("BP504", f"{wanted.text} in {self.spot.module.shown}")


class _Stringer(ast.NodeTransformer):
    """Rewrites an expression's tree into names of the declarative registry."""

    def __init__(self, mover: Mover, scope: Scope, *, qualified: bool, tables_first: bool) -> None:
        self.mover = mover
        self.scope = scope
        self.project = mover.project
        self.qualified = qualified
        self.tables_first = tables_first

    def visit_Name(self, node: ast.Name) -> ast.expr:
        bindings, scope = self.mover.seen(node.id, self.scope)
        source = self.mover.source
        if bindings and bindings[0].scope is source.body and not _is_dunder(node.id):
            if self.project.once(_selects_a_union, source):
                raise NotAStringError(f"{source.name}.{node.id} is not the column of its own table")
            if self.project.same_registry(source, self.mover.target) is False:
                raise NotAStringError(f"{source.name} is not in the registry of {self.mover.target.name}")
            return self._attribute(self._class(source), self._column(source, node.id))
        table = self._own_table(bindings[0].value, bindings[0].scope) if len(bindings) == 1 else None
        return table or self._resolved(node, self.project.resolve(node, scope))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        table = self._own_table(node, self.scope)
        if table is not None:
            return table
        column = self._table_column(node)
        if column is not None:
            return column
        resolved = self.project.resolve(node, self.scope)
        if isinstance(resolved, External | ClassInfo) or (
            resolved is not None and self._spelling(resolved) is not None
        ):
            return self._resolved(node, resolved)
        owner = self.project.resolve(node.value, self.scope)
        if isinstance(owner, ClassInfo):
            constant = self._constant(node)
            if constant is not None:
                return constant
            return self._attribute(self.visit(node.value), self._column(owner, node.attr))
        return self._attribute(self.visit(node.value), node.attr)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if self.tables_first:  # secondary=Table(...)
            name = table_name(self.project, self.mover.target, Value(node, self.scope), tables_first=True)
            if name is not None:
                return ast.parse(name, mode="eval").body
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        raise NotAStringError("it holds a lambda")

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        raise NotAStringError("it holds a comprehension")

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp  # type: ignore[assignment]
    visit_NamedExpr = visit_Await = visit_JoinedStr = visit_ListComp  # type: ignore[assignment]

    def _own_table(self, value: ast.expr | None, scope: Scope) -> ast.Name | None:
        """``Class.__table__``, where a string may be the name of a table."""
        if not (self.tables_first and isinstance(value, ast.Attribute) and value.attr == "__table__"):
            return None
        made = self.project.resolve(value.value, scope)
        if not isinstance(made, ClassInfo):
            return None
        name = class_table_name(self.project, self.mover.target, made)
        return ast.Name(name) if name is not None else None

    def _constant(self, node: ast.Attribute) -> ast.Constant | None:
        """The value of ``cls.__tablename__`` and the like."""
        try:
            value = evaluate(self.project, node, self.scope)
        except NotConstantError:
            return None
        return ast.Constant(value) if isinstance(value, str | int | float) else None

    def _attribute(self, owner: ast.expr, name: str) -> ast.expr:
        return ast.Attribute(owner, name, ast.Load())

    def _class(self, made: ClassInfo) -> ast.expr:
        try:
            name = class_name(self.project, made)
        except Refused as refused:
            raise NotAStringError(refused.detail) from refused
        if "." in name and not self.qualified:
            raise NotAStringError(f"several classes are named {made.name}")
        return ast.parse(name, mode="eval").body

    def _column(self, made: ClassInfo, name: str) -> str:
        """The attribute of a mapped class, as a string names it."""
        member = made.member(name)
        if _is_dunder(name) or (
            member is not None and not self._may_be_column(made, member.value, member.annotation)
        ):
            raise NotAStringError(f"{name} is no column of {made.name}")
        return mangled(self.mover.source, name)

    def _may_be_column(self, made: ClassInfo, value: ast.expr | None, annotation: ast.expr | None) -> bool:
        if not isinstance(value, ast.Call):
            return annotation is not None and value is None
        name = last_name(value.func)
        found = self.project.resolve(value.func, made.body)
        if isinstance(found, External) and found.name.startswith("sqlalchemy."):
            return found.last in COLUMN_MAKERS
        return name in COLUMN_MAKERS or (name not in _NOT_COLUMNS and "col" in name.lower())

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

    def _spelling(self, resolved: Resolved) -> str | None:
        """The string's name for a table, or for something of the library."""
        target = self.mover.target
        if isinstance(resolved, Value):
            return table_name(self.project, target, resolved, tables_first=self.tables_first)
        return library_name(self.project, target, resolved)

    def _resolved(self, node: ast.expr, resolved: Resolved | None) -> ast.expr:
        target = self.mover.target
        if isinstance(resolved, ClassInfo):
            if not self.project.is_mapped(resolved) or self.project.same_registry(resolved, target) is False:
                raise NotAStringError(f"{resolved.name} is not in the registry of {target.name}")
            return self._class(resolved)
        name = self._spelling(resolved) if resolved is not None else None
        if name is not None:
            top = name.partition(".")[0]
            if not isinstance(resolved, Value) and is_hidden(self.project, top):
                raise NotAStringError(f"a table, class or module of the project is named {top}")
            return ast.parse(name, mode="eval").body
        if (
            isinstance(resolved, Value)
            and isinstance(resolved.expr, ast.Constant)
            and (resolved.scope.module is not self.mover.spot.module or resolved.scope.kind == "function")
        ):
            return ast.Constant(resolved.expr.value)
        raise NotAStringError(f"{ast.unparse(node)} is not known in the registry's strings")


def attribute_of_column(made: ClassInfo, column: str) -> str:
    """The attribute of a class that a column of this name is mapped to. Raises :class:`NotAStringError`."""
    for member in made.members:
        call = member.value
        if not (isinstance(call, ast.Call) and last_name(call.func) in COLUMN_MAKERS):
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        first = given.get("key") or given.get("name") or (call.args[0] if call.args else None)
        name = (
            first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else member.name
        )
        if name == column:
            return member.name
    if made.member(column) is not None:
        raise NotAStringError(f"{made.name}.{column} is not the column {column}")
    return column  # inherited, or added by a mixin


def _selects_a_union(project: Project, made: ClassInfo) -> bool:
    """Whether the attributes of a mapped class are columns of a union of tables, and not of its own.

    SQLAlchemy: "Concrete Polymorphic Loading Configuration".
    """
    for one in (made, *project.ancestors(made)):
        names = {base.last for base in project.bases(one) if isinstance(base, External)}
        if "ConcreteBase" in names or (one is made and "AbstractConcreteBase" in names):
            return True
        arguments = one.body.bindings.get("__mapper_args__", ())
        if any(_WITH_SELECTABLE.search(ast.unparse(binding.node)) for binding in arguments):
            return True
    return False


def _is_itself(binding: Binding) -> bool:
    """Whether what a class body binds is, as an attribute of the mapped class, still the same object."""
    if binding.how is Bound.VALUE:
        return isinstance(
            binding.value, ast.Constant | ast.Lambda | ast.Dict | ast.List | ast.Set | ast.Tuple
        )
    return binding.how is Bound.DEF and not getattr(binding.node, "decorator_list", [])


def is_mangled(name: str) -> bool:
    """Whether Python mangles a name that stands in a class body."""
    return name.startswith("__") and not name.endswith("__")


def mangled(made: ClassInfo, name: str) -> str:
    """The attribute that a name makes which stands in the body of a class."""
    return f"_{made.name.lstrip('_')}{name}" if is_mangled(name) else name


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _parameters(node: ast.Lambda) -> list[ast.arg]:
    args = node.args
    extra = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def free_names(expr: ast.expr) -> list[tuple[ast.Name, bool]]:
    """The names that an expression reads from around it, in order, and whether a lambda reads them later."""
    found: list[tuple[ast.Name, bool]] = []

    def visit(node: ast.AST, bound: frozenset[str], later: bool) -> None:
        if isinstance(node, ast.Name):
            if node.id not in bound:
                found.append((node, later))
        elif isinstance(node, ast.Lambda):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    visit(default, bound, later)
            visit(node.body, bound | {arg.arg for arg in _parameters(node)}, True)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            targets = {
                name.id
                for part in node.generators
                for name in ast.walk(part.target)
                if isinstance(name, ast.Name)
            }
            visit(node.generators[0].iter, bound, later)
            for child in ast.iter_child_nodes(node):
                if child is not node.generators[0]:
                    visit(child, bound | targets, later)
            for condition in node.generators[0].ifs:
                visit(condition, bound | targets, later)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, bound, later)

    visit(expr, frozenset(), False)
    return sorted(found, key=lambda item: (item[0].lineno, item[0].col_offset))


def _copy(expr: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(expr), mode="eval").body
