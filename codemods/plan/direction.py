"""Which way a relationship points, and by which columns, as far as the foreign keys in the source tell.

SQLAlchemy: "Basic Relationship Patterns"; ``JoinCondition._determine_direction``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import Enum

from backpop.codemods.facts import ClassInfo, Member, last_name
from backpop.codemods.link import Attribute, Project, Value
from backpop.codemods.plan.evaluate import snake_case, table_name
from backpop.codemods.plan.move import NotAStringError, attribute_of_column

_OF_TABLES = frozenset({"c", "columns", "__table__"})


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
    if "secondary" in given or "link_model" in given:
        return Direction.MANY_TO_MANY
    if "primaryjoin" in given and not _is_seen(_said(given["primaryjoin"])):
        return None
    if source is target:
        return _of_self_reference(project, source, given)
    if any(project.is_mapped(made) for made in _line(project, source) & _line(project, target)):
        return None  # they may share a table
    keys = _foreign(given)
    if keys:
        owners = {_owner(project, path, source, target) for path in keys}
        if owners == {source}:
            return Direction.MANY_TO_ONE
        return Direction.ONE_TO_MANY if owners == {target} else None
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


def may_be_none(
    project: Project, source: ClassInfo, target: ClassInfo, arguments: dict[str, ast.expr]
) -> bool:
    """Whether a many-to-one relationship with these arguments may be None: unless every column of its
    foreign key is surely NOT NULL."""
    keys = list(_keys_to(project, source, target))
    paths = _foreign(arguments)
    if not paths and len(keys) > 1:  # the join tells which of them
        join = _said(arguments.get("primaryjoin"))
        paths = [_path(node) for node in (ast.walk(join) if join else ()) if isinstance(node, ast.expr)]
    named = {path[-1] for path in paths if path}
    if named:
        keys = [(made, member) for made, member in keys if member is None or member.name in named]
    return not keys or any(member is None or _is_nullable(project, made, member) for made, member in keys)


def _is_nullable(project: Project, made: ClassInfo, member: Member) -> bool:
    """Whether a column may take NULL: by ``nullable``, else ``primary_key``, else its annotation."""
    alias = _annotated_column(project, made, member)
    for node in (node for part in (member.value, alias) if part is not None for node in ast.walk(part)):
        if isinstance(node, ast.Call) and last_name(node.func).lower().endswith(("column", "field")):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if "nullable" in given:
                return not _is_constant(given["nullable"], False)
            if _is_constant(given.get("primary_key"), True):
                return False
    if member.annotation is None:
        return True
    types = [member.annotation, *([alias] if alias is not None else [])]
    return any(re.search(r"\b(Optional|None|Any)\b", ast.unparse(part)) for part in types)


def _is_constant(value: ast.expr | None, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def _line(project: Project, made: ClassInfo) -> set[ClassInfo]:
    return {made, *project.ancestors(made)}


# -- the columns that a relationship names itself

_Path = tuple[str, ...]  # a name with its dots; empty for what is none


def _foreign(given: dict[str, ast.expr]) -> list[_Path]:
    """The columns that a relationship says are the foreign keys."""
    return _marked(given.get("primaryjoin"), "foreign") or _columns(given.get("foreign_keys"))


def _remote(given: dict[str, ast.expr]) -> list[_Path]:
    """The columns that a relationship says are on the other side; ``remote()`` beats ``remote_side``."""
    return _marked(given.get("primaryjoin"), "remote") or _columns(given.get("remote_side"))


def _columns(argument: ast.expr | None) -> list[_Path]:
    tree = _said(argument)
    if tree is None:
        return []
    return [_path(one) for one in (tree.elts if isinstance(tree, ast.List | ast.Tuple | ast.Set) else [tree])]


def _marked(join: ast.expr | None, mark: str) -> list[_Path]:
    """The columns within ``remote()`` or ``foreign()`` in a join."""
    tree = _said(join)
    return [
        _path(_unmarked(node.args[0]))
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Call) and last_name(node.func) == mark and node.args
    ]


def _unmarked(expr: ast.expr) -> ast.expr:
    if isinstance(expr, ast.Call) and last_name(expr.func) in {"remote", "foreign"} and expr.args:
        return _unmarked(expr.args[0])
    return expr


def _is_seen(join: ast.expr | None) -> bool:
    """Whether a join is written out, no name of one or call of something that makes one."""
    if isinstance(join, ast.Call):
        return last_name(join.func) in {"and_", "or_"} and all(map(_is_seen, join.args))
    return isinstance(join, ast.Compare | ast.BinOp)


def _said(argument: ast.expr | None) -> ast.expr | None:
    """The expression behind an argument that may be a string or a lambda; None for a string that is none."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        try:
            return ast.parse(argument.value.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return None
    return argument.body if isinstance(argument, ast.Lambda) else argument


def _path(expr: ast.expr) -> _Path:
    parts: list[str] = []
    while isinstance(expr, ast.Attribute):
        parts.append(expr.attr)
        expr = expr.value
    return (expr.id, *reversed(parts)) if isinstance(expr, ast.Name) else ()


def _owner(project: Project, path: _Path, source: ClassInfo, target: ClassInfo) -> ClassInfo | None:
    """The end that a column belongs to: a bare name is one of the class body around it."""
    if not path:
        return None
    ours, theirs = _line(project, source), _line(project, target)
    mine, other = _has(ours - theirs, path), _has(theirs - ours, path)
    if len(path) == 1 or path[0] == "cls":  # in a declared_attr
        return source if _has(ours, path) else None
    return None if mine == other else source if mine else target


def _has(line: set[ClassInfo], path: _Path) -> bool:
    """Whether a column is said to be of one of some classes: by class or table, or bare in its body."""
    if len(path) == 1:
        return any(made.member(path[0]) is not None for made in line)
    name = next((part for part in reversed(path[:-1]) if part not in _OF_TABLES), "")
    return name == "cls" or any(name in {made.name, made.literal("__tablename__")} for made in line)


# -- a class and itself


def _of_self_reference(project: Project, made: ClassInfo, given: dict[str, ast.expr]) -> Direction | None:
    """Foreign keys that are remote are those of many; remote columns that are none are those of the one."""
    if any(project.is_mapped(other) for other in project.ancestors(made)):
        return None  # the columns of joined tables go by the same names
    remote, foreign = _remote(given), _foreign(given)
    if not remote:
        return None if "primaryjoin" in given else Direction.ONE_TO_MANY
    line = _line(project, made)
    marked, keys = ({_attribute_at(made, line, path) for path in paths} for paths in (remote, foreign))
    unclear = {""}
    if not foreign:
        keys, unclear = _keys_to_itself(project, made)
    if marked & unclear or "" in keys:
        return None
    if marked <= keys:
        return Direction.ONE_TO_MANY
    return Direction.MANY_TO_ONE if marked.isdisjoint(keys) else None


def _attribute_at(made: ClassInfo, line: set[ClassInfo], path: _Path) -> str:
    """The attribute of a class that a column's path ends in; empty where that is not certain."""
    if not path or not _has(line, path):
        return ""
    if not _OF_TABLES.isdisjoint(path[:-1]):
        try:
            return attribute_of_column(made, path[-1])
        except NotAStringError:
            return ""
    return path[-1]


def _keys_to_itself(project: Project, made: ClassInfo) -> tuple[set[str], set[str]]:
    """The attributes that are foreign keys to the class's own table, and those that may or may not be."""
    keys: set[str] = set()
    goals: set[str] = set()
    unclear = {""}
    tables = set(_tables(project, made))
    for one in (made, *project.ancestors(made)):
        for name, bindings in one.body.bindings.items():
            found = [goal for binding in bindings for goal in _goals(binding.node)]
            text = _text(found[0]) if len(found) == 1 else ""
            table, _, column = text.rpartition(".")
            if one is made and table.rpartition(".")[2] in tables:
                keys.add(name)
                goals.add(column)
            elif found and not (one is made and text):
                unclear.add(name)
        for node in ast.walk(one.node):
            if isinstance(node, ast.Call) and last_name(node.func) == "ForeignKeyConstraint":
                unclear |= {_text(part) for part in ast.walk(node)}
    return keys, unclear | (keys & goals)


# -- two classes


def _refers(project: Project, one: ClassInfo, other: ClassInfo) -> bool:
    """Whether a table of ``one`` has a foreign key to a table of ``other``."""
    return next(_keys_to(project, one, other), None) is not None


def _keys_to(project: Project, one: ClassInfo, other: ClassInfo) -> Iterator[tuple[ClassInfo, Member | None]]:
    """The foreign keys of ``one``, and of what it derives from, to ``other`` or what that derives from."""
    goals = _line(project, other)
    tables = {table for goal in goals for table in _tables(project, goal)}
    for made in (one, *project.ancestors(one)):
        for member, goal in project.once(_keys, made):
            if goal in (goals if isinstance(goal, ClassInfo) else tables):
                yield made, member


def _keys(project: Project, made: ClassInfo) -> list[tuple[Member | None, ClassInfo | str]]:
    return list(_look_for_keys(project, made))


def _look_for_keys(project: Project, made: ClassInfo) -> Iterator[tuple[Member | None, ClassInfo | str]]:
    """The foreign keys of a class: the attribute, None for one that is written elsewhere, and what it points
    at: a class, or a table by its simple name."""
    members: dict[ast.expr, Member] = {}
    for member in made.members:
        for part in (member.value, _annotated_column(project, made, member)):
            members |= dict.fromkeys(_goals(part) if part is not None else (), member)
    table = _table(project, made)
    for goal in dict.fromkeys([*members, *_goals(made.node), *(_goals(table) if table is not None else ())]):
        text = _text(goal)
        if text:
            yield members.get(goal), text.split(".")[-2] if "." in text else text
        elif isinstance(goal, ast.Attribute):
            owner = goal.value
            while isinstance(owner, ast.Attribute) and owner.attr in _OF_TABLES:
                owner = owner.value
            found = project.resolve(owner, made.body)
            if isinstance(found, ClassInfo):
                yield members.get(goal), found


def _annotated_column(project: Project, made: ClassInfo, member: Member) -> ast.expr | None:
    """``Annotated[int, mapped_column(...)]`` of an attribute that is annotated with a name for it."""
    if not isinstance(member.annotation, ast.Subscript):
        return None
    found = project.resolve(member.annotation.slice, made.body)
    return found.expr if isinstance(found, Value) and found.expr is not member.annotation.slice else None


def _goals(root: ast.AST) -> Iterator[ast.expr]:
    """What the foreign keys somewhere in the source refer to."""
    for node in ast.walk(root):
        if isinstance(node, ast.Call) and last_name(node.func) == "ForeignKey":
            yield from node.args[:1]
        elif isinstance(node, ast.Call) and last_name(node.func) == "Field":  # of SQLModel
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "foreign_key")
        elif isinstance(node, ast.Call) and last_name(node.func) == "ForeignKeyConstraint":
            yield from getattr(node.args[1], "elts", []) if len(node.args) > 1 else ()


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


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
    snake = snake_case(made.name)
    yield snake
    if not any(isinstance(root.key, Attribute) for root in project.roots(made)):
        for name in (snake, made.name.lower()):
            yield name
            yield f"{name}s"
            yield f"{name}es"
            yield re.sub(r"y$", "ies", name)
