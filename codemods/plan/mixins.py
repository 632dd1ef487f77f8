"""A relationship in a ``declared_attr``: the concrete classes that it becomes a relationship of.

SQLAlchemy: "Mixing in Relationships", and "Mixing in Columns in Inheritance Scenarios": the function is
called for the first mapped class of a hierarchy, and with ``cascading`` for each.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from backpop.codemods.facts import ClassInfo, Definition, Module, Scope, Site, last_name
from backpop.codemods.link import Attribute, External, Opaque, Project, Value
from backpop.codemods.plan.evaluate import NotConstantError, class_scope, result_of
from backpop.codemods.plan.model import Refused


def concrete_scopes(project: Project, site: Site) -> list[tuple[ClassInfo, Scope]]:
    """The mapped classes that a declared relationship is called for, each with the scope of that call.

    Those for which the function returns something else are left out. Raises :class:`Refused` where they are
    not all known.
    """
    function, owner = site.scope.node, site.owner
    assert isinstance(function, Definition)
    assert owner is not None
    kinds = _kinds(project, function, owner)
    bindings = owner.body.bindings[function.name]
    if len(bindings) > 1 or bindings[0].guard is not None:
        raise Refused("BP304", f"{owner.name}.{function.name}() is defined conditionally, or more than once")
    if project.is_mapped(owner):
        found = [owner]  # cascading has no effect here
    else:
        found = _first_mapped(project, owner, function.name, everywhere="cascading" in kinds)
    if not found:
        raise Refused("BP320", f"no mapped class derives from {owner.name} in the files that were given")
    scopes = [(made, scope) for made in found if (scope := _scope_of_call(project, site, made)) is not None]
    if not scopes:
        raise Refused("BP320", f"{owner.name}.{function.name}() returns it for no class of the project")
    return scopes


def _kinds(project: Project, function: Definition, owner: ClassInfo) -> set[str]:
    """How a function is declared: ``declared_attr``, perhaps ``cascading``. Raises :class:`Refused`."""
    kinds = set()
    for decorator in function.decorator_list:
        kind = _kind(project, decorator, owner.body)
        if kind is None:
            text = ast.unparse(decorator)
            raise Refused("BP301", f"{owner.name}.{function.name}() is decorated with {text}")
        kinds.add(kind)
    if not kinds - {"classmethod"}:
        raise Refused("BP301", f"{owner.name}.{function.name}() is no declared_attr")
    return kinds


def _scope_of_call(project: Project, site: Site, made: ClassInfo) -> Scope | None:
    """The scope of a declared function as it is called for a class; None if it does not return the site."""
    function = site.scope.node
    assert isinstance(function, Definition)
    scope = class_scope(site.scope, made)
    name = f"{made.name}.{function.name}()"
    try:
        result = result_of(project, function, scope)
    except NotConstantError as error:
        raise Refused("BP321", f"what {name} returns depends on {error}") from error
    if result is site.node:
        return scope
    if result is not None and any(node is site.node for node in ast.walk(result)):
        raise Refused("BP321", f"{name} does more than return the relationship")
    return None


def _kind(project: Project, decorator: ast.expr, scope: Scope) -> str | None:
    """``declared_attr``, ``cascading``, ``directive`` or ``classmethod``; None for another decorator."""
    found = project.resolve(decorator, scope)
    if found == External("builtins.classmethod"):
        return "classmethod"
    if isinstance(found, External) and found.name.startswith("sqlalchemy."):
        known = found.last if found.last in {"declared_attr", "cascading", "directive"} else None
        return known if known and "declared_attr" in found.name else None
    if isinstance(found, Attribute):
        inner = found.owner
        if found.name == "declared_attr" or (isinstance(inner, Attribute) and inner.name == "declared_attr"):
            return found.name
    return None


def _first_mapped(project: Project, owner: ClassInfo, name: str, *, everywhere: bool) -> list[ClassInfo]:
    """The mapped classes that a function of a mixin is called for. Raises :class:`Refused`."""

    def names(made: ClassInfo) -> set[str]:
        return {made.name} if project.is_mapped(made) else project.once(names_of_mixin, made)

    heirs = project.subclasses(owner, names)
    mapped = []
    for made in heirs:
        if made.literal("__abstract__") is True or not project.roots(made):
            continue
        if not project.is_mapped(made):
            raise Refused("BP320", f"whether {made.name} at {made.where} is mapped is not certain")
        mapped.append(made)
    found = []
    for made in sorted(mapped, key=lambda one: (one.module.path, one.node.lineno)):
        above = [one for one in project.ancestors(made) if one in mapped]
        if above and not everywhere:
            continue
        giver = next((one for one in (made, *project.ancestors(made)) if name in one.body.bindings), None)
        if giver is not owner:
            if giver is not None and _calls_on(giver, name, owner):
                raise Refused("BP321", f"{giver.name}.{name} at {giver.where} takes it from {owner.name}")
            continue  # overridden
        if _function(made.scope) not in {None, _function(owner.scope)}:
            raise Refused("BP320", f"{made.name} at {made.where} is defined in a function")
        found.append(made)
    return found


def _calls_on(giver: ClassInfo, name: str, owner: ClassInfo) -> bool:
    """Whether an attribute that overrides another one may use it."""
    return any(
        isinstance(node, ast.Name) and node.id in {"super", owner.name}
        for binding in giver.body.bindings[name]
        for node in ast.walk(binding.node)
    )


def _function(scope: Scope) -> Scope | None:
    return next((outer for outer in scope.chain() if outer.kind == "function"), None)


# -- classes that nobody sees


def names_of_mixin(project: Project, made: ClassInfo) -> set[str]:
    """The names that the project gives to a mixin: its own, and those of ``Alias = Mixin``.

    Raises :class:`Refused` if the mixin is passed on to where a class may be made of it out of sight. A class
    statement that names it as a base is seen; ``type()``, a tuple of bases, a function that takes the mixin
    and defines a class, or an alias under a condition are not.
    """
    waiting, names = [made.name], {made.name}
    while waiting:
        name = waiting.pop()
        for module in project.modules_of(project.files.where(_mentions(name))):
            for node, scope, around in _uses(module, name):
                if made in project.resolve_all(node, scope):
                    alias = _alias(project, made, scope, node, around)
                    if alias is not None and alias not in names:
                        names.add(alias)
                        waiting.append(alias)
            names_here = {
                binding.name
                for many in module.scope.bindings.values()
                for binding in many
                if binding.imported == name and binding.name not in names
            }
            names |= names_here
            waiting += names_here
    return names


def _mentions(name: str) -> Callable[[bytes], bool]:
    word = name.encode()
    alone = re.compile(rb"\b" + word + rb"\b")
    return lambda data: word in data and alone.search(data) is not None


def _uses(module: Module, name: str) -> Iterator[tuple[ast.expr, Scope, tuple[ast.AST, ...]]]:
    """Every place that reads a name, or an attribute of it, with its scope and the nodes around it."""
    may_hold = module.may_hold(name)
    waiting: list[tuple[ast.AST, Scope, tuple[ast.AST, ...]]] = [(module.tree, module.scope, ())]
    while waiting:
        node, scope, around = waiting.pop()
        if (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)) or (
            isinstance(node, ast.Attribute) and node.attr == name
        ):
            yield node, scope, around
        inner = scope.inner(node)
        body = set(getattr(node, "body", ())) if inner is not None else set()
        parts = list(filter(may_hold, ast.iter_child_nodes(node)))
        waiting += [(part, inner or scope, (*around, node)) for part in parts if part in body]
        waiting += [(part, scope, (*around, node)) for part in parts if part not in body]


_COLLECTING_FUNCTIONS = {"list", "tuple", "set", "dict", "enumerate", "zip", "map", "reversed", "iter"}
_CLASS_MAKERS = {"type", "new_class"}
_COLLECTING = ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Starred | ast.IfExp | ast.BoolOp | ast.NamedExpr


def _alias(
    project: Project, made: ClassInfo, scope: Scope, node: ast.expr, around: tuple[ast.AST, ...]
) -> str | None:
    """The name that a use of a mixin gives it. Raises :class:`Refused` where a class may be made of it."""
    collected = False
    inner: ast.AST = node
    for outer in reversed(around):
        risky = False
        match outer:
            case ast.Call(func=func) if func is not inner:
                is_base = any(isinstance(one, ast.ClassDef) and outer in one.bases for one in around)
                risky = is_base or _may_make_classes(project, func, scope)
                collected = isinstance(func, ast.Name) and func.id in _COLLECTING_FUNCTIONS
                if not risky and not collected:
                    return None
            case ast.ClassDef(bases=bases):
                risky = inner in bases and (collected or project.resolve(node, scope) is not made)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                bindings = scope.bindings.get(name, [])
                risky = collected or len(bindings) > 1 or any(one.guard is not None for one in bindings)
                if not risky:
                    return name
            case ast.Assign() | ast.Return() | ast.Yield() | ast.Lambda():
                risky = True
            case ast.For() | ast.FunctionDef():
                risky = not isinstance(inner, ast.stmt) and _makes_classes(outer)
            case ast.Subscript() | ast.keyword() | ast.arguments():
                pass
            case _ if isinstance(outer, _COLLECTING):
                collected = True
            case _:
                return None
        if risky:
            where = f"{scope.module.shown}:{node.lineno}"
            raise Refused("BP320", f"a class may be made of {made.name} in {where}")
        if isinstance(outer, ast.stmt):
            return None
        inner = outer
    return None


def _may_make_classes(project: Project, func: ast.expr, scope: Scope) -> bool:
    """Whether a function that is given a class may derive another one from it."""
    for found in project.resolve_all(func, scope):
        if isinstance(found, External) and found.name in {"builtins.type", "types.new_class"}:
            return True
        if isinstance(found, Opaque) and _makes_classes(found.binding.node):
            return True
        if isinstance(found, ClassInfo | Value) and _makes_classes(
            found.node if isinstance(found, ClassInfo) else found.expr
        ):
            return True
    return False


def _makes_classes(tree: ast.AST) -> bool:
    """Whether a piece of code holds a class statement, or calls what makes classes."""
    return any(
        (isinstance(node, ast.ClassDef) and node is not tree)
        or (isinstance(node, ast.Call) and len(node.args) > 1 and last_name(node.func) in _CLASS_MAKERS)
        for node in ast.walk(tree)
    )
