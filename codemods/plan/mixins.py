"""A relationship in a ``declared_attr``: the concrete classes that it becomes a relationship of.

SQLAlchemy: "Mixing in Relationships", and "Mixing in Columns in Inheritance Scenarios": the function is
called for the first mapped class of a hierarchy, and with ``cascading`` for each.
"""

from __future__ import annotations

import ast

from backpop.codemods.facts import ClassInfo, Definition, Scope, Site
from backpop.codemods.files import bases_of_type
from backpop.codemods.link import Attribute, External, Project
from backpop.codemods.plan.evaluate import class_scope, returned
from backpop.codemods.plan.model import Refused


def concrete_scopes(project: Project, site: Site) -> list[tuple[ClassInfo, Scope]]:
    """The mapped classes that a declared relationship is called for, each with the scope of that call.

    Raises :class:`Refused` where they are not all known.
    """
    function, owner = site.scope.node, site.owner
    assert isinstance(function, Definition)
    assert owner is not None
    kinds = [kind for decorator in function.decorator_list if (kind := _kind(project, decorator, owner.body))]
    if not kinds:
        raise Refused("BP301", f"{owner.name}.{function.name}() is no declared_attr")
    if returned(function) is not site.node:
        raise Refused("BP301", f"{owner.name}.{function.name}() does more than return the relationship")
    if project.is_mapped(owner):
        found = [owner]
    else:
        found = _first_mapped(project, owner, function.name, everywhere="cascading" in kinds)
    if not found:
        raise Refused("BP301", f"no mapped class derives from {owner.name} in the files that were given")
    return [(made, class_scope(site.scope, made)) for made in found]


def _kind(project: Project, decorator: ast.expr, scope: Scope) -> str | None:
    """``declared_attr``, ``cascading`` or ``directive``; None for another decorator."""
    found = project.resolve(decorator, scope)
    if isinstance(found, External) and found.name.startswith("sqlalchemy."):
        known = found.last if found.last in {"declared_attr", "cascading", "directive"} else None
        return known if known and "declared_attr" in found.name else None
    if isinstance(found, Attribute) and found.name == "declared_attr":
        return found.name
    return None


def _first_mapped(project: Project, owner: ClassInfo, name: str, *, everywhere: bool) -> list[ClassInfo]:
    for path in project.files.holding(bases_of_type, owner.name):
        raise Refused("BP301", f"type() makes a class of {owner.name} in {path}")
    heirs = project.subclasses(owner)
    mapped = []
    for made in heirs:
        if made.literal("__abstract__") is True or not project.roots(made):
            continue
        if not project.is_mapped(made):
            raise Refused("BP301", f"whether {made.name} at {made.where} is mapped is not certain")
        mapped.append(made)
    found = []
    for made in sorted(mapped, key=lambda one: (one.module.path, one.node.lineno)):
        above = [one for one in project.ancestors(made) if one in mapped]
        if above and not everywhere:
            continue
        giver = next((one for one in (made, *project.ancestors(made)) if name in one.body.bindings), None)
        if giver is not owner:
            continue  # overridden
        if _function(made.scope) not in {None, _function(owner.scope)}:
            raise Refused("BP301", f"{made.name} at {made.where} is defined in a function")
        found.append(made)
    return found


def _function(scope: Scope) -> Scope | None:
    return next((outer for outer in scope.chain() if outer.kind == "function"), None)
