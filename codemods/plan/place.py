"""How the target's module spells what the reverse needs: the factory, and a free name to bind."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set

from backpop.codemods.facts import (
    Bound,
    ClassInfo,
    Module,
    Place,
    entries,
    is_written_out,
    last_name,
    properties_of,
)
from backpop.codemods.link import External, Project
from backpop.codemods.plan.factory import (
    SQLMODEL,
    Factory,
    factory_of,
    flask_like_factory,
    is_sqlmodel_factory,
    made_by_function,
)
from backpop.codemods.plan.forward import Forward
from backpop.codemods.plan.forwarding import meanings
from backpop.codemods.plan.model import Form, Import, Refused, Spot
from backpop.codemods.plan.move import Moved, Mover

_SPELLINGS = ("relationship", "relation")
# What configures all mappers when it is called (for a mapped class).
CONFIGURING = {
    "configure_mappers",
    "aliased",
    "with_polymorphic",
    "class_mapper",
    "inspect",
    "query",
    "Query",
}


def relationship_calls(project: Project, made: ClassInfo) -> list[tuple[ast.Call, Factory]]:
    """The relationships that stand directly in a class body."""
    return project.once(_relationship_calls, made)


def _relationship_calls(project: Project, made: ClassInfo) -> list[tuple[ast.Call, Factory]]:
    return list(_find_relationships(project, made))


def _find_relationships(project: Project, made: ClassInfo) -> Iterator[tuple[ast.Call, Factory]]:
    for member in made.members:
        call = member.value
        if isinstance(call, ast.Call):
            for resolved in meanings(project, call.func, made.body, call.lineno):
                factory = SQLMODEL if is_sqlmodel_factory(resolved) else factory_of(project, resolved)
                if factory is not None:
                    yield call, factory
                    break
            else:
                factory = flask_like_factory(project, made, call.func) or made_by_function(
                    project, made, call
                )
                if factory is not None:
                    yield call, factory


def spell_factory(project: Project, mover: Mover, forward: Forward) -> Moved:
    """The name of the forward's factory where the reverse is written, imported if need be.

    It must be the same factory: ``db.relationship`` gives the reverse Flask-SQLAlchemy's query class, a plain
    ``relationship`` does not. Raises :class:`Refused`.
    """
    spot = mover.spot
    if forward.factory == SQLMODEL:
        own = spelt(project, forward.target, "sqlmodel", "Relationship")
        if own is None:
            raise Refused("BP505", f"Relationship in {forward.target.module.shown}")
        return own
    used: Counter[str] = Counter()
    for spellings in _around(project, spot, forward):
        for (factory, text), funcs in spellings.items():
            if (
                factory.owner == forward.factory.owner
                and _is_bound_above(project, spot, funcs[0])
                and _resolves(project, spot, funcs[0], forward)
            ):
                used[text] += len(funcs)
    if used:
        return Moved(used.most_common(1)[0][0])
    name = next(iter(_in_scope(project, spot, forward)), None)
    if name is not None:
        return Moved(name)
    return _imported(mover, forward)


_Spellings = dict[tuple[Factory, str], list[ast.expr]]


def _around(project: Project, spot: Spot, forward: Forward) -> list[_Spellings]:
    """How factories are called around a reverse: in a class body as there, elsewhere as the forward does."""
    if spot.form is Form.BODY:
        return [_spellings(project, [forward.target]), project.once(_spellings_in, spot.module)]
    assert isinstance(forward.site.node, ast.Call)
    func = forward.site.node.func
    plain = forward.factory.through is None and last_name(func) in _SPELLINGS
    return [{(forward.factory, ast.unparse(func)): [func]}] if plain else []


def _spellings_in(project: Project, module: Module) -> _Spellings:
    return _spellings(project, module.classes)


def _spellings(project: Project, classes: Iterable[ClassInfo]) -> _Spellings:
    """How some classes call factories: every such expression, by the factory and its text."""
    found: _Spellings = defaultdict(list)
    for made in classes:
        for call, factory in relationship_calls(project, made):
            if factory.through is None and last_name(call.func) in _SPELLINGS:
                found[factory, ast.unparse(call.func)].append(call.func)
    return found


def spelt(project: Project, target: ClassInfo, module: str, name: str) -> Moved | None:
    """A library's name as the target's module spells it where the class body runs, imported if need be.

    None where the name is something else there.
    """
    if module == "builtins":
        return None if project.lookup(name, target.scope) else Moved(name)
    top = module.partition(".")[0]
    known = list(_library_names(project, target))
    for bound, found in known:
        if found.last == name and found.name.partition(".")[0] == top:
            return Moved(bound)
    for bound, found in known:
        if found.name == module:
            return Moved(f"{bound}.{name}")
        if module == f"{found.name}.orm" and f"{bound}.orm." in target.module.source.text:
            return Moved(f"{bound}.orm.{name}")
    if project.lookup(name, target.scope):
        return None
    above = any(star.guard is None and star.line < target.node.lineno for star in target.module.scope.stars)
    if above and project.resolve(ast.Name(name), target.scope) == External(f"{module}.{name}"):
        return Moved(name)  # a star import brings it
    return Moved(name, (Import(module, name, ""),))


def _library_names(project: Project, target: ClassInfo) -> Iterator[tuple[str, External]]:
    """The names of the target's module that are a library's, and are bound when the class body runs."""
    module = target.module.scope
    for bound, bindings in module.bindings.items():
        late = any(one.guard is not None or one.line >= target.node.lineno for one in bindings)
        if not late and project.lookup(bound, target.scope) is bindings:
            found = project.resolve(ast.Name(bound), module)
            if isinstance(found, External):
                yield bound, found


def _is_bound_above(project: Project, spot: Spot, func: ast.expr) -> bool:
    """Whether the first name of a spelling is bound where the reverse will be read."""
    root = next(node for node in ast.walk(func) if isinstance(node, ast.Name))
    bindings = project.lookup(root.id, spot.scope)
    return all(binding.scope is not spot.outer or binding.line < spot.line for binding in bindings)


def _resolves(project: Project, spot: Spot, func: ast.expr, forward: Forward) -> bool:
    """Whether a spelling means the forward's factory where the reverse will stand, not just elsewhere."""
    func = _without_place(func)
    factories = (factory_of(project, resolved) for resolved in meanings(project, func, spot.scope, spot.line))
    return any(one is not None and one.owner == forward.factory.owner for one in factories) or (
        forward.factory.owner is not None
        and isinstance(func, ast.Attribute)
        and project.resolve(func.value, spot.scope) == forward.factory.owner
    )


def _without_place(func: ast.expr) -> ast.expr:
    """The same names, to be read after all that a class body binds."""
    match func:
        case ast.Name(id=name):
            return ast.Name(name)
        case ast.Attribute(value=owner, attr=name):
            return ast.Attribute(_without_place(owner), name)
    return func


def _in_scope(project: Project, spot: Spot, forward: Forward) -> Iterator[str]:
    """Spellings that the names bound around the reverse allow."""
    owner = forward.factory.owner
    for scope in spot.outer.chain():
        if scope.kind == "class":
            continue
        for name, bindings in scope.bindings.items():
            if all(binding.type_checking for binding in bindings) or (
                scope is spot.outer and min(binding.line for binding in bindings) >= spot.line
            ):
                continue
            if project.lookup(name, spot.scope) is not bindings:
                continue
            found = meanings(project, ast.Name(name), spot.scope, spot.line)
            if owner is not None:
                if found == [owner]:
                    yield f"{name}.relationship"
                continue
            for one in found:
                if isinstance(one, External):
                    if one.name.startswith("sqlalchemy.") and one.last in _SPELLINGS:
                        yield name
                    elif one.name == "sqlalchemy.orm":
                        yield f"{name}.relationship"
                    elif one.name == "sqlalchemy" and f"{name}.orm." in spot.module.source.text:
                        yield f"{name}.orm.relationship"
    plain = project.resolve(ast.Name("relationship"), spot.scope)
    star = not project.lookup("relationship", spot.scope)
    if star and owner is None and plain == External("sqlalchemy.orm.relationship"):
        yield "relationship"  # from a star import


def _imported(mover: Mover, forward: Forward) -> Moved:
    """An import of the factory to add to the module of the reverse."""
    project, spot = mover.project, mover.spot
    if forward.factory.owner is None:
        called = project.once(_called, spot.module)  # whatever brings them, they keep their meaning
        for alias in ("", "sa_relationship"):
            name = alias or "relationship"
            if not project.lookup(name, spot.scope) and name not in called:
                return Moved(name, (Import("sqlalchemy.orm", "relationship", alias),))
        raise Refused("BP505", f"relationship in {spot.module.shown}")
    call = forward.site.node
    assert isinstance(call, ast.Call)
    root = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    if isinstance(root, ast.Name):
        bindings = project.lookup(root.id, forward.source.body)
        if len(bindings) == 1 and bindings[0].how is Bound.FROM and not bindings[0].level:
            if project.lookup(root.id, spot.scope):
                raise Refused("BP505", f"{root.id} in {spot.module.shown}")
            binding = bindings[0]
            wanted = Import(binding.module, binding.imported, root.id if root.id != binding.imported else "")
            mover.check_cycle(wanted, binding)
            return Moved(f"{root.id}.relationship", (wanted,))
    raise Refused("BP504", f"{ast.unparse(root)} is not known in {spot.module.shown}")


def _called(project: Project, module: Module) -> frozenset[str]:
    """The bare names that a module calls."""
    calls = (node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    return frozenset(func.id for func in calls if isinstance(func, ast.Name))


def check_life(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if the source class may not be there when the target is."""
    source, target = forward.source, forward.target
    if source.module.aside and not target.module.aside:
        raise Refused("BP307", f"{source.module.shown} is, {target.module.shown} is not")
    function = next((scope for scope in source.scope.chain() if scope.kind == "function"), None)
    if function is not None:
        if function not in target.scope.chain():
            raise Refused("BP304", f"{source.name} is defined in {function.name}(), {target.name} is not")
        between = range(target.node.lineno, source.node.lineno)
        for node in ast.walk(function.node):
            if isinstance(node, ast.Return | ast.Raise | ast.Yield) and node.lineno in between:
                raise Refused("BP304", f"{function.name}() may end before {source.name} is defined")
    conditions = _conditions(project, source)
    if not conditions <= _conditions(project, target):
        raise Refused("BP304", f"the class {source.name} at {source.where} is conditional")


def _conditions(project: Project, made: ClassInfo) -> set[tuple[ast.AST, int]]:
    """The branches that a class statement, and those of the classes around it, stand in."""
    found: set[tuple[ast.AST, int]] = set()
    for scope in made.body.chain():
        one = made.module.bodies.get(scope)
        if one is not None and one.guard is not None and not isinstance(one.guard, ast.With):
            blocks = [getattr(one.guard, name, []) for name in ("body", "orelse", "finalbody")]
            blocks += [part.body for part in getattr(one.guard, "handlers", getattr(one.guard, "cases", []))]
            branch = next(
                (at for at, block in enumerate(blocks) if any(_within(one.node, s) for s in block)), -1
            )
            found.add((one.guard, branch))
    return found


def _within(node: ast.ClassDef, stmt: ast.stmt) -> bool:
    return stmt.lineno <= node.lineno <= (stmt.end_lineno or 0)


def check_configuring(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if an import configures the mappers before the source exists.

    A backref is not there yet then, and is not missed; an explicit reverse names a class that is not there.
    """
    source, target = forward.source, forward.target
    same = source.module is target.module
    site, module = forward.site, target.module
    first = target.node.lineno
    last: ast.stmt | None = source.node if same else None
    if site.place is Place.ASSIGNED:
        first, last = min(source.node.lineno, first), site.stmt
    check_leaves_mappers(project, module, first, last, {target})
    if not same and site.scope.module is source.module:
        check_leaves_mappers(project, source.module, 0, source.node, {target})


def check_leaves_mappers(
    project: Project, module: Module, first: int, last: ast.stmt | None, classes: Set[ClassInfo]
) -> None:
    """Raise :class:`Refused` if a module configures the mappers of some classes while it is imported.

    Only below a line, and down to a statement at its top level, that included.
    """
    configuring = project.once(_configuring, module)
    begin = bisect_right(module.at_import, first, key=_line_of)
    end = None if last is None else bisect_right(module.at_import, last.lineno, key=_line_of)
    found = [
        places[at]
        for one in (None, *classes)
        if (at := bisect_left(places := configuring.get(one, []), begin)) < len(places)
        and (end is None or places[at] < end)
    ]
    if found:
        _, node = module.at_import[min(found)]
        raise Refused("BP308", f"{ast.unparse(node)} in {module.shown}:{node.lineno}")


def _line_of(run: tuple[ast.stmt, ast.AST]) -> int:
    return run[0].lineno


def _configuring(project: Project, module: Module) -> dict[ClassInfo | None, list[int]]:
    """Where in what runs at import the mappers are configured: of a class, or, under None, all."""
    found: dict[ClassInfo | None, list[int]] = defaultdict(list)
    for index, (_, node) in enumerate(module.at_import):
        if isinstance(node, ast.Call):
            looks_only = any(keyword.arg == "configure" for keyword in node.keywords)
            if last_name(node.func) in CONFIGURING and not looks_only:
                found[None].append(index)
            looked_at = node.func
        # ``model = Target``: the schemas and forms that libraries make of a model look at its mapper at once
        elif [one.id for one in node.targets if isinstance(one, ast.Name)] == ["model"]:
            looked_at = node.value
        else:
            continue
        made = project.resolve(looked_at, module.scope)
        if isinstance(made, ClassInfo):
            found[made].append(index)
    return dict(found)


def check_name_is_free(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if the target, or a class that shares its attributes, has the name already.

    With a backref SQLAlchemy refuses another mapped attribute of the name and overwrites a plain one; in a
    class body the last definition wins, and a subclass's own wins over it.
    """
    name, target = forward.backref.name, forward.target
    above = project.ancestors(target)
    declared: list[ast.stmt] = [hint.stmt for hint in target.hints.get(name, ())]
    if project.mappings.of_class(target, forward.scope):
        declared = [member.stmt for member in target.members if member.value is None]  # says nothing to it
    if name in target.body.bindings or any(
        member.name == name and member.stmt not in declared for member in target.members
    ):
        raise Refused("BP401", f"{target.name}.{name} at {target.where}")
    for made in above:
        if _has(made, name) and project.is_mapped(made):
            raise Refused("BP401", f"{made.name}.{name} at {made.where}")
    seen = {target, *above}
    for heir in project.subclasses(target):
        fresh = any(isinstance(base, ClassInfo) and base not in seen for base in project.bases(heir))
        for made in (heir, *(project.ancestors(heir) if fresh else ())):
            if made not in seen and (_has(made, name) or project.once(_chooses_properties, made)):
                raise Refused("BP401", f"{made.name}.{name} at {made.where}")
            seen.add(made)
    for mapping in project.mappings.of_kin(target, forward.scope):
        properties = properties_of(mapping.call.node)
        if is_written_out(properties) and any(key == name for key, _ in entries(properties)):
            raise Refused("BP401", f"{mapping.made.name}.{name} at {mapping.where}")
    for member in target.members:
        if (
            member.name != name
            and member.annotation is not None
            and name in re.findall(r"\w+", ast.unparse(member.annotation))
        ):
            raise Refused("BP505", f"{name} in the annotation of {target.name}.{member.name}")


def _has(made: ClassInfo, name: str) -> bool:
    return name in made.body.bindings or made.member(name) is not None


def _chooses_properties(_: Project, made: ClassInfo) -> bool:
    arguments = made.member("__mapper_args__")
    return arguments is not None and "_properties" in ast.unparse(arguments.stmt)
