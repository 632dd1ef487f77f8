"""The value of an expression that only depends on literals, constants and attributes of known classes.

As SQLAlchemy would see it when it calls a ``declared_attr`` for one class: ``cls.__name__.lower() + "s"``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from backpop.codemods.facts import Binding, Bound, ClassInfo, Definition, Module, Scope, last_name
from backpop.codemods.link import Attribute, External, Opaque, Project, Resolved, Value
from backpop.codemods.plan.bases import may_set

_METHODS = frozenset(
    {"lower", "upper", "title", "capitalize", "casefold", "swapcase", "strip", "lstrip", "rstrip", "replace"}
    | {"removeprefix", "removesuffix", "format", "join", "split", "partition", "rpartition"}
)
_DEPTH = 20
_LONG = 10_000  # characters of a text
_SHORT = 200  # characters of a regular expression, and of what it is applied to
_WIDTH = re.compile(r"\d{4}")  # in a format, makes a text that is long for nothing
# What a class has from its declarative base, or from type, beside names that begin with an underscore.
_OF_BASES = {"metadata", "mro", "registry"}
# Methods that change what a name stands for.
_CHANGING = frozenset(
    {"add", "append", "clear", "difference_update", "discard", "extend", "insert", "intersection_update"}
    | {"pop", "popitem", "remove", "reverse", "setdefault", "sort", "symmetric_difference_update", "update"}
)

# A function of a class with one of these is no value of the class: cls.name is not what it returns.
_NO_VALUES = {External(f"builtins.{name}") for name in ("property", "classmethod", "staticmethod")}


class NotConstantError(Exception):
    """An expression whose value is only known when the program runs; the message is its source."""


@dataclass(frozen=True)
class _Member:
    """A member of an enum: not its value, and the same as another name for that value."""

    enum: ClassInfo
    key: object  # its value, or its name where that value is not known
    known: bool


def class_scope(function: Scope, made: ClassInfo) -> Scope:
    """The scope of a function of a class as it is called for ``made``: its first parameter is that class."""
    assert isinstance(function.node, Definition)
    parameters = [*function.node.args.posonlyargs, *function.node.args.args]
    return _called_scope(function, {parameters[0].arg: made} if parameters else {})


def _called_scope(function: Scope, arguments: dict[str, object]) -> Scope:
    """A new scope of a function in which its parameters are bound to classes and constants."""
    scope = Scope("function", function.name, function.node, function.module, function.parent)
    for name, value in arguments.items():
        _bind(scope, name, value, function.node)
    return scope


def _bind(scope: Scope, name: str, value: object, node: ast.AST) -> None:
    """Bind a name to a class, an expression or a constant."""
    line = getattr(node, "lineno", 1)
    if isinstance(value, ClassInfo):
        binding = Binding(Bound.CLASS, name, node, line, scope, None, made=value)
    else:
        expr = value if isinstance(value, ast.expr) else ast.Constant(value)  # type: ignore[arg-type]
        binding = Binding(Bound.VALUE, name, node, line, scope, None, value=expr)
    scope.bindings[name] = [binding]


def result_of(project: Project, function: Definition, scope: Scope, depth: int = 0) -> ast.expr | None:
    """The expression that a function returns when it runs in a scope; None where it returns nothing.

    The scope gets the bindings of the local names on the way. Follows assignments, imports and conditions
    that can be evaluated; raises :class:`NotConstantError` for a function that does anything else.
    """
    if isinstance(function, ast.AsyncFunctionDef) or any(
        isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)
    ):
        raise NotConstantError(f"the result of {function.name}()")
    known = function in scope.module.scopes
    original = scope.module.scopes[function].bindings if known else {}
    changed: set[str] = set()
    ended = _run(project, function.body, scope, original, changed, depth + 1)
    value = ended.value if ended is not None else None
    while isinstance(value, ast.IfExp):
        value = value.body if evaluate(project, value.test, scope, depth + 1) else value.orelse
    for node in ast.walk(value) if value is not None else ():
        if isinstance(node, ast.Attribute) and node.attr in changed:
            raise NotConstantError(ast.unparse(node))
    return value


def _run(
    project: Project,
    stmts: list[ast.stmt],
    scope: Scope,
    original: dict[str, list[Binding]],
    changed: set[str],
    depth: int,
) -> ast.Return | None:
    """Run statements up to the ``return`` that ends them; ``changed`` collects the attributes they set."""
    for stmt in stmts:
        match stmt:
            case ast.Return():
                return stmt
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef():
                for name, bindings in original.items():
                    own = [replace(binding, scope=scope) for binding in bindings if binding.node is stmt]
                    if own:
                        scope.bindings[name] = own
            case ast.If(test=test, body=body, orelse=orelse):
                taken = body if evaluate(project, test, scope, depth) else orelse
                ended = _run(project, taken, scope, original, changed, depth)
                if ended is not None:
                    return ended
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                _assign(project, name, value, scope, depth)
            case ast.AugAssign(target=ast.Name(id=name), op=operation, value=more):
                value = ast.BinOp(ast.Name(name, ast.Load()), operation, more)
                _assign(project, name, ast.copy_location(value, stmt), scope, depth)
            case ast.Assign(targets=[ast.Attribute(attr=attribute)]):
                changed.add(attribute)
            case ast.Assert(test=test) if evaluate(project, test, scope, depth):
                pass
            case _:
                raise NotConstantError(ast.unparse(stmt).partition("\n")[0])
    return None


def _assign(project: Project, name: str, value: ast.expr, scope: Scope, depth: int) -> None:
    """Bind a local name to the constant that a value is, else to the expression."""
    if name in scope.bindings:
        for many in scope.bindings.values():
            for binding in many:
                if binding.value is not None and any(
                    isinstance(node, ast.Name) and node.id == name for node in ast.walk(binding.value)
                ):
                    raise NotConstantError(name)  # the earlier value is still to be read
    try:
        _bind(scope, name, _value(project, value, scope, depth), value)
    except NotConstantError:
        if name in scope.bindings:
            raise
        _bind(scope, name, value, value)


def table_name(project: Project, made: ClassInfo) -> str | None:
    """The table that a class is mapped to, where that is certain."""
    try:
        value = _of_class(project, made, "__tablename__", 0)
    except NotConstantError:
        return None
    return value if isinstance(value, str) else None


def evaluate(project: Project, expr: ast.expr, scope: Scope, depth: int = 0) -> object:
    """The value of an expression in a scope. Raises :class:`NotConstantError`."""
    value = _value(project, expr, scope, depth)
    if _has_class([value]):
        raise NotConstantError(ast.unparse(expr))
    return value


def _value(project: Project, expr: ast.expr, scope: Scope, depth: int) -> object:
    """The same, or a class or member of an enum: only to be compared with others, and passed on."""
    value = _unchecked(project, expr, scope, depth + 1) if depth <= _DEPTH else None
    if depth > _DEPTH or (isinstance(value, str) and len(value) > _LONG):
        raise NotConstantError(ast.unparse(expr))
    return value


def _unchecked(project: Project, expr: ast.expr, scope: Scope, depth: int) -> object:
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
        case ast.BinOp(left=left, op=ast.Sub() | ast.BitOr() | ast.BitAnd() as operation, right=right):
            return _combined(project, left, operation, right, scope, depth)
        case ast.Tuple(elts=parts):
            return tuple(_value(project, part, scope, depth) for part in parts)
        case ast.List(elts=parts):
            return [_value(project, part, scope, depth) for part in parts]
        case ast.Set(elts=parts):
            return _set([_value(project, part, scope, depth) for part in parts])
        case ast.Dict(keys=keys, values=values) if None not in keys:
            texts = [evaluate(project, key, scope, depth) for key in keys if key is not None]
            return dict(zip(texts, [evaluate(project, one, scope, depth) for one in values], strict=True))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(project, body if evaluate(project, test, scope, depth) else orelse, scope, depth)
        case ast.BoolOp(op=operation, values=values):
            found: object = None
            for part in values:
                found = _value(project, part, scope, depth)
                if bool(found) is isinstance(operation, ast.Or):
                    break
            return found
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            sides = _value(project, left, scope, depth), _value(project, right, scope, depth)
            return _compared(expr, *sides, comparison)
        case ast.Subscript(value=owner, slice=ast.Slice() as part):
            return _sliced(project, owner, part, scope, depth)
        case ast.Subscript(value=owner, slice=ast.Constant(value=int(index))):
            text = evaluate(project, owner, scope, depth)
            if isinstance(text, str | tuple | list) and index < len(text):
                return text[index]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(project, operand, scope, depth)
        case ast.Call():
            return _call(project, expr, scope, depth)
    raise NotConstantError(ast.unparse(expr))


def _compared(expr: ast.expr, left: object, right: object, comparison: ast.cmpop) -> bool:
    match comparison:
        case ast.Eq() if _comparable(left, right):
            return left == right
        case ast.NotEq() if _comparable(left, right):
            return left != right
        case ast.Is() | ast.IsNot() if _has_identity(left) or _has_identity(right):
            same = left is right or (isinstance(left, _Member) and left == right)
            return same is isinstance(comparison, ast.Is)
        case ast.In() | ast.NotIn() if isinstance(right, tuple | list | frozenset):
            if all(_comparable(left, one) for one in right):
                return (left in right) is isinstance(comparison, ast.In)
        case ast.In() | ast.NotIn() if isinstance(left, str) and isinstance(right, str):
            return (left in right) is isinstance(comparison, ast.In)
    raise NotConstantError(ast.unparse(expr))


def _comparable(left: object, right: object) -> bool:
    """Whether two values are equal if and only if they are in Python: whether a member equals its value
    depends on what else the enum derives from."""
    return isinstance(left, _Member) is isinstance(right, _Member) or left is None or right is None


def _has_identity(value: object) -> bool:
    return value is None or isinstance(value, bool | ClassInfo | _Member)


def _joined(
    project: Project, left: ast.expr, operation: ast.Add | ast.Mod, right: ast.expr, scope: Scope, depth: int
) -> object:
    text, other = evaluate(project, left, scope, depth), evaluate(project, right, scope, depth)
    try:
        if isinstance(operation, ast.Mod) and isinstance(text, str) and not _WIDTH.search(text):
            return text % other
        if isinstance(operation, ast.Add) and isinstance(text, str) and isinstance(other, str):
            return text + other
    except (TypeError, ValueError) as error:
        raise NotConstantError(ast.unparse(left)) from error
    raise NotConstantError(f"{ast.unparse(left)} and {ast.unparse(right)}")


def _combined(
    project: Project,
    left: ast.expr,
    operation: ast.Sub | ast.BitOr | ast.BitAnd,
    right: ast.expr,
    scope: Scope,
    depth: int,
) -> object:
    """The difference, union or intersection of two sets."""
    one, other = _value(project, left, scope, depth), _value(project, right, scope, depth)
    if not (isinstance(one, frozenset) and isinstance(other, frozenset)):
        raise NotConstantError(f"{ast.unparse(left)} and {ast.unparse(right)}")
    if isinstance(operation, ast.Sub):
        return one - other
    return one | other if isinstance(operation, ast.BitOr) else one & other


def _set(parts: Iterable[object]) -> frozenset[object]:
    try:
        return frozenset(parts)
    except TypeError as error:
        raise NotConstantError("a set of what cannot be in one") from error


def _sliced(project: Project, owner: ast.expr, part: ast.Slice, scope: Scope, depth: int) -> object:
    text = evaluate(project, owner, scope, depth)
    ends = [None if end is None else evaluate(project, end, scope, depth) for end in (part.lower, part.upper)]
    start, stop = (end if isinstance(end, int) else None for end in ends)
    if not isinstance(text, str) or part.step is not None or [start, stop] != ends:
        raise NotConstantError(ast.unparse(owner))
    return text[start:stop]


# -- calls


def _call(project: Project, call: ast.Call, scope: Scope, depth: int) -> object:
    """A method of a string, a builtin or ``re.sub``, or a function of the project."""
    if any(isinstance(arg, ast.Starred) for arg in call.args) or None in {one.arg for one in call.keywords}:
        raise NotConstantError(ast.unparse(call))
    found = project.resolve(call.func, scope)
    if isinstance(found, Opaque) and isinstance(found.binding.node, ast.FunctionDef):
        return _function(project, call, found.binding, scope, depth)
    args = [_value(project, arg, scope, depth) for arg in call.args]
    keywords = {str(one.arg): _value(project, one.value, scope, depth) for one in call.keywords}
    try:
        if isinstance(found, External):
            return _of_library(project, found.name, args, keywords)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
            text = evaluate(project, call.func.value, scope, depth)
            wide = call.func.attr == "format" and _WIDTH.search(str(text))
            if isinstance(text, str) and not wide and not _has_class([*args, *keywords.values()]):
                return getattr(text, call.func.attr)(*args, **keywords)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "sub":
            pattern = project.resolve(call.func.value, scope)
            if isinstance(pattern, Value) and isinstance(pattern.expr, ast.Call):
                maker = project.resolve(pattern.expr.func, pattern.scope)
                if maker == External("re.compile") and len(pattern.expr.args) == 1 and not keywords:
                    return _substituted(evaluate(project, pattern.expr.args[0], pattern.scope, depth), *args)
    except (TypeError, ValueError, LookupError, AttributeError, re.error) as error:
        raise NotConstantError(ast.unparse(call)) from error
    raise NotConstantError(ast.unparse(call))


def _has_class(values: list[object]) -> bool:
    return any(
        isinstance(value, ClassInfo | _Member)
        or (isinstance(value, tuple | list | frozenset) and _has_class(list(value)))
        for value in values
    )


def _of_library(project: Project, name: str, args: list[object], keywords: dict[str, object]) -> object:
    """A call of a function outside of the project. Raises ``LookupError`` for one that is not known."""
    match name, args:
        case "builtins.str", [str() | int() as only] if not keywords:
            return str(only)
        case "builtins.len", [str() as only] if not keywords:
            return len(only)
        case "builtins.issubclass", [ClassInfo() as made, ClassInfo() as base] if not keywords:
            return made is base or base in project.ancestors(made)
        case (("builtins.hasattr" | "builtins.getattr"), [ClassInfo() as made, str() as attribute, *default]):
            known = any(attribute in one.body.bindings for one in (made, *project.ancestors(made)))
            from_base = attribute in _OF_BASES or attribute.startswith("_")
            set_later = may_set(project, made, attribute)
            if not known and (from_base or set_later or _has_unseen_base(project, made)):
                raise LookupError
            if name == "builtins.hasattr":
                return known
            return _of_class(project, made, attribute, 1) if known or not default else default[0]
        case (("builtins.set" | "builtins.frozenset"), []) if not keywords:
            return frozenset()
        case (("builtins.set" | "builtins.frozenset"), [(tuple() | list() | frozenset()) as only]) if (
            not keywords
        ):
            return _set(only)
        case (("builtins.set" | "builtins.frozenset"), [ClassInfo() as enum]) if not keywords:
            return _set(_members(project, enum))
        case "re.sub", [pattern, *rest] if not keywords:
            return _substituted(pattern, *rest)
    raise LookupError


def _has_unseen_base(project: Project, made: ClassInfo) -> bool:
    """Whether a class may have attributes that come from outside of the project."""

    def is_seen(base: Resolved | None) -> bool:
        if isinstance(base, Value) and isinstance(base.expr, ast.Call):
            if any(keyword.arg in {"cls", None} for keyword in base.expr.keywords):
                return False
            base = project.resolve(base.expr.func, base.scope)
        return isinstance(base, ClassInfo) or (
            isinstance(base, External) and base.name.startswith(("sqlalchemy.", "builtins.", "typing."))
        )

    return not all(is_seen(base) for one in (made, *project.ancestors(made)) for base in project.bases(one))


def _substituted(pattern: object, replacement: object, text: object) -> str:
    """``re.sub`` of short texts, for patterns that cannot take long. Raises ``ValueError`` for others."""
    if not (isinstance(pattern, str) and isinstance(replacement, str) and isinstance(text, str)):
        raise ValueError
    if len(text) > _SHORT or len(pattern) > _SHORT or re.search(r"\)[*+{]", pattern):
        raise ValueError
    return re.sub(pattern, replacement, text)


def _function(project: Project, call: ast.Call, binding: Binding, scope: Scope, depth: int) -> object:
    """A call of a function, or of a class or static method, of the project."""
    node = binding.node
    assert isinstance(node, ast.FunctionDef)
    kinds = [project.resolve(decorator, binding.scope) for decorator in node.decorator_list]
    args: list[object] = []
    if binding.scope.kind == "class":
        if kinds == [External("builtins.classmethod")] and isinstance(call.func, ast.Attribute):
            args.append(_value(project, call.func.value, scope, depth))
        elif kinds != [External("builtins.staticmethod")]:
            raise NotConstantError(ast.unparse(call))
    elif kinds:
        raise NotConstantError(ast.unparse(call))
    parameters = node.args
    if parameters.posonlyargs or parameters.vararg or parameters.kwarg or binding.guard is not None:
        raise NotConstantError(ast.unparse(call))
    args += [_value(project, arg, scope, depth) for arg in call.args]
    names = [arg.arg for arg in parameters.args]
    given = dict(zip(names, args, strict=False))
    given |= {str(one.arg): _value(project, one.value, scope, depth) for one in call.keywords}
    defaults = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
    only = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    defaults |= {arg.arg: default for arg, default in only if default is not None}
    for name, default in defaults.items():
        if name not in given:
            given[name] = _value(project, default, binding.scope, depth)
    if len(args) > len(names) or given.keys() != {*names, *(arg.arg for arg in parameters.kwonlyargs)}:
        raise NotConstantError(ast.unparse(call))
    inner = _called_scope(_scope_of(node, binding), given)
    result = result_of(project, node, inner, depth)
    return None if result is None else _value(project, result, inner, depth)


def _scope_of(node: Definition, binding: Binding) -> Scope:
    return Scope("function", node.name, node, binding.scope.module, binding.scope)


# -- names


def _name(project: Project, expr: ast.Name | ast.Attribute, scope: Scope, depth: int) -> object:
    if isinstance(expr, ast.Attribute):
        owner = project.resolve(expr.value, scope)
        if isinstance(owner, ClassInfo):
            return _of_class(project, owner, expr.attr, depth)
        if expr.attr == "value":
            member = _value(project, expr.value, scope, depth)
            if isinstance(member, _Member) and member.known:
                return member.key
    else:
        bindings = project.lookup(expr.id, scope)
        if len(bindings) == 1 and bindings[0].guard is None and isinstance(bindings[0].value, ast.Constant):
            return bindings[0].value.value
    if project.once(_is_changed, (scope.module, last_name(expr))):
        raise NotConstantError(ast.unparse(expr))
    resolved = project.resolve(expr, scope)
    if isinstance(resolved, Value):
        return _value(project, resolved.expr, resolved.scope, depth)
    if isinstance(resolved, ClassInfo):
        return resolved
    raise NotConstantError(ast.unparse(expr))


def _is_changed(project: Project, named: tuple[Module, str]) -> bool:
    """Whether a module changes in place what has a last name."""
    module, name = named
    for node in module.near(name):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method in _CHANGING:
                if last_name(owner) == name:
                    return True
            case ast.Subscript(value=owner, ctx=ast.Store() | ast.Del()) if last_name(owner) == name:
                return True
    return False


def _is_assigned(project: Project, module: Module, name: str, made: ClassInfo) -> bool:
    """Whether a module assigns an attribute to a class, and may do so before another class is mapped."""
    lines = project.once(_assignments, (module, name))
    return bool(lines) and (module is not made.module or lines[0] < made.node.lineno)


def _assignments(project: Project, named: tuple[Module, str]) -> list[int]:
    """The lines on which a module assigns an attribute to a class, sorted."""
    module, name = named
    return sorted(
        node.lineno
        for node in module.near(name)
        if isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.ctx, ast.Store)
        and isinstance(project.resolve(node.value, module.scope), ClassInfo)
    )


def _is_enum(project: Project, made: ClassInfo) -> bool:
    found = (
        one
        for each in (made, *project.ancestors(made))
        for base in each.node.bases
        for one in project.resolve_all(base, each.scope)
    )
    return any(isinstance(one, External) and one.name.startswith("enum.") for one in found)


def _members(project: Project, enum: ClassInfo) -> Iterator[object]:
    """The members of an enum."""
    if not project.once(_is_enum, enum):
        raise NotConstantError(f"what {enum.name} holds")
    for member in enum.members:
        if not member.name.startswith("_"):
            yield _of_class(project, enum, member.name, 0)


def _of_class(project: Project, made: ClassInfo, name: str, depth: int) -> object:
    if name == "__name__" or (name == "__qualname__" and made.scope.kind == "module"):
        return made.name
    if may_set(project, made, name):
        raise NotConstantError(f"{made.name}.{name}")
    for one in (made, *project.ancestors(made)):
        bindings = one.body.bindings.get(name)
        if not bindings:
            continue
        binding = bindings[-1]
        if len(bindings) > 1 or binding.guard is not None:
            break
        if binding.value is not None:
            if project.once(_is_changed, (one.module, name)) or _is_assigned(project, one.module, name, made):
                break
            if project.once(_is_enum, one) and not name.startswith("_"):
                return _member(project, one, name, binding.value, depth)
            return _value(project, binding.value, one.body, depth + 1)
        if isinstance(binding.node, ast.FunctionDef) and not any(
            project.resolve(decorator, one.body) in _NO_VALUES
            for decorator in binding.node.decorator_list or [ast.Name("property")]
        ):
            inner = class_scope(_scope_of(binding.node, binding), made)
            result = result_of(project, binding.node, inner, depth + 1)
            if result is not None:
                return _value(project, result, inner, depth + 1)
        break
    else:
        if name == "__tablename__" and any(
            isinstance(root.key, Attribute) and root.key.name == "Model" for root in project.roots(made)
        ):
            return snake_case(made.name).lstrip("_")  # Flask-SQLAlchemy's own name for its table
    raise NotConstantError(f"{made.name}.{name}")


def _member(project: Project, enum: ClassInfo, name: str, value: ast.expr, depth: int) -> _Member:
    try:
        return _Member(enum, evaluate(project, value, enum.body, depth + 1), known=True)
    except NotConstantError:
        return _Member(enum, name, known=False)


def snake_case(name: str) -> str:
    """The name of a class in lower case, its words divided by underscores as Flask-SQLAlchemy does it."""
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower()
