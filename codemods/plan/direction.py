"""Which way a relationship points, as far as the foreign keys in the source tell.

SQLAlchemy: "Basic Relationship Patterns"; ``JoinCondition._determine_direction``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import Enum

from backpop.codemods.facts import ClassInfo, last_name
from backpop.codemods.link import Attribute, Project, Value
from backpop.codemods.plan.evaluate import table_name


class Direction(Enum):
    """As SQLAlchemy's own: seen from the class that the relationship is written in."""

    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"

    @property
    def opposite(self) -> Direction:
        return _OPPOSITE.get(self, self)


_OPPOSITE = {
    Direction.MANY_TO_ONE: Direction.ONE_TO_MANY,
    Direction.ONE_TO_MANY: Direction.MANY_TO_ONE,
}


def direction_of(
    project: Project, source: ClassInfo, target: ClassInfo, arguments: dict[str, ast.expr]
) -> Direction | None:
    """Which way a relationship with these arguments points; None where the source does not tell."""
    given = {
        key: value
        for key, value in arguments.items()
        if not (isinstance(value, ast.Constant) and value.value is None)
    }
    if "secondary" in given:
        return Direction.MANY_TO_MANY
    if source is target:
        return _of_self_reference(source, given)
    if source in project.ancestors(target) or target in project.ancestors(source):
        return None
    named = _foreign_side(given, source, target)
    if named is not None:
        return Direction.MANY_TO_ONE if named is source else Direction.ONE_TO_MANY
    there, back = _refers(project, source, target), _refers(project, target, source)
    if there == back:
        return None
    return Direction.MANY_TO_ONE if there else Direction.ONE_TO_MANY


def label(way: Direction | None, *arguments: dict[str, ast.expr]) -> str:
    """The direction for people, empty if unknown: a one-to-many whose list is said to be none is one-to-one.

    ``arguments`` are those of the relationship, and those of its reverse.
    """
    if way is None:
        return ""
    of_list = {Direction.ONE_TO_MANY: arguments[:1], Direction.MANY_TO_ONE: arguments[1:2]}.get(way, ())
    values = [given.get("uselist") for given in of_list]
    scalar = any(isinstance(value, ast.Constant) and value.value is False for value in values)
    return "one-to-one" if scalar else way.value


def _line(project: Project, made: ClassInfo) -> set[ClassInfo]:
    return {made, *project.ancestors(made)}


def _of_self_reference(made: ClassInfo, given: dict[str, ast.expr]) -> Direction | None:
    join = given.get("primaryjoin")
    remote = _marked(join, "remote")
    if not remote and "remote_side" in given:
        remote = _names(given["remote_side"])
    if not remote:
        return Direction.ONE_TO_MANY if join is None else None
    foreign = _marked(join, "foreign")
    if not foreign and "foreign_keys" in given:
        foreign = _names(given["foreign_keys"])
    keys = {name.rpartition(".")[2] for name in foreign} or set(_key_columns(made))
    if not keys:
        return None
    marked = {name.rpartition(".")[2] for name in remote}
    return Direction.ONE_TO_MANY if marked & keys else Direction.MANY_TO_ONE


def _marked(join: ast.expr | None, mark: str) -> list[str]:
    """The columns within ``remote()`` or ``foreign()`` in a join, or in the string that stands for one."""
    if join is None:
        return []
    try:
        tree: ast.AST = ast.parse(_code(join).strip())
    except SyntaxError:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) == mark and node.args:
            inner = node.args[0]
            while isinstance(inner, ast.Call) and last_name(inner.func) in {"remote", "foreign"}:
                inner = inner.args[0]
            found.append(ast.unparse(inner))
    return found


def _names(expr: ast.expr) -> list[str]:
    """The names, with their dots, in an expression or in the string that stands for one."""
    return re.findall(r"[A-Za-z_][\w.]*", _code(expr))


def _key_columns(made: ClassInfo) -> Iterator[str]:
    """The attributes of a class that are foreign keys by themselves."""
    for member in made.members:
        if member.value is not None and any(
            isinstance(node, ast.Call) and last_name(node.func) == "ForeignKey"
            for node in ast.walk(member.value)
        ):
            yield member.name


def _foreign_side(given: dict[str, ast.expr], source: ClassInfo, target: ClassInfo) -> ClassInfo | None:
    """The class whose columns a relationship itself says are the foreign keys."""
    if "foreign_keys" in given:
        names = _names(given["foreign_keys"])
    elif "primaryjoin" in given:
        names = _marked(given["primaryjoin"], "foreign")
    else:
        return None
    owners = {made for name in names if (made := _owner(name, source, target)) is not None}
    return owners.pop() if len(owners) == 1 else None


def _code(expr: ast.expr) -> str:
    return expr.value if isinstance(expr, ast.Constant) and isinstance(expr.value, str) else ast.unparse(expr)


def _owner(name: str, source: ClassInfo, target: ClassInfo) -> ClassInfo | None:
    """The class that a column belongs to: a bare name is one of the class body around it."""
    path = [part for part in name.split(".") if part not in {"c", "columns", "__table__"}]
    if len(path) < 2:
        return source if source.member(path[0]) is not None else None
    for made in (source, target):
        if path[-2] in {made.name, made.literal("__tablename__")}:
            return made
    return None


def _refers(project: Project, one: ClassInfo, other: ClassInfo) -> bool:
    """Whether a table of ``one`` has a foreign key to a table of ``other``."""
    goals = _line(project, other)
    tables = {table for goal in goals for table in _tables(project, goal)}
    return any(
        key in (goals if isinstance(key, ClassInfo) else tables)
        for made in _line(project, one)
        for key in _keys(project, made)
    )


def _keys(project: Project, made: ClassInfo) -> Iterator[ClassInfo | str]:
    """What the foreign keys of a class point at: a class, or a table by its simple name."""
    table = _table(project, made)
    for node in (*ast.walk(made.node), *(ast.walk(table) if table is not None else ())):
        if not isinstance(node, ast.Call):
            continue
        goals: list[ast.expr] = []
        if last_name(node.func) == "ForeignKey":
            goals = node.args[:1]
        elif last_name(node.func) == "ForeignKeyConstraint" and len(node.args) > 1:
            goals = getattr(node.args[1], "elts", [])
        for goal in goals:
            if isinstance(goal, ast.Constant) and isinstance(goal.value, str):
                yield goal.value.split(".")[-2] if "." in goal.value else goal.value
            elif isinstance(goal, ast.Attribute):
                owner = goal.value
                while isinstance(owner, ast.Attribute) and owner.attr in {"c", "columns", "__table__"}:
                    owner = owner.value
                found = project.resolve(owner, made.body)
                if isinstance(found, ClassInfo):
                    yield found


def _table(project: Project, made: ClassInfo) -> ast.Call | None:
    """The ``Table(...)`` that a class is given as its ``__table__``."""
    member = made.member("__table__")
    found = project.resolve(member.value, made.body) if member is not None else None
    return found.expr if isinstance(found, Value) and isinstance(found.expr, ast.Call) else None


def _tables(project: Project, made: ClassInfo) -> Iterator[str]:
    """The names that the table of a class may have: its own, else what bases commonly make of the class's."""
    own = table_name(project, made)
    table = _table(project, made)
    if table is not None and table.args and isinstance(table.args[0], ast.Constant):
        own = str(table.args[0].value)
    if own is not None:
        yield own
        return
    # Flask-SQLAlchemy's rule; other packages' bases take the plural, or leave the underscores out
    snake = re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", made.name).lower()
    yield snake
    if not any(isinstance(root.key, Attribute) for root in project.roots(made)):
        for name in (snake, made.name.lower()):
            yield name
            yield f"{name}s"
            yield f"{name}es"
            yield re.sub(r"y$", "ies", name)
