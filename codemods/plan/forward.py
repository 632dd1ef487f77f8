"""Recognising a backref: the factory that receives it, its value, and the class at the other end.

Everything that has something to do with ``backref`` ends in one of three ways: a :class:`Forward`, a
:class:`Refused`, or None for what is not SQLAlchemy's.
"""

from __future__ import annotations

import ast
import keyword
import sys
from dataclasses import dataclass

from backpop.codemods.facts import Bound, ClassInfo, Place, Scope, Site
from backpop.codemods.link import Attribute, External, Opaque, Project, Resolved, Value
from backpop.codemods.plan.model import Refused
from backpop.codemods.read import BACKREF_POSITION

RELATIONSHIP = "sqlalchemy.orm.relationship"
_FACTORIES = {
    "relationship",
    "relation",
    "dynamic_loader",
    "RelationshipProperty",
    "RelationProperty",
    "Relationship",
}
_OTHER_LIBRARIES = {"peewee", "playhouse", "pony", "tortoise", "ormar", "mongoengine", "django"}
# The order of positional arguments in SQLAlchemy 1.3 and 1.4, up to backref.
_POSITIONAL = (
    "argument",
    "secondary",
    "primaryjoin",
    "secondaryjoin",
    "foreign_keys",
    "uselist",
    "order_by",
    "backref",
)
# Declarative refuses this attribute in a class body; a backref adds it behind its back.
_RESERVED = {"metadata"}


@dataclass(frozen=True)
class Factory:
    """What makes the relationship: SQLAlchemy's own function, or an object's method (``db.relationship``)."""

    owner: Resolved | None  # the object; None for SQLAlchemy's own


@dataclass(frozen=True)
class Backref:
    """The value of ``backref=``, taken apart."""

    node: ast.expr  # the value as it stands in the call
    name: str
    name_node: ast.expr
    options: tuple[tuple[str, ast.expr], ...]


@dataclass(frozen=True)
class Forward:
    """A relationship that carries a backref, with everything that its reverse is made from."""

    site: Site
    source: ClassInfo
    name: str
    factory: Factory
    backref: Backref
    target: ClassInfo
    by_string: bool  # the target is named by a string, so the registry is shared
    arguments: dict[str, ast.expr]


def recognise(project: Project, site: Site) -> Forward | None:
    """Take one candidate apart.

    Returns None for what is no backref of SQLAlchemy's; raises :class:`Refused` for one that cannot be
    converted.
    """
    if not isinstance(site.node, ast.Call):
        _refuse_mention(project, site)
        return None
    factory = _factory(project, site, site.node.func)
    if factory is None:
        return None
    arguments = _arguments(project, site)
    value = arguments.pop("backref", None)
    if value is None or (isinstance(value, ast.Constant) and not value.value):
        return None
    backref = _backref(project, site, value)
    source, name = _place(site)
    if not isinstance(arguments.get("back_populates", ast.Constant(None)), ast.Constant) or (
        getattr(arguments.get("back_populates"), "value", None) is not None
    ):
        raise Refused("BP106", "backref and back_populates on one relationship")
    arguments.pop("back_populates", None)
    argument = arguments.pop("argument", None) or _annotated_target(project, site)
    target, by_string = find_target(project, source, site.scope, argument)
    return Forward(site, source, name, factory, backref, target, by_string, arguments)


# -- the factory


def _refuse_mention(project: Project, site: Site) -> None:
    """A dictionary with a "backref" key: passed on where it cannot be followed."""
    source = site.scope.module.source.text
    if "sa_relationship_kwargs" in ast.unparse(site.stmt) and "sqlmodel" in source:
        raise Refused("BP306", "backref in sa_relationship_kwargs")
    if isinstance(site.node, ast.Subscript) and "relationship" in source and "sqlalchemy" in source:
        raise Refused("BP103", "backref is put into a dictionary")
    if isinstance(site.node, ast.Dict) and isinstance(site.stmt, ast.Assign) and _splatted(site):
        raise Refused("BP103", "backref stands in a dictionary of arguments")


def _splatted(site: Site) -> bool:
    """Whether the variable that a dictionary is assigned to is passed on as ``**variable``."""
    assert isinstance(site.stmt, ast.Assign)
    names = {target.id for target in site.stmt.targets if isinstance(target, ast.Name)}
    return any(
        isinstance(keyword_.value, ast.Name) and keyword_.value.id in names
        for other in site.scope.module.sites
        if isinstance(other.node, ast.Call)
        for keyword_ in other.node.keywords
        if keyword_.arg is None
    )


def _factory(project: Project, site: Site, func: ast.expr) -> Factory | None:
    """What is called. None if it is not SQLAlchemy's; raises :class:`Refused` if it may be."""
    found = project.resolve_all(func, site.scope)
    for resolved in found:
        factory = factory_of(project, resolved)
        if factory is not None:
            return factory
    has_backref = site.keyword("backref") is not None
    if not has_backref:
        return None
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    if name in _FACTORIES and isinstance(func, ast.Attribute) and _looks_like_flask(site, func.value):
        owner = project.resolve(func.value, site.scope)
        if owner is not None:
            return Factory(owner)
    if found == [External("builtins.dict")]:
        if isinstance(site.stmt, ast.Assign) and not _splatted(site):
            return None
        raise Refused("BP103", "backref stands in a dictionary of arguments")
    suspicious = "relation" in name.lower() or "sqlalchemy" in site.scope.module.source.text
    known = [may_be for resolved in found if (may_be := _may_be_factory(project, resolved)) is not None]
    if any(known) or (suspicious and len(known) < max(len(found), 1)):
        raise Refused("BP105", f"{ast.unparse(func)}() is not known to make a relationship")
    return None


def _may_be_factory(project: Project, resolved: Resolved, depth: int = 3) -> bool | None:
    """Whether something that is no factory itself passes on to one; None where that cannot be told."""
    if isinstance(resolved, External):
        top = resolved.name.partition(".")[0]
        return False if top in _OTHER_LIBRARIES or top in sys.stdlib_module_names else None
    if isinstance(resolved, ClassInfo):
        bases = [base for one in (resolved, *project.ancestors(resolved)) for base in project.bases(one)]
        return any(isinstance(base, External) and base.name.startswith("sqlalchemy.") for base in bases)
    body: ast.AST
    if isinstance(resolved, Opaque) and isinstance(resolved.binding.node, ast.FunctionDef):
        body, scope = resolved.binding.node, resolved.binding.scope
    elif isinstance(resolved, Value):
        body, scope = resolved.expr, resolved.scope
    else:
        return None
    names = [node for node in ast.walk(body) if isinstance(node, ast.Name | ast.Attribute)]
    inner = [one for node in names for one in project.resolve_all(node, scope) if one != resolved]
    return any(factory_of(project, one) is not None for one in inner) or (
        depth > 0
        and any(_may_be_factory(project, one, depth - 1) for one in inner if isinstance(one, Opaque | Value))
    )


def factory_of(project: Project, resolved: Resolved) -> Factory | None:
    """The factory that a resolved name stands for, or None."""
    if isinstance(resolved, External):
        known = resolved.name.startswith("sqlalchemy.") and resolved.last in _FACTORIES
        return Factory(None) if known else None
    if isinstance(resolved, Attribute) and resolved.name in _FACTORIES and _is_flask(project, resolved.owner):
        return Factory(resolved.owner)
    return None


def _is_flask(project: Project, owner: Resolved) -> bool:
    """Whether a value is a Flask-SQLAlchemy object, or one of a class derived from it."""
    if not (isinstance(owner, Value) and isinstance(owner.expr, ast.Call)):
        return False
    made = project.resolve(owner.expr.func, owner.scope)
    classes = [made] if isinstance(made, External) else []
    if isinstance(made, ClassInfo):
        classes = [
            base
            for one in (made, *project.ancestors(made))
            for base in project.bases(one)
            if isinstance(base, External)
        ]
    return any(one.last == "SQLAlchemy" for one in classes)


def _looks_like_flask(site: Site, owner: ast.expr) -> bool:
    """Whether the class around uses ``owner.Model`` or ``owner.Column``: what only such an object has."""
    text = ast.unparse(owner)
    return site.owner is not None and any(
        isinstance(node, ast.Attribute)
        and node.attr in {"Model", "Column"}
        and ast.unparse(node.value) == text
        for node in ast.walk(site.owner.node)
    )


# -- the arguments


def _arguments(project: Project, site: Site) -> dict[str, ast.expr]:
    call = site.node
    assert isinstance(call, ast.Call)
    splats = [keyword_.value for keyword_ in call.keywords if keyword_.arg is None]
    starred = [arg for arg in call.args if isinstance(arg, ast.Starred)]
    arguments = {keyword_.arg: keyword_.value for keyword_ in call.keywords if keyword_.arg is not None}
    if "backref" in arguments and (splats or starred):
        raise Refused("BP103", "some arguments of the relationship come from a splat")
    if splats and any(_may_hold_backref(project, splat, site.scope) for splat in splats):
        raise Refused("BP103", "backref comes from a splat")
    if not starred:
        arguments = dict(zip(_POSITIONAL, call.args, strict=False)) | arguments
        if "backref" in arguments and len(call.args) > BACKREF_POSITION + 1:
            raise Refused("BP602", "arguments after backref are given by position")
    return arguments


def _may_hold_backref(project: Project, splat: ast.expr, scope: Scope) -> bool:
    value = project.resolve(splat, scope)
    return isinstance(value, Value) and any(
        (isinstance(node, ast.keyword) and node.arg == "backref")
        or (isinstance(node, ast.Constant) and node.value == "backref")
        for node in ast.walk(value.expr)
    )


def _backref(project: Project, site: Site, value: ast.expr) -> Backref:
    scope = site.scope
    name: ast.expr | None = value
    options: list[tuple[str, ast.expr]] = []
    if isinstance(value, ast.Call):
        found = project.resolve_all(value.func, scope)
        if not any(_is_backref_function(project, one) for one in found) and not (
            isinstance(value.func, ast.Attribute)
            and value.func.attr == "backref"
            and _looks_like_flask(site, value.func.value)
        ):
            raise Refused("BP101", f"backref is the result of {ast.unparse(value.func)}()")
        if any(keyword_.arg is None for keyword_ in value.keywords) or any(
            isinstance(arg, ast.Starred) for arg in value.args
        ):
            raise Refused("BP103", "some arguments of backref() come from a splat")
        options = [(keyword_.arg or "", keyword_.value) for keyword_ in value.keywords]
        name = value.args[0] if value.args else dict(options).get("name")
        options = [option for option in options if option[0] != "name" or value.args]
    elif isinstance(value, ast.Tuple | ast.List):
        if len(value.elts) != 2 or not isinstance(value.elts[1], ast.Dict):
            raise Refused("BP101", "backref is a sequence that is not (name, {options})")
        name = value.elts[0]
        for key, option in zip(value.elts[1].keys, value.elts[1].values, strict=True):
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                raise Refused("BP103", "the options of backref are computed")
            options.append((key.value, option))
    for invalid in ("argument", "secondary", "back_populates", "backref"):
        if invalid in dict(options):
            raise Refused("BP106", f"backref() takes no {invalid}")
    if name is None:
        raise Refused("BP106", "backref() has no name")
    return Backref(value, _constant_name(project, name, scope), name, tuple(options))


def _is_backref_function(project: Project, resolved: Resolved) -> bool:
    if isinstance(resolved, External):
        return resolved.name.startswith("sqlalchemy.") and resolved.last == "backref"
    return (
        isinstance(resolved, Attribute) and resolved.name == "backref" and _is_flask(project, resolved.owner)
    )


def _constant_name(project: Project, node: ast.expr, scope: Scope) -> str:
    """The name of the reverse: a literal, or a constant that holds one."""
    value = node
    if isinstance(node, ast.Name | ast.Attribute):
        resolved = project.resolve(node, scope)
        if isinstance(resolved, Value):
            if isinstance(resolved.expr, ast.Call):
                raise Refused("BP102", f"backref is the variable {ast.unparse(node)}")
            value = resolved.expr
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        raise Refused("BP101", f"its name is {ast.unparse(node)}")
    name = value.value
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__") or name in _RESERVED:
        raise Refused("BP104", f"{name!r} cannot be a mapped attribute of a class body")
    return name


# -- the place


def _place(site: Site) -> tuple[ClassInfo, str]:
    """The class and the attribute that a relationship belongs to, where it stands in a class body."""
    if site.place is Place.METHOD:
        raise Refused("BP301", f"it stands in {site.scope.name}()")
    if site.place is Place.PROPERTIES:
        raise Refused("BP302", "it stands in an imperative mapping or another call")
    if site.place is Place.ASSIGNED:
        raise Refused("BP303", f"it is assigned to {ast.unparse(_target(site))}")
    if site.place is Place.CONDITIONAL:
        raise Refused("BP304", "it stands in a conditional part of the class body")
    if site.place is not Place.BODY or site.owner is None or site.attribute is None:
        raise Refused("BP305", "it is not the whole value of an attribute in a class body")
    name = site.attribute
    if name.startswith("__") and not name.endswith("__"):
        name = f"_{site.owner.name.lstrip('_')}{name}"  # Python's own name mangling
    return site.owner, name


def _target(site: Site) -> ast.expr:
    return site.stmt.targets[0] if isinstance(site.stmt, ast.Assign) else site.stmt.target  # type: ignore[attr-defined]


# -- the class at the other end


def find_target(
    project: Project, source: ClassInfo, scope: Scope, argument: ast.expr
) -> tuple[ClassInfo, bool]:
    """The class that the first argument of a relationship of ``source`` names, and whether a string does.

    Raises :class:`Refused` where that is not one certain mapped class of the project.
    """
    if isinstance(argument, ast.Lambda):
        scope = next(outer for outer in scope.chain() if outer.kind != "class")
        argument = argument.body
    by_class_name = isinstance(argument, ast.Attribute) and argument.attr == "__name__"
    if isinstance(argument, ast.Attribute) and by_class_name:
        argument = argument.value
    target, by_string = _by_object(project, source, argument, scope)
    return _mapped(project, target), by_string or by_class_name


def _annotated_target(project: Project, site: Site) -> ast.expr:
    """The target of a relationship that is given by its annotation alone."""
    annotation = site.stmt.annotation if isinstance(site.stmt, ast.AnnAssign) else None
    argument = annotated_class(annotation)
    if argument is None:
        raise Refused("BP204", "no target is given")
    if isinstance(argument, ast.Name | ast.Attribute) and project.resolve(argument, site.scope) is None:
        # a name for type checkers alone; SQLAlchemy then looks it up in the registry, as a string
        return ast.Constant(ast.unparse(argument))
    return argument


def _by_object(project: Project, source: ClassInfo, expr: ast.expr, scope: Scope) -> tuple[ClassInfo, bool]:
    if isinstance(expr, ast.Constant) and isinstance(expr.value, str):
        return by_name(project, source, expr.value), True
    if not isinstance(expr, ast.Name | ast.Attribute):
        raise Refused("BP204", f"the target is {ast.unparse(expr)}")
    found = project.resolve_all(expr, scope)
    text = ast.unparse(expr)
    if len(found) > 1:
        raise Refused("BP202", f"{text} may be {_candidates(found)}")
    if not found:
        raise Refused("BP201", f"{text} cannot be followed to a class")
    match found[0]:
        case ClassInfo() as target:
            return target, False
        case Value(expr=ast.Constant(value=str() as name)):
            return by_name(project, source, name), True
        case External(name=name):
            raise Refused("BP203", f"{name} is not among the files that were given")
        case Opaque(binding=binding) if binding.how is not Bound.DEF:
            raise Refused("BP204", f"{text} is only known when the program runs")
        case _:
            raise Refused("BP204", f"{text} is not a class statement")


def by_name(project: Project, source: ClassInfo, name: str) -> ClassInfo:
    """The class that a string names in the registry of ``source``: simple, or after part of a module path.

    Where several answer, the one in the same scope, then the one that the source's module imports: it is
    sure to be in the registry, and SQLAlchemy would refuse the string if another were there as well.
    """
    *path, simple = name.split(".")
    if not all(part.isidentifier() for part in (*path, simple)):
        raise Refused("BP204", f"the target is the expression {name!r}")
    named = [made for made in project.classes_named(simple) if _ends_with(made, path)]
    mapped = [made for made in project.meets(source, simple) if made in named]
    for scope in source.scope.chain():
        near = [made for made in mapped if made.scope is scope]
        if near:
            return _only(near, name)
    shared = [made for made in mapped if made.scope.kind != "function"] or mapped
    shared = [made for made in shared if project.same_registry(source, made)] or shared
    imported = [made for made in shared if _imports(project, source, made)]
    for choice in (shared, imported):
        if len(choice) == 1:
            return choice[0]
    if not shared:
        if named:
            raise Refused("BP205", f"{name} at {_where(named)} is no declarative class of the same registry")
        raise Refused("BP201", f"no class is named {name}")
    return _only(shared, name)


def _only(found: list[ClassInfo], name: str) -> ClassInfo:
    if len(found) > 1:
        raise Refused("BP202", f"{name} may be {_where(found)}")
    return found[0]


def _ends_with(made: ClassInfo, path: list[str]) -> bool:
    return not path or list(made.module.parts[-len(path) :]) == path


def _imports(project: Project, source: ClassInfo, made: ClassInfo) -> bool:
    return any(
        made in project.resolve_all(ast.Name(made.name), scope)
        for scope in source.body.chain()
        if made.name in scope.bindings
    )


def _where(found: list[ClassInfo]) -> str:
    return ", ".join(sorted(made.where for made in found))


def _candidates(found: list[Resolved]) -> str:
    return ", ".join(
        sorted(one.where if isinstance(one, ClassInfo) else type(one).__name__.lower() for one in found)
    )


def _mapped(project: Project, target: ClassInfo) -> ClassInfo:
    if not project.is_mapped(target):
        raise Refused("BP205", f"{target.name} at {target.where} is not mapped declaratively")
    if target.guard is not None and len(target.scope.bindings.get(target.name, ())) > 1:
        raise Refused("BP202", f"{target.name} is defined more than once at {target.where}")
    return target


def annotated_class(annotation: ast.expr | None) -> ast.expr | None:
    """The class that an annotation such as ``Mapped[list["X"]]`` names, as SQLAlchemy 2 reads it."""
    if annotation is None:
        return None
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return annotated_class(ast.parse(annotation.value, mode="eval").body)
        except SyntaxError:
            return None
    if isinstance(annotation, ast.Name | ast.Attribute):
        return annotation
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        sides = [side for side in (annotation.left, annotation.right) if not _is_none(side)]
        return annotated_class(sides[0]) if len(sides) == 1 else None
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        parts = [part for part in parts if not _is_none(part)]
        # the last: dict[str, "X"] is a collection of X
        return annotated_class(parts[-1]) if parts else None
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
