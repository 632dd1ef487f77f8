"""The value of an expression that only depends on literals, constants and attributes of known classes.

As SQLAlchemy would see it when it calls a ``declared_attr`` for one class: ``cls.__name__.lower() + "s"``.
"""

from __future__ import annotations

import ast
import re

from backpop.codemods.facts import Binding, Bound, ClassInfo, Definition, Scope
from backpop.codemods.link import Attribute, External, Project, Value

_METHODS = frozenset(
    {"lower", "upper", "title", "capitalize", "casefold", "swapcase", "strip", "lstrip", "rstrip", "replace"}
    | {"removeprefix", "removesuffix", "format", "join", "split", "partition", "rpartition"}
)
_DEPTH = 20


class NotConstantError(Exception):
    """An expression whose value is only known when the program runs; the message is its source."""


def class_scope(function: Scope, made: ClassInfo) -> Scope:
    """The scope of a function of a class as it is called for ``made``: its first parameter is that class."""
    assert isinstance(function.node, Definition)
    parameters = [*function.node.args.posonlyargs, *function.node.args.args]
    scope = Scope("function", function.name, function.node, function.module, function.parent)
    if parameters:
        node = made.node
        binding = Binding(Bound.CLASS, parameters[0].arg, node, node.lineno, scope, None, made=made)
        scope.bindings[parameters[0].arg] = [binding]
    return scope


def returned(node: ast.AST) -> ast.expr | None:
    """The expression that a function returns, where that is all it does."""
    if not isinstance(node, Definition):
        return None
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None


def table_name(project: Project, made: ClassInfo) -> str | None:
    """The table that a class is mapped to, where that is certain."""
    try:
        value = _of_class(project, made, "__tablename__", 0)
    except NotConstantError:
        return None
    return value if isinstance(value, str) else None


def evaluate(project: Project, expr: ast.expr, scope: Scope, depth: int = 0) -> object:
    """The value of an expression in a scope. Raises :class:`NotConstantError`."""
    if depth > _DEPTH:
        raise NotConstantError(ast.unparse(expr))
    depth += 1
    match expr:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            return _name(project, expr, scope, depth)
        case ast.JoinedStr(values=values):
            return "".join(str(evaluate(project, value, scope, depth)) for value in values)
        case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
            return evaluate(project, inner, scope, depth)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod() as operation, right=right):
            return _joined(project, left, operation, right, scope, depth)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(evaluate(project, part, scope, depth) for part in parts)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return evaluate(project, body if evaluate(project, test, scope, depth) else orelse, scope, depth)
        case ast.Subscript(value=owner, slice=ast.Slice() as part):
            return _sliced(project, owner, part, scope, depth)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _METHODS:
            return _method(project, expr, owner, method, scope, depth)
        case ast.Call(func=ast.Name(id="str"), args=[only], keywords=[]):
            return str(evaluate(project, only, scope, depth))
    raise NotConstantError(ast.unparse(expr))


def _joined(
    project: Project, left: ast.expr, operation: ast.Add | ast.Mod, right: ast.expr, scope: Scope, depth: int
) -> object:
    text, other = evaluate(project, left, scope, depth), evaluate(project, right, scope, depth)
    try:
        if isinstance(operation, ast.Mod) and isinstance(text, str):
            return text % other
        if isinstance(operation, ast.Add) and isinstance(text, str) and isinstance(other, str):
            return text + other
    except (TypeError, ValueError) as error:
        raise NotConstantError(ast.unparse(left)) from error
    raise NotConstantError(f"{ast.unparse(left)} and {ast.unparse(right)}")


def _sliced(project: Project, owner: ast.expr, part: ast.Slice, scope: Scope, depth: int) -> object:
    text = evaluate(project, owner, scope, depth)
    ends = [None if end is None else evaluate(project, end, scope, depth) for end in (part.lower, part.upper)]
    start, stop = (end if isinstance(end, int) else None for end in ends)
    if not isinstance(text, str) or part.step is not None or [start, stop] != ends:
        raise NotConstantError(ast.unparse(owner))
    return text[start:stop]


def _method(
    project: Project, call: ast.Call, owner: ast.expr, method: str, scope: Scope, depth: int
) -> object:
    text = evaluate(project, owner, scope, depth)
    if not isinstance(text, str) or any(keyword.arg is None for keyword in call.keywords):
        raise NotConstantError(ast.unparse(call))
    args = [evaluate(project, arg, scope, depth) for arg in call.args]
    keywords = {str(keyword.arg): evaluate(project, keyword.value, scope, depth) for keyword in call.keywords}
    try:
        return getattr(text, method)(*args, **keywords)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise NotConstantError(ast.unparse(call)) from error


def _name(project: Project, expr: ast.Name | ast.Attribute, scope: Scope, depth: int) -> object:
    if isinstance(expr, ast.Attribute):
        owner = project.resolve(expr.value, scope)
        if isinstance(owner, ClassInfo):
            return _of_class(project, owner, expr.attr, depth)
        if expr.attr == "value" and isinstance(expr.value, ast.Attribute):  # a member of an enum
            enum = project.resolve(expr.value.value, scope)
            if isinstance(enum, ClassInfo) and any(
                isinstance(base, External) and base.name.startswith("enum.")
                for made in (enum, *project.ancestors(enum))
                for base in project.bases(made)
            ):
                return _of_class(project, enum, expr.value.attr, depth)
    resolved = project.resolve(expr, scope)
    if isinstance(resolved, Value):
        return evaluate(project, resolved.expr, resolved.scope, depth)
    raise NotConstantError(ast.unparse(expr))


def _of_class(project: Project, made: ClassInfo, name: str, depth: int) -> object:
    if name == "__name__" or (name == "__qualname__" and made.scope.kind == "module"):
        return made.name
    for one in (made, *project.ancestors(made)):
        bindings = one.body.bindings.get(name)
        if not bindings:
            continue
        binding = bindings[-1]
        if len(bindings) > 1 or binding.guard is not None:
            break
        if binding.value is not None:
            return evaluate(project, binding.value, one.body, depth + 1)
        result = returned(binding.node)
        if result is not None:
            function = Scope("function", name, binding.node, one.module, one.body)  # type: ignore[arg-type]
            return evaluate(project, result, class_scope(function, made), depth + 1)
        break
    else:
        if name == "__tablename__" and any(
            isinstance(root.key, Attribute) and root.key.name == "Model" for root in project.roots(made)
        ):
            return _flask_table_name(made.name)
    raise NotConstantError(f"{made.name}.{name}")


def _flask_table_name(name: str) -> str:
    """Flask-SQLAlchemy's own name for the table of a class that gives none."""
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower().lstrip("_")
