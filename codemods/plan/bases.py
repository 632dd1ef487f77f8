"""How a class is made: its declarative base, what that is made with, and the code that runs meanwhile."""

from __future__ import annotations

import ast

from backpop.codemods.facts import ClassInfo
from backpop.codemods.link import Attribute, Opaque, Project, Resolved, Value


def makers_of(project: Project, made: ClassInfo) -> list[Resolved]:
    """The declarative bases of a class, and what those are made with.

    Registries, Flask-SQLAlchemy objects, the classes that they are given, and those in between.
    """
    return project.once(_find_makers, made)


def _find_makers(project: Project, made: ClassInfo) -> list[Resolved]:
    makers = [root.key for root in project.roots(made) if not isinstance(root.key, str)]
    for maker in makers:
        fresh: list[Resolved] = []
        match maker:
            case Attribute(owner=owner, name="Model" | "metadata"):
                fresh.append(owner)
            case Value(expr=ast.Call(func=ast.Attribute(value=registry, attr=method)), scope=scope):
                if method in {"generate_base", "as_declarative_base"}:
                    fresh += project.resolve_all(registry, scope)
            case ClassInfo():
                fresh += project.ancestors(maker)
                fresh += (Value(one, maker.scope) for one in maker.node.decorator_list)
        for name in ("cls", "model_class", "registry"):
            fresh += given_to(project, maker, name)
        fresh += (one for one in given_to(project, maker, "metadata") if isinstance(one, Attribute))
        makers += (one for one in dict.fromkeys(fresh) if one not in makers)
    return makers


def given_to(project: Project, maker: Resolved, name: str) -> list[Resolved]:
    """What a declarative base, or what it is made with, is given by a name; itself if that is not known."""
    match maker:
        case Value(expr=ast.Call(keywords=keywords), scope=scope):
            given = [one.value for one in keywords if one.arg in {name, None}]
        case ClassInfo(body=scope) if name in scope.bindings:
            given = [ast.Name(name)]
        case _:
            return []
    return [found for value in given for found in project.resolve_all(value, scope) or [maker]]


def may_set(project: Project, made: ClassInfo, name: str) -> bool:
    """Whether code that runs while a class is made may set one of its attributes, or of a class above it.

    ``__init_subclass__``, a metaclass or a decorator of the project.
    """
    return any(_sets(hook, name) for hook in project.once(_hooks, made))


def _hooks(project: Project, made: ClassInfo) -> list[ast.AST]:
    makers = makers_of(project, made)
    above = [*project.ancestors(made), *(one for one in makers if isinstance(one, ClassInfo))]
    metaclasses = [one for maker in makers for one in given_to(project, maker, "metaclass")]
    hooks: list[ast.AST] = []
    for one in dict.fromkeys((made, *above)):
        given = (keyword.value for keyword in one.node.keywords if keyword.arg == "metaclass")
        metaclasses += (found for value in given for found in project.resolve_all(value, one.scope))
        hooks += (binding.node for binding in one.body.bindings.get("__init_subclass__", ()))
        decorators = (project.resolve(decorator, one.scope) for decorator in one.node.decorator_list)
        hooks += (found.binding.node for found in decorators if isinstance(found, Opaque))
    for found in metaclasses:
        if isinstance(found, ClassInfo):
            hooks += (each.node for each in (found, *project.ancestors(found)))
    return hooks


def _sets(hook: ast.AST, name: str) -> bool:
    """Whether a piece of code sets an attribute of this name, or one that is not known."""
    for node in ast.walk(hook):
        match node:
            case ast.Attribute(attr=attribute, ctx=ast.Store()) if attribute == name:
                return True
            case ast.Subscript(slice=ast.Constant(value=key), ctx=ast.Store()) if key == name:
                return True
            case (
                ast.Call(func=ast.Name(id="setattr"), args=[_, key, _])
                | ast.Call(func=ast.Attribute(attr="__setattr__"), args=[*_, key, _])
            ):
                if not isinstance(key, ast.Constant) or key.value == name:
                    return True
            case ast.Call(func=ast.Attribute(attr="update" | "setdefault")):
                return True
    return False
