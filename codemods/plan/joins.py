"""How the joins of a relationship look from its other end.

Source: SQLAlchemy's ``RelationshipProperty._generate_backref``, ``JoinCondition.primaryjoin_reverse_remote``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from backpop.codemods.facts import ClassInfo, last_name
from backpop.codemods.files import tables
from backpop.codemods.imperative import Mapping
from backpop.codemods.link import External, Opaque, Project, Value
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.forward import Forward
from backpop.codemods.plan.model import Form, Refused
from backpop.codemods.plan.move import Moved, Mover, NotAStringError, attribute_of_column, quoted
from backpop.codemods.plan.registry import class_name

_JOINS = ("primaryjoin", "secondaryjoin")
_ANNOTATIONS = {"foreign", "remote"}


def mirrored(project: Project, mover: Mover, forward: Forward) -> dict[str, Moved]:
    """The arguments of the reverse that say how the two tables are joined, in the order to write them.

    What ``backref(...)`` itself gives wins, and is not in the result. Raises :class:`Refused`.
    """
    given = {key: value for key, value in forward.arguments.items() if not _is_none(value)}
    given |= {key: _followed(project, forward, given[key]) for key in _JOINS if key in given}
    own = dict(forward.backref.options)
    result: dict[str, Moved] = {}
    if "secondary" in given:
        result["secondary"] = mover.move("secondary", given["secondary"])
        # beside foreign() in the primaryjoin, SQLAlchemy looks for no keys in the secondaryjoin either
        first, second = own.get("primaryjoin", given.get("secondaryjoin")), given.get("primaryjoin")
        marked = [is_marked(project, forward, join, "foreign") for join in (first, second)]
        if marked == [True, False] and "secondaryjoin" not in own:
            raise Refused("BP502", "foreign() in the secondaryjoin, and none in the primaryjoin")
        for key, other in zip(_JOINS, reversed(_JOINS), strict=True):
            if other in given and key not in own:
                _check_remote_is_secondary(given[other])
                result[key] = mover.move(key, given[other])
    else:
        if "secondaryjoin" in own or "secondaryjoin" in given:
            raise Refused("BP106", "secondaryjoin without secondary")
        if "primaryjoin" in given and "primaryjoin" not in own:
            join = given["primaryjoin"]
            if not is_marked(project, forward, join, "remote"):
                result["primaryjoin"] = mover.move("primaryjoin", join)
            elif project.mappings.of_class(forward.target, forward.scope):
                result["primaryjoin"] = _with_remote_of_tables(project, mover, forward, join)
            else:
                result["primaryjoin"] = Moved(quoted(_with_remote_swapped(project, mover, join), mover.quote))
    if "foreign_keys" in given and "foreign_keys" not in own:
        result["foreign_keys"] = mover.move("foreign_keys", given["foreign_keys"])
    if not result and "primaryjoin" not in own and "foreign_keys" not in own:
        _check_inherited_tables(project, forward)
        join_text = _inherited_join(project, forward)
        if join_text is not None:
            if mover.spot.form is not Form.BODY:
                raise Refused("BP503", f"{forward.source.name} and {forward.target.name}")
            result["primaryjoin"] = Moved(quoted(join_text, mover.quote))
    return result


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _followed(project: Project, forward: Forward, join: ast.expr) -> ast.expr:
    """A join that is computed from constants as the text that it comes to.

    Raises :class:`Refused` for one that is made elsewhere, if ``remote()`` may be in it there.
    """
    if isinstance(join, ast.Constant):
        return join
    for node in ast.walk(join):
        if isinstance(node, ast.Attribute) and node.attr == "_annotate":
            raise Refused("BP502", ast.unparse(join))
        if not isinstance(node, ast.Name):
            continue
        for found in project.resolve_all(node, forward.scope):
            made = found.expr if isinstance(found, Value) else None
            if isinstance(found, Opaque) and isinstance(found.binding.node, ast.FunctionDef):
                made = found.binding.node  # type: ignore[assignment]
            if made is not None and not isinstance(made, ast.Constant) and "remote" in ast.unparse(made):
                raise Refused("BP502", f"{node.id} may mark columns with remote()")
    try:
        text = evaluate(project, join, forward.scope)
    except NotConstantError:
        return join
    return ast.copy_location(ast.Constant(text), join) if isinstance(text, str) and "remote" in text else join


def _check_remote_is_secondary(join: ast.expr) -> None:
    """Raise :class:`Refused` for ``remote()`` around a mapped column, which the generated reverse drops."""
    text = str(join.value) if isinstance(join, ast.Constant) else ast.unparse(join)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) == "remote":
            columns = [part for part in ast.walk(node) if isinstance(part, ast.Attribute)]
            if not any(column.attr in {"c", "columns"} for column in columns):
                raise Refused("BP502", f"{ast.unparse(node)} is no column of the secondary")


def is_marked(project: Project, forward: Forward, join: ast.expr | None, mark: str) -> bool:
    """Whether a join marks columns with ``remote()`` or ``foreign()``.

    ``remote_side``, or the foreign keys of the tables, count for nothing then.
    """
    if isinstance(join, ast.Constant):
        return isinstance(join.value, str) and re.search(rf"\b{mark}\s*\(", join.value) is not None
    for node in ast.walk(join) if join is not None else ():
        if isinstance(node, ast.Call):
            if last_name(node.func) == mark:
                return True
            found = project.resolve(node.func, forward.scope)
            if isinstance(found, External) and found.name.startswith("sqlalchemy.") and found.last == mark:
                return True
    return False


def _with_remote_swapped(project: Project, mover: Mover, join: ast.expr) -> str:
    """A join with ``remote()`` taken from what has it and given to the source's other columns."""
    try:
        text = str(join.value) if isinstance(join, ast.Constant) else mover.as_string(join)
        tree = ast.parse(text.strip(), mode="eval").body
    except (NotAStringError, SyntaxError) as error:
        raise Refused("BP502", f"remote() in {ast.unparse(join)}: {error}") from error
    swapped = _RemoteSwap(*_hierarchies(project, mover.source, mover.target)).visit(tree)
    return ast.unparse(ast.fix_missing_locations(swapped))


def _with_remote_of_tables(project: Project, mover: Mover, forward: Forward, join: ast.expr) -> Moved:
    """The same for a join of tables, as imperative mappings have it."""
    sides: list[set[str]] = []
    for made in (forward.source, forward.target):
        found = project.mappings.of_class(made, forward.scope)
        table = found[0].table if len(found) == 1 else None
        inherits = any(one.argument("inherits") is not None for one in found)
        elsewhere = any(one.call.scope not in forward.scope.chain() for one in found)
        if not isinstance(table, ast.Name) or inherits or elsewhere:
            raise Refused("BP502", f"the tables in {ast.unparse(join)} are not known")
        sides.append({table.id, made.name})
    moved = mover.move("primaryjoin", join)  # the names in it are the same there
    if moved.imports or moved.text != mover.spot.module.source.segment(join):
        raise Refused("BP502", f"remote() in {ast.unparse(join)}")
    text = str(join.value).strip() if isinstance(join, ast.Constant) else moved.text
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise Refused("BP502", f"remote() in {ast.unparse(join)}: {error}") from error
    swapped = _RemoteSwap(sides[0], sides[1], third=False).visit(tree)
    text = ast.unparse(ast.fix_missing_locations(swapped))
    return Moved(quoted(text, mover.quote) if isinstance(join, ast.Constant) else text)


def _hierarchies(project: Project, source: ClassInfo, target: ClassInfo) -> tuple[set[str], set[str]]:
    """The names that columns of the source, and those of the target, begin with in the registry's strings."""
    ours, theirs = {source, *project.ancestors(source)}, {target, *project.ancestors(target)}
    if source is not target and any(project.is_mapped(made) for made in ours & theirs):
        raise Refused("BP502", "remote() between classes of one inheritance hierarchy")
    first, second = ({name for made in side for name in _names(made)} for side in (ours, theirs))
    return first, second


class _RemoteSwap(ast.NodeTransformer):
    """On a tree in which every column is ``Class.attribute`` or ``table.c.column``.

    ``ours`` and ``theirs`` are the classes and tables of the source and of the target; without ``third``, a
    column of another name may still be one of theirs, and is refused.
    """

    def __init__(self, ours: set[str], theirs: set[str], *, third: bool = True) -> None:
        self.ours = ours
        self.theirs = theirs
        self.third = third

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _ANNOTATIONS:
            raise Refused("BP502", f"{ast.unparse(node.func)}()")
        marks: list[str] = []
        inner: ast.expr = node
        while (
            isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Name)
            and inner.func.id in _ANNOTATIONS
            and len(inner.args) == 1
        ):
            marks.append(inner.func.id)
            inner = inner.args[0]
        if not marks:
            match node.func:
                case ast.Attribute(value=ast.Name(id=owner)) if owner not in self.ours | self.theirs:
                    node.args = [self.visit(arg) for arg in node.args]  # sa.and_() is no column
                    return node
            return self.generic_visit(node)  # type: ignore[return-value]
        if "remote" in marks:
            marks = [mark for mark in marks if mark != "remote"]
        elif self._side(inner) == "ours":
            marks.insert(0, "remote")
        elif self._side(inner) is None:
            raise Refused("BP502", f"{ast.unparse(node)} is no single column")
        else:
            self._refuse(inner)
        for mark in reversed(marks):
            inner = ast.Call(ast.Name(mark, ast.Load()), [inner], [])
        return inner

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        side = self._side(node)
        if side == "ours":
            return ast.Call(ast.Name("remote", ast.Load()), [node], [])
        if side == "theirs":
            self._refuse(node)
        return node if side else self.generic_visit(node)  # type: ignore[return-value]

    def _refuse(self, node: ast.expr) -> None:
        raise Refused("BP502", f"{ast.unparse(node)} has no remote() while other columns do")

    def _side(self, node: ast.expr) -> str | None:
        """Which side a column is on; "other" for a third table's; None for what is no column."""
        parts = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else []
        if not parts or not all(part.isidentifier() for part in parts):
            return None
        for index, part in enumerate(parts):
            side = "ours" if part in self.ours else "theirs" if part in self.theirs else None
            rest = parts[index + 1 :]
            if side and len(rest) > 1 and rest[0] in {"c", "columns"}:
                rest = rest[1:]
            if side and rest:
                return side if len(rest) == 1 else None  # a method of a column
        if len(parts) != 2 and parts[-2] not in {"c", "columns"}:
            return None
        if not self.third:
            raise Refused("BP502", f"the table of {ast.unparse(node)} is not known")
        return "other"


def _names(made: ClassInfo) -> Iterator[str]:
    yield made.name
    table = made.literal("__tablename__")
    if isinstance(table, str):
        yield table


# -- joined inheritance


def _inherited_join(project: Project, forward: Forward) -> str | None:
    """The join to spell out where the source is a joined subclass and its base is linked to the target too.

    The forward is unambiguous then, because SQLAlchemy prefers the source's own table; the reverse is not.
    """
    source, target = forward.source, forward.target
    above = (made for made in project.ancestors(source) if project.is_mapped(made) and _has_table(made))
    bases = dict.fromkeys(above)
    if not bases or not _has_table(source) or _is_concrete(source):
        return None
    goals = dict.fromkeys([target, *filter(project.is_mapped, project.ancestors(target))])
    try:
        if next(_links(project, bases, goals), None) is None:
            return None
    except _UnclearError:
        pass
    try:
        own = list(_links(project, {source}, goals))
    except _UnclearError as error:
        raise Refused("BP503", str(error)) from error
    if len(own) != 1 or target in bases or own[0][1] is not target:
        raise Refused("BP503", f"{source.name}, or a base of it, and {target.name} are linked more than once")
    here, _, there = own[0]
    return f"{class_name(project, target)}.{there} == {class_name(project, source)}.{here}"


def _check_inherited_tables(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if an imperative source inherits a table that may refer to the target too."""
    source, target, scope = forward.source, forward.target, forward.scope
    own = project.mappings.of_class(source, scope)
    if not own or own[0].table is None or own[0].argument("inherits") is None:
        return
    above = [_table_call(project, one) for one in project.mappings.bases(source, scope)]
    goals = [*project.mappings.of_class(target, scope), *project.mappings.bases(target, scope)]
    names = {_string(call.args[0]) for one in goals if (call := _table_call(project, one)) and call.args}
    refers = {
        name and name.rpartition(".")[0]
        for call in above
        for node in ast.walk(call or ast.Pass())
        if isinstance(node, ast.Call) and last_name(node.func) == "ForeignKey" and node.args
        for name in [_string(node.args[0])]
    }
    if not above or not goals or None in {*above, *names, *refers} or refers & names:
        raise Refused("BP503", f"whether what {source.name} inherits refers to {target.name} is not certain")


def _table_call(project: Project, mapping: Mapping) -> ast.Call | None:
    """The ``Table(...)`` that a class is mapped to, where it can be seen, keys and all."""
    found = project.resolve(mapping.table, mapping.call.scope)
    call = found.expr if isinstance(found, Value) else None
    if not (isinstance(call, ast.Call) and last_name(call.func) == "Table"):
        return None
    return None if "ForeignKeyConstraint" in ast.unparse(call) else call


def _string(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


class _UnclearError(Exception):
    """Foreign keys that are not all to be seen; the message says of which class."""


def _has_table(made: ClassInfo) -> bool:
    """Whether a class has a table of its own, and does not share that of its base."""
    given = (made.member("__tablename__"), made.member("__table__"))
    return any(one is not None and not (one.value is not None and _is_none(one.value)) for one in given)


def _is_concrete(made: ClassInfo) -> bool:
    """Whether a class maps its own table alone, without that of its base."""
    return any("concrete" in ast.unparse(one.node) for one in made.body.bindings.get("__mapper_args__", ()))


_ForeignKey = tuple[str, ClassInfo, str]
"""The attribute, the class of the column that it refers to, and the name of that column."""


def _links(
    project: Project, ours: Collection[ClassInfo], theirs: Collection[ClassInfo]
) -> Iterator[tuple[str, ClassInfo, str]]:
    """The foreign keys between some classes and others, either way: attribute, other class, its attribute."""
    for one in ours:
        for attribute, goal, column in _foreign_keys(project, one):
            if goal in theirs:
                yield attribute, goal, _attribute(goal, column)
    for other in theirs:
        for attribute, goal, column in _foreign_keys(project, other):
            if goal in ours and goal is not other:
                yield _attribute(goal, column), other, attribute


def _attribute(made: ClassInfo, column: str) -> str:
    try:
        return attribute_of_column(made, column)
    except NotAStringError as error:
        raise _UnclearError(str(error)) from error


def _foreign_keys(project: Project, made: ClassInfo) -> list[_ForeignKey]:
    """The foreign keys of a class's own table. Raises :class:`_UnclearError` where it may have others."""
    found = project.once(_keys_or_error, made)
    if isinstance(found, _UnclearError):
        raise found
    return found


def _keys_or_error(project: Project, made: ClassInfo) -> list[_ForeignKey] | _UnclearError:
    try:
        return list(_look_for_keys(project, made))
    except _UnclearError as error:
        return error


def _look_for_keys(project: Project, made: ClassInfo) -> Iterator[_ForeignKey]:
    mixins = [one for one in project.ancestors(made) if not project.is_mapped(one)]
    if made.member("__table__") is not None or any(
        name in one.body.bindings and "ForeignKey" in ast.unparse(one.node)
        for one in (made, *mixins)
        for name in ("__table_args__",)
    ):
        raise _UnclearError(f"{made.name} at {made.where} has keys outside of its columns")
    for one in mixins:
        if "ForeignKey" in ast.unparse(one.node):
            raise _UnclearError(f"{one.name} at {one.where} mixes in foreign keys")
    for member in made.members:
        for node in ast.walk(member.value) if member.value else ():
            if not (isinstance(node, ast.Call) and node.args and last_name(node.func) == "ForeignKey"):
                continue
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                table, _, column = target.value.rpartition(".")
                for goal in _classes_of_table(project, made, table):
                    yield member.name, goal, column
                continue
            match target:
                case ast.Attribute(value=owner, attr=column):
                    refers_to = project.resolve(owner, made.body)
                case _:
                    refers_to, column = None, ""
            if not isinstance(refers_to, ClassInfo):
                raise _UnclearError(f"{made.name}.{member.name} refers to {ast.unparse(target)}")
            yield member.name, refers_to, column


def _classes_of_table(project: Project, near: ClassInfo, table: str) -> Iterator[ClassInfo]:
    """The classes with this table name."""
    for made in project.once(_of_table, table.rpartition(".")[2]):
        if project.same_registry(near, made) is not False:
            yield made


def _of_table(project: Project, name: str) -> list[ClassInfo]:
    modules = project.modules_of(project.files.holding(tables, name))
    return [made for module in modules for made in module.classes if made.literal("__tablename__") == name]
