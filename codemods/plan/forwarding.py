"""Functions of the project that only pass on to another one, with arguments of their own.

``def rel(*args, **kw): return relationship(*args, lazy="joined", **kw)``, a lambda or a
``functools.partial``: what reaches ``relationship`` is worked out from one call of them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from backpop.codemods.facts import Definition, Scope, callee
from backpop.codemods.link import External, Opaque, Project, Resolved, Value, settled
from backpop.codemods.plan.evaluate import NotConstantError, evaluate

_DEPTH = 10
_T = TypeVar("_T")


class Arguments(NamedTuple):
    """The arguments of one call. Those of ``unknown`` are given by a function, and are no constants."""

    args: list[ast.expr]
    keywords: dict[str, ast.expr]
    unknown: frozenset[ast.expr] = frozenset()


@dataclass(frozen=True)
class Forwarded(Generic[_T]):
    """What a call comes to: the function that it ends at, and the arguments that this one gets."""

    goal: _T
    arguments: Arguments


class NotForwardingError(Exception):
    """A function that does more than pass on; the message says what."""


def forwarded(
    project: Project, func: Resolved, given: Arguments, goal: Callable[[Resolved], _T | None], depth: int = 0
) -> Forwarded[_T] | None:
    """Follow a call of ``func`` to what ``goal`` knows; None where it leads to nothing of the kind.

    Raises :class:`NotForwardingError` where a function of the project does more than forward.
    """
    known = goal(func)
    if known is not None:
        return Forwarded(known, given)
    if depth > _DEPTH:
        return None
    if isinstance(func, Opaque) and isinstance(func.binding.node, ast.FunctionDef):
        function = func.binding.node
        return _through_function(project, function, func.binding.scope, given, goal, depth + 1)
    if isinstance(func, Value) and isinstance(func.expr, ast.Lambda):
        frame = _Frame(project, func.expr.args, func.scope, given)
        return frame.call(func.expr.body, goal, depth + 1)
    if isinstance(func, Value) and isinstance(func.expr, ast.Call):
        maker = project.resolve(func.expr.func, func.scope)
        if maker == External("functools.partial") and func.expr.args:
            return _through_partial(project, func.expr, func.scope, given, goal, depth + 1)
    return None


def meanings(project: Project, func: ast.expr, scope: Scope, line: int) -> list[Resolved]:
    """What the name of a function stands for where a line reads it, at import or later.

    Of a name that is bound several times, as in ``relationship = partial(relationship, lazy="raise")``, only
    the last binding above the line counts.
    """
    scope = project.seen_from(func, scope)
    bindings = project.lookup(func.id, scope) if isinstance(func, ast.Name) else []
    if len(bindings) < 2:
        return project.resolve_all(func, scope)
    home = bindings[0].scope
    later = any(outer.kind == "function" for outer in scope.chain() if outer not in home.chain())
    above = [binding for binding in bindings if later or binding.line < line]
    return list(dict.fromkeys(found for binding in settled(above) for found in project.meaning(binding)))


def _through_partial(
    project: Project,
    call: ast.Call,
    scope: Scope,
    given: Arguments,
    goal: Callable[[Resolved], _T | None],
    depth: int,
) -> Forwarded[_T] | None:
    inner = meanings(project, call.args[0], scope, call.lineno)
    frame = _Frame(project, ast.parse("lambda: 0", mode="eval").body.args, scope, Arguments([], {}))  # type: ignore[attr-defined]
    own = frame.arguments(call.args[1:], call.keywords)
    passed = Arguments(
        [*own.args, *given.args], {**own.keywords, **given.keywords}, own.unknown | given.unknown
    )
    return _first(project, inner, passed, goal, depth)


def _first(
    project: Project,
    found: list[Resolved],
    given: Arguments,
    goal: Callable[[Resolved], _T | None],
    depth: int,
) -> Forwarded[_T] | None:
    reached = [one for func in found if (one := forwarded(project, func, given, goal, depth)) is not None]
    return reached[0] if reached else None


def _through_function(
    project: Project,
    function: ast.FunctionDef,
    scope: Scope,
    given: Arguments,
    goal: Callable[[Resolved], _T | None],
    depth: int,
) -> Forwarded[_T] | None:
    if not _leads_to(project, function, scope, goal):
        return None
    drop = scope.kind == "class"
    for decorator in function.decorator_list:
        found = project.resolve(callee(decorator), scope)
        if found == External("builtins.staticmethod"):
            drop = False
        elif found not in {External("functools.wraps"), External("builtins.classmethod")}:
            raise NotForwardingError(f"is decorated with {ast.unparse(decorator)}")
    frame = _Frame(project, function.args, scope.module.scopes[function], given, drop=drop)
    return frame.run(function.body, goal, depth)


def _leads_to(
    project: Project, function: Definition, scope: Scope, goal: Callable[[Resolved], object]
) -> bool:
    """Whether a function mentions what ``goal`` knows, or another function of the project that does."""
    inner = scope.module.scopes[function]
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            for found in project.resolve_all(node.func, inner):
                if goal(found) is not None:
                    return True
                if isinstance(found, Opaque) and isinstance(found.binding.node, ast.FunctionDef):
                    other = found.binding.node
                    if other is not function and _mentions(project, other, found.binding.scope, goal):
                        return True
                if (
                    isinstance(found, Value)
                    and isinstance(found.expr, ast.Call | ast.Lambda)
                    and _mentions(project, found.expr, found.scope, goal)
                ):
                    return True
    return False


def _mentions(project: Project, tree: ast.AST, scope: Scope, goal: Callable[[Resolved], object]) -> bool:
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))
    return any(goal(found) is not None for node in names for found in project.resolve_all(node, scope))


class _Frame:
    """One call of a function: its parameters, bound to the arguments of the call."""

    def __init__(
        self,
        project: Project,
        parameters: ast.arguments,
        scope: Scope,
        given: Arguments,
        *,
        drop: bool = False,
    ) -> None:
        self.project = project
        self.scope = scope
        self.unknown = set(given.unknown)
        self.names: dict[str, ast.expr] = {}
        self.rest: list[ast.expr] = []
        self.more: dict[str, ast.expr] = dict(given.keywords)
        self.rest_name = parameters.vararg.arg if parameters.vararg else None
        self.more_name = parameters.kwarg.arg if parameters.kwarg else None
        names = [arg.arg for arg in (*parameters.posonlyargs, *parameters.args)][1 if drop else 0 :]
        self.names = dict(zip(names, given.args, strict=False))
        self.rest = given.args[len(names) :]
        for name in (*names, *(arg.arg for arg in parameters.kwonlyargs)):
            if name in self.more and name in self.names:
                raise NotForwardingError(f"is given {name} twice")
            if name in self.more:
                self.names[name] = self.more.pop(name)
        defaults = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
        only = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
        defaults |= {arg.arg: default for arg, default in only if default is not None}
        for name, default in defaults.items():
            if name not in self.names:
                self.names[name] = self.own(default)
        missing = {*names, *(arg.arg for arg in parameters.kwonlyargs)} - self.names.keys()
        if missing or (self.rest and not self.rest_name) or (self.more and not self.more_name):
            raise NotForwardingError(
                f"takes no {', '.join(sorted(missing or self.more)) or 'more arguments'}"
            )

    def own(self, expr: ast.expr) -> ast.expr:
        """An expression of the function itself, as the constant that it is if possible."""
        if isinstance(expr, ast.Name) and expr.id in self.names:
            return self.names[expr.id]
        if any(isinstance(node, ast.Name) and node.id in self.names for node in ast.walk(expr)):
            raise NotForwardingError(f"computes {ast.unparse(expr)}")
        try:
            return ast.Constant(evaluate(self.project, expr, self.scope))  # type: ignore[arg-type]
        except NotConstantError:
            self.unknown.add(expr)
            return expr

    def arguments(self, args: list[ast.expr], keywords: list[ast.keyword]) -> Arguments:
        """The arguments of a call within the function."""
        passed: list[ast.expr] = []
        named: dict[str, ast.expr] = {}
        for arg in args:
            if isinstance(arg, ast.Starred):
                if not (isinstance(arg.value, ast.Name) and arg.value.id == self.rest_name):
                    raise NotForwardingError(f"passes {ast.unparse(arg)} on")
                passed += self.rest
            else:
                passed.append(self.own(arg))
        for keyword in keywords:
            more = {keyword.arg: self.own(keyword.value)} if keyword.arg is not None else self.more
            if keyword.arg is None and not (
                isinstance(keyword.value, ast.Name) and keyword.value.id == self.more_name
            ):
                raise NotForwardingError(f"passes **{ast.unparse(keyword.value)} on")
            if named.keys() & more.keys():
                raise NotForwardingError(f"gives {', '.join(sorted(named.keys() & more.keys()))} twice")
            named |= more
        return Arguments(passed, named, frozenset(self.unknown))

    def call(
        self, expr: ast.expr | None, goal: Callable[[Resolved], _T | None], depth: int
    ) -> Forwarded[_T] | None:
        """Follow the call that a function returns."""
        if not isinstance(expr, ast.Call):
            raise NotForwardingError("returns something else")
        found = meanings(self.project, expr.func, self.scope, expr.lineno)
        given = self.arguments(expr.args, expr.keywords)
        return _first(self.project, found, given, goal, depth)

    def run(
        self, body: list[ast.stmt], goal: Callable[[Resolved], _T | None], depth: int
    ) -> Forwarded[_T] | None:
        """Run the statements of a function up to its ``return``."""
        for stmt in body:
            match stmt:
                case ast.Return(value=value):
                    return self.call(value, goal, depth)
                case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
                    pass
                case ast.Expr(
                    value=ast.Call(
                        func=ast.Attribute(value=ast.Name(id=name), attr="setdefault"),
                        args=[ast.Constant(value=str(key)), value],
                    )
                ) if name == self.more_name:
                    self.more.setdefault(key, self.own(value))
                case ast.Assign(
                    targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))],
                    value=value,
                ) if name == self.more_name:
                    self.more[key] = self.own(value)
                case _:
                    raise NotForwardingError(f"does {ast.unparse(stmt).partition(chr(10))[0]}")
        raise NotForwardingError("returns nothing")
