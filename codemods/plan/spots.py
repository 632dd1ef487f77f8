"""Where the reverse of a relationship may be written.

In the body of the target class; in a statement right after the source is mapped, where the reverse comes
and goes with the source and sees what that sees; or, for a class that is mapped imperatively, in the
properties of its mapping.

SQLAlchemy: "Appending additional columns and relationships to an existing Declarative mapped
class", "Imperative Mapping".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from backpop.codemods.facts import (
    ClassInfo,
    Definition,
    Module,
    Place,
    Scope,
    entries,
    is_written_out,
    last_name,
    properties_of,
)
from backpop.codemods.imperative import Mapping
from backpop.codemods.link import External, Project, Resolved
from backpop.codemods.plan.factory import SQLMODEL
from backpop.codemods.plan.forward import Forward
from backpop.codemods.plan.model import Form, Refused, Spot
from backpop.codemods.plan.place import CONFIGURING, check_configuring, check_leaves_mappers, check_life
from backpop.codemods.plan.policy import Placement

# What a class body cannot say, or cannot be sure of, and a statement after the source may.
ELSEWHERE = frozenset({"BP104", "BP202", "BP304", "BP307", "BP308", "BP501", "BP504", "BP505", "BP506"})

# Declarative reads these from a class, and refuses them in its body as attributes; not so in a statement.
_OF_DECLARATIVE = frozenset({"metadata", "registry"})
# SQLAlchemy's functions that look at mappers, beside those that surely configure them.
_LOOKS_AT_MAPPERS = CONFIGURING | {"clear_mappers", "join", "outerjoin", "with_parent", "object_mapper"}
# Methods of tables and expressions, by which nothing is mapped.
_OF_EXPRESSIONS = frozenset(
    {"alias", "subquery", "select", "join", "outerjoin", "where", "label", "desc", "asc", "in_", "like"}
    | {"is_", "is_not", "isnot", "correlate", "correlate_except", "scalar_subquery", "as_scalar", "op"}
    | {"collate", "cast", "group_by", "order_by", "select_from", "union", "with_only_columns"}
    | {"nulls_first", "nulls_last", "nullsfirst", "nullslast", "add_property"}
)


def forms(project: Project, forward: Forward, placement: Placement) -> list[Form]:
    """The ways to write a reverse, the best first.

    A statement after the source is ``ASSIGNED`` here, unless it is for a mapping of another module.
    """
    if forward.factory == SQLMODEL:
        return [Form.BODY]  # nothing else becomes a relationship of SQLModel's
    mappings = project.mappings.of_class(forward.target, forward.scope)
    if mappings:
        return [Form.ENTRY if mappings[0].call.scope in forward.scope.chain() else Form.ADDED]
    if forward.site.place is Place.METHOD:
        return [Form.BODY] if placement is not Placement.AFTER_SOURCE else []
    if not _is_in_body(forward) and not _is_beside(project, forward):
        return [Form.ASSIGNED]
    if placement is Placement.AUTO:
        return [Form.BODY, Form.ASSIGNED]
    return [Form.BODY if placement is Placement.CLASS else Form.ASSIGNED]


def spot_of(project: Project, forward: Forward, form: Form) -> Spot:
    """Where a reverse of one of these forms is written. Raises :class:`Refused` where that is not safe."""
    for made in (forward.source, forward.target):
        if project.mapped_later(made) in {"automap_base", "AutomapBase"}:
            raise Refused("BP313", f"{made.name} at {made.where}")
    mapping = _mapping(project, forward)
    if forward.site.place is Place.ADDED and mapping is not None:
        _check_between(project, mapping.call.scope, [mapping.call.stmt, forward.site.stmt])
    if form is Form.ENTRY:
        return _entry(project, forward, mapping)
    if forward.backref.name in _OF_DECLARATIVE and (
        form is Form.BODY or project.subclasses(forward.target)  # these would not find declarative's own
    ):
        raise Refused("BP104", f"{forward.backref.name!r} has a meaning of its own in {forward.target.name}")
    if form is Form.BODY and forward.backref.name.startswith("__"):
        raise Refused("BP104", f"declarative does not look at {forward.backref.name!r} in a class body")
    if form is Form.BODY:
        check_life(project, forward)
        check_configuring(project, forward)
        return Spot.body(forward.target)
    return _after(project, forward)


def _mapping(project: Project, forward: Forward) -> Mapping | None:
    """The imperative mapping of the source. Raises :class:`Refused` if there are several."""
    found = project.mappings.of_class(forward.source, forward.scope) if forward.named is not None else []
    if len(found) > 1:
        raise Refused("BP311", f"{forward.source.name} at {', '.join(one.where for one in found)}")
    return found[0] if found else None


def _is_in_body(forward: Forward) -> bool:
    return forward.site.place in {Place.BODY, Place.MAPPER_ARGS}


def _is_beside(project: Project, forward: Forward) -> bool:
    """Whether ``Source.f = relationship(...)`` is sure to run with the module that defines both classes."""
    site, source = forward.site, forward.source
    return (
        site.place is Place.ASSIGNED
        and site.stmt in site.scope.module.tree.body
        and source.module is forward.target.module is site.scope.module
        and project.is_mapped(source)
    )


# -- after the source


def _after(project: Project, forward: Forward) -> Spot:
    """A statement right after the source's class statement, or after that of the forward."""
    site, target = forward.site, forward.target
    in_body = _is_in_body(forward)
    stmt: ast.stmt = forward.source.node if in_body else site.stmt
    scope = forward.source.scope if in_body else site.scope
    if scope.kind == "class":
        raise Refused("BP312", f"{forward.source.name} is defined in {scope.name}")
    for made in (target, forward.source):
        if (base := project.mapped_later(made)) is not None:
            raise Refused("BP312", f"{made.name} is only mapped later, by {base}")
    if not in_body and project.is_mapped(forward.source):
        _check_unconfigured(project, forward)
    names = list(_names(project, forward, scope, stmt))
    owner = _name_of(project, target, scope, names)
    if owner is None:
        raise Refused("BP312", f"{target.name} has no name of its own at {scope.module.shown}:{stmt.lineno}")
    mappings = project.mappings.of_class(target, scope)
    if mappings:
        mapper = _mapper(mappings, owner, names)
        _check_mapped_before(project, target, mappings[0], scope.module)
        return Spot.after(Form.ADDED, stmt, scope, mapper)
    if project.is_instrumented(target):
        return Spot.after(Form.ASSIGNED, stmt, scope, owner)
    return Spot.after(Form.ADDED, stmt, scope, f"{owner}.__mapper__")


def _names(
    project: Project, forward: Forward, scope: Scope, stmt: ast.stmt
) -> Iterator[tuple[str, Resolved]]:
    """The names that are bound for sure after a statement of a scope, and what they stand for."""
    guards = {None, forward.source.guard}
    for outer in scope.chain():
        for name, bindings in outer.bindings.items() if outer.kind != "class" else ():
            if (
                all(one.guard in guards for one in bindings)
                and (outer is not scope or bindings[-1].line <= (stmt.end_lineno or stmt.lineno))
                and project.lookup(name, scope) is bindings
                and (found := project.resolve(ast.Name(name), scope)) is not None
            ):
                yield name, found


def _name_of(
    project: Project, target: ClassInfo, scope: Scope, names: Sequence[tuple[str, Resolved]]
) -> str | None:
    """What a scope calls the target, by one of some names."""
    for name, found in names:
        if found is target:
            return name
    for name, found in names:
        member = ast.Attribute(ast.Name(name), target.name)
        if isinstance(found, Module) and project.resolve(member, scope) is target:
            return f"{name}.{target.name}"
    return None


def _mapper(mappings: Sequence[Mapping], owner: str, names: Sequence[tuple[str, Resolved]]) -> str:
    """The mapper of a class that is mapped imperatively. Raises :class:`Refused`."""
    if len(mappings) > 1:
        raise Refused("BP311", f"{owner} at {', '.join(one.where for one in mappings)}")
    if last_name(mappings[0].call.node.func) == "map_imperatively":
        return f"{owner}.__mapper__"
    known = {found.name: name for name, found in names if isinstance(found, External)}  # mapper() sets none
    if "sqlalchemy.orm.class_mapper" in known:
        function = known["sqlalchemy.orm.class_mapper"]
    elif "sqlalchemy.orm" in known:
        function = f"{known['sqlalchemy.orm']}.class_mapper"
    else:
        raise Refused("BP312", f"class_mapper() has no name there, and gives the mapper of {owner}")
    return f"{function}({owner}, configure=False)"


def _check_mapped_before(project: Project, target: ClassInfo, mapping: Mapping, there: Module) -> None:
    """Raise :class:`Refused` unless the target is mapped whenever a module has imported it."""
    module = mapping.call.scope.module
    if module is not target.module or mapping.call.stmt not in module.tree.body:
        raise Refused("BP310", f"{target.name} is only mapped at {mapping.where}")
    if project.starts(module.path, there.path):
        raise Refused("BP310", f"importing {module.shown} imports {there.shown}")


def _check_unconfigured(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if the source's mapper may be configured before the forward is given to it.

    SQLAlchemy sets up a relationship of a configured mapper at once, and then the other side must be there.
    """
    site, source = forward.site, forward.source
    if site.scope.kind == "module" and source.scope.kind == "module":
        first = source.node.lineno if source.module is site.scope.module else 0
        check_leaves_mappers(project, site.scope.module, first, site.stmt, {source, forward.target})
    elif source.scope is site.scope:
        _check_between(project, site.scope, [source.node, site.stmt])
    else:
        raise Refused("BP303", f"{site.scope.name}() may run once the mappers are configured")


# -- in the properties of an imperative mapping


def _entry(project: Project, forward: Forward, mapping: Mapping | None) -> Spot:
    target, scope = forward.target, forward.scope
    found = project.mappings.of_class(target, scope)
    if len(found) > 1:
        raise Refused("BP311", f"{target.name} at {', '.join(one.where for one in found)}")
    other = found[0]
    if any(keyword.arg is None for keyword in other.call.node.keywords) or any(
        isinstance(arg, ast.Starred) for arg in other.call.node.args
    ):
        raise Refused("BP309", f"arguments of the mapping at {other.where} come from a splat")
    properties = properties_of(other.call.node)
    absent = properties is None or (isinstance(properties, ast.Constant) and properties.value is None)
    if not absent and not is_written_out(properties):
        raise Refused("BP309", f"they are {ast.unparse(properties or other.call.node)} at {other.where}")
    if is_written_out(properties) and any(key is None for key, _ in entries(properties)):
        raise Refused("BP309", f"some keys at {other.where} are computed")
    own: ast.stmt = forward.source.node if mapping is None else mapping.call.stmt
    given = [forward.site.stmt] if forward.site.place is Place.ADDED else []
    _check_between(project, other.call.scope, [other.call.stmt, own, *given])
    return Spot.entry(other.call)


def _check_between(project: Project, scope: Scope, stmts: Sequence[ast.stmt]) -> None:
    """Raise :class:`Refused` unless statements stand in one block, and nothing configures mappers between.

    What is not known to leave the mappers alone counts as configuring them; so do the arguments of all but
    the first statement, which are evaluated before it maps anything.
    """
    block = next((block for block in _blocks(scope.node) if stmts[0] in block), [])
    for stmt in stmts:
        if stmt not in block:
            raise Refused("BP310", f"line {stmt.lineno} and line {stmts[0].lineno}")
    places = sorted({block.index(stmt) for stmt in stmts})
    for stmt in block[places[0] + 1 : places[-1] + 1]:
        for node in _run_now(stmt):
            if isinstance(node, ast.Return | ast.Raise | ast.Yield | ast.Break | ast.Continue):
                raise Refused("BP310", f"line {node.lineno} may end what line {stmt.lineno} is part of")
            if isinstance(node, ast.Call) and not _is_harmless(project, node, scope):
                raise Refused("BP308", f"{ast.unparse(node.func)}() at line {node.lineno}")


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements of a scope, without those of the functions and classes in it."""
    waiting: list[ast.AST] = [node]
    while waiting:
        current = waiting.pop()
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(current, name, None)
            if isinstance(block, list):
                if name not in {"handlers", "cases"}:
                    yield block
                waiting += (one for one in block if not isinstance(one, Definition | ast.ClassDef))


def _run_now(stmt: ast.stmt) -> Iterator[ast.AST]:
    """What of a statement runs when it does: functions and lambdas run later."""
    waiting: list[ast.AST] = [stmt]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Definition):
            waiting += node.decorator_list
        elif not isinstance(node, ast.Lambda):
            yield node
            waiting += ast.iter_child_nodes(node)


def _is_harmless(project: Project, call: ast.Call, scope: Scope) -> bool:
    """Whether a call surely does not configure mappers: another mapping, or a part of SQLAlchemy's schema."""
    if project.mappings.of_call(call, scope) is not None:
        return True
    if isinstance(call.func, ast.Attribute) and call.func.attr in _OF_EXPRESSIONS:
        return True
    found = project.resolve_all(call.func, scope)
    names = [one.name for one in found if isinstance(one, External)]
    return bool(names) and all(
        (name.startswith("sqlalchemy.") and name.rpartition(".")[2] not in _LOOKS_AT_MAPPERS)
        or name.startswith("builtins.")
        for name in names
    )
