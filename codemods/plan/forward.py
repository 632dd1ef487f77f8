"""Recognising a backref: the factory that receives it, its value, and the class at the other end.

Everything that has something to do with ``backref`` ends in one of three ways: a :class:`Forward`, a
:class:`Refused`, or None for what is not SQLAlchemy's.
"""

from __future__ import annotations

import ast
import keyword
import unicodedata
from typing import NamedTuple

from backpop.codemods.facts import Bound, ClassInfo, Place, Scope, Site, last_name
from backpop.codemods.link import External, Opaque, Project, Resolved, Value
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.factory import (
    SQLMODEL,
    Factory,
    backref_call,
    called_factory,
    helped_arguments,
    is_backref_function,
    looks_like_flask,
    refuse_mention,
    sqlmodel_arguments,
    sqlmodel_call,
)
from backpop.codemods.plan.forwarding import meanings
from backpop.codemods.plan.mixins import concrete_scopes
from backpop.codemods.plan.model import Refused, listed
from backpop.codemods.plan.move import is_mangled, mangled
from backpop.codemods.read import BACKREF_POSITION

# The order of positional arguments in SQLAlchemy 1.3 and 1.4, up to backref.
POSITIONAL = (
    "argument",
    "secondary",
    "primaryjoin",
    "secondaryjoin",
    "foreign_keys",
    "uselist",
    "order_by",
    "backref",
)
# Every class has these, or declarative reads them.
_OF_CLASSES = (
    frozenset(dir(type))
    | {"__table__", "__tablename__", "__table_args__", "__mapper_args__"}
    | {
        "__mapper__",
        "__abstract__",
        "__clause_element__",
    }
)
# What the reverse depends on.
_MATTERING = {"argument", "secondary", "primaryjoin", "secondaryjoin", "foreign_keys", "viewonly"} | {
    "post_update",
    "passive_updates",
    "sync_backref",
}


class Backref(NamedTuple):
    """The value of ``backref=``, taken apart."""

    node: ast.expr  # the value as it stands in the call
    name: str
    name_text: str  # what takes its place in back_populates=
    options: tuple[tuple[str, ast.expr], ...]


class Forward(NamedTuple):
    """A relationship that carries a backref, with everything that its reverse is made from."""

    site: Site
    source: ClassInfo
    name: str
    scope: Scope  # that its arguments are evaluated in
    factory: Factory
    backref: Backref
    target: ClassInfo
    by_string: bool  # the target is named by a string, so the registry is shared
    arguments: dict[str, ast.expr]
    named: ast.expr | None = None  # the source, as the scope of the site calls it; None in its own body


def recognise(project: Project, site: Site) -> list[Forward]:
    """Take one candidate apart: one forward, or in a mixin one for each class that it makes one for.

    Returns nothing for what is no backref of SQLAlchemy's; raises :class:`Refused` for one that cannot be
    converted.
    """
    of_sqlmodel = sqlmodel_call(project, site)
    if of_sqlmodel is not None:
        return _of_sqlmodel(project, site, of_sqlmodel)
    if not isinstance(site.node, ast.Call):
        refuse_mention(project, site)
        return []
    factory = called_factory(project, site, site.node.func)
    if factory is None or _is_forwarded(project, site):
        return []
    arguments = _arguments(project, site, factory)
    value = arguments.pop("backref", None)
    if value is None or (isinstance(value, ast.Constant) and not value.value):
        return []
    paired = arguments.pop("back_populates", None)
    if paired is not None and not (isinstance(paired, ast.Constant) and paired.value is None):
        raise Refused("BP106", "backref and back_populates on one relationship")
    if site.place is not Place.METHOD and _backref(project, site, site.scope, value) is None:
        return []
    argument = arguments.pop("argument", None) or annotated_target(project, site)
    forwards = []
    for source, name, scope, named in _places(project, site):
        backref = _backref(project, site, scope, value)
        if backref is not None:
            if _is_sqlmodel(project, source):
                raise Refused("BP306", f"{source.name}.{name} is no relationship of SQLModel's own")
            given = {"argument": argument, **arguments}
            if site.place is Place.METHOD:
                given = {key: _settled(project, one, scope) for key, one in given.items()}
            target, by_string = find_target(project, source, scope, given.pop("argument"))
            forwards.append(
                Forward(site, source, name, scope, factory, backref, target, by_string, given, named)
            )
    return forwards


def _of_sqlmodel(project: Project, site: Site, call: ast.Call) -> list[Forward]:
    """The forward that gives its backref to SQLModel, which passes it on."""
    arguments = sqlmodel_arguments(call)
    value = arguments.pop("backref", None)
    if value is None:
        return []
    owner, stmt = site.owner, site.stmt
    if owner is None or not isinstance(stmt, ast.AnnAssign) or stmt not in owner.node.body:
        raise Refused("BP304", "it is not directly an annotated attribute of the class body")
    if "back_populates" in arguments:
        raise Refused("BP106", "backref and back_populates on one relationship")
    site = Site(call, stmt, site.scope, Place.BODY, owner, ast.unparse(stmt.target))
    backref = _backref(project, site, site.scope, value)
    if backref is None:
        return []
    target, _ = find_target(project, owner, site.scope, annotated_target(project, site))
    for made in (owner, target):
        if not (project.is_mapped(made) and _is_sqlmodel(project, made)):
            raise Refused("BP306", f"{made.name} at {made.where} is no table of SQLModel's")
    [(source, name, scope, _)] = _places(project, site)
    return [Forward(site, source, name, scope, SQLMODEL, backref, target, True, arguments)]


def _is_forwarded(project: Project, site: Site) -> bool:
    """Whether a function only passes on what it is given as backref, and as back_populates too.

    Its callers are what has the backrefs then.
    """
    passed = [site.keyword("backref"), site.keyword("back_populates")]
    return all(
        keyword_ is not None
        and isinstance(keyword_.value, ast.Name)
        and [type(one.node) for one in project.lookup(keyword_.value.id, site.scope)] == [ast.arg]
        for keyword_ in passed
    )


# -- the arguments


def _arguments(project: Project, site: Site, factory: Factory) -> dict[str, ast.expr]:
    """The arguments that reach ``relationship``, by name."""
    call = site.node
    assert isinstance(call, ast.Call)
    splats = [keyword_.value for keyword_ in call.keywords if keyword_.arg is None]
    starred = [arg for arg in call.args if isinstance(arg, ast.Starred)]
    arguments = {keyword_.arg: keyword_.value for keyword_ in call.keywords if keyword_.arg is not None}
    if "backref" in arguments and (splats or starred):
        raise Refused("BP103", "some arguments of the relationship come from a splat")
    if splats and any(_may_hold_backref(project, splat, site.scope) for splat in splats):
        raise Refused("BP103", "backref comes from a splat")
    if factory.through is not None:
        passed = helped_arguments(project, call, factory.through)
        arguments = dict(zip(POSITIONAL, passed.args, strict=False)) | passed.keywords
        for key in _MATTERING & arguments.keys():
            if arguments[key] in passed.unknown:
                raise Refused("BP109", f"{key}={ast.unparse(arguments[key])} of {ast.unparse(call.func)}()")
    elif not starred:
        arguments = dict(zip(POSITIONAL, call.args, strict=False)) | arguments
        if "backref" in arguments and len(call.args) > BACKREF_POSITION + 1:
            raise Refused("BP602", "arguments after backref are given by position")
    return arguments


def _settled(project: Project, argument: ast.expr, scope: Scope) -> ast.expr:
    """An argument without the conditions, and the local names, that are known for the class of a scope."""
    if isinstance(argument, ast.IfExp):
        try:
            chosen = argument.body if evaluate(project, argument.test, scope) else argument.orelse
        except NotConstantError:
            return argument
        return _settled(project, chosen, scope)
    local = scope.bindings.get(argument.id, []) if isinstance(argument, ast.Name) else []
    if len(local) == 1 and local[0].scope.kind == "function" and hasattr(local[0].value, "lineno"):
        return _settled(project, local[0].value, scope)  # type: ignore[arg-type]
    return argument


def _may_hold_backref(project: Project, splat: ast.expr, scope: Scope) -> bool:
    value = project.resolve(splat, scope)
    return isinstance(value, Value) and any(
        (isinstance(node, ast.keyword) and node.arg == "backref")
        or (isinstance(node, ast.Constant) and node.value == "backref")
        for node in ast.walk(value.expr)
    )


def _backref(project: Project, site: Site, scope: Scope, given: ast.expr) -> Backref | None:
    """Take the value of ``backref=`` apart; None where it is None for this class."""
    value = _chosen(project, site, scope, given)
    name: ast.expr | None = value
    options: list[tuple[str, ast.expr]] = []
    if isinstance(value, ast.Call):
        name, options = _backref_call(project, site, scope, value)
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
    if all(node is not name for node in ast.walk(given)):
        raise Refused("BP101", f"{ast.unparse(given)} gives the name {ast.unparse(name)} by itself")
    text = _constant_name(project, name, scope)
    if text is None:
        return None
    source = site.scope.module.source
    (start, end), (left, right) = source.span(given), source.span(value)
    name_text = source.text[start:left] + source.segment(name) + source.text[right:end]
    return Backref(given, text, name_text, tuple(options))


def _backref_call(
    project: Project, site: Site, scope: Scope, call: ast.Call
) -> tuple[ast.expr | None, list[tuple[str, ast.expr]]]:
    """The name and the options of a ``backref(...)`` call."""
    func = call.func
    splats = any(keyword_.arg is None for keyword_ in call.keywords) or any(
        isinstance(arg, ast.Starred) for arg in call.args
    )
    found = meanings(project, func, scope, call.lineno)
    if not any(is_backref_function(project, one) for one in found) and not (
        isinstance(func, ast.Attribute)
        and func.attr == "backref"
        and looks_like_flask(site.owner, func.value)
    ):
        helped = None if splats else backref_call(project, scope, call)
        if helped is None:
            return call, []  # of something that may give the name
        call = helped
    if splats:
        raise Refused("BP103", "some arguments of backref() come from a splat")
    options = [(keyword_.arg or "", keyword_.value) for keyword_ in call.keywords]
    if call.args:
        return call.args[0], options
    return dict(options).get("name"), [option for option in options if option[0] != "name"]


def _chosen(project: Project, site: Site, scope: Scope, value: ast.expr) -> ast.expr:
    """The part of ``backref(...) if cls.name else None`` that counts for a class."""
    if not isinstance(value, ast.IfExp | ast.BoolOp):
        return value
    if site.place is not Place.METHOD:
        raise Refused("BP101", f"it is {ast.unparse(value)}")
    try:
        if isinstance(value, ast.IfExp):
            return value.body if evaluate(project, value.test, scope) else value.orelse
        if isinstance(value.op, ast.Or):
            evaluate(project, value, scope)
            return value
        if isinstance(value.op, ast.And) and len(value.values) == 2:
            return value.values[1] if evaluate(project, value.values[0], scope) else value.values[0]
    except NotConstantError as error:
        raise Refused("BP101", f"whether it has a backref depends on {error}") from error
    raise Refused("BP101", f"it is {ast.unparse(value)}")


def _constant_name(project: Project, node: ast.expr, scope: Scope) -> str | None:
    """The name of the reverse, as far as it can be known; None for a value that means no backref."""
    if isinstance(node, ast.Name | ast.Attribute):
        resolved = project.resolve(node, scope)
        if isinstance(resolved, Value) and isinstance(resolved.expr, ast.Call):
            raise Refused("BP102", f"backref is the variable {ast.unparse(node)}")
    try:
        name = evaluate(project, node, scope)
    except NotConstantError as error:
        raise Refused("BP101", f"its name is {error}") from error
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise Refused("BP101", f"its name is {name!r}")
    if (
        not name.isidentifier()
        or keyword.iskeyword(name)
        or name.startswith("_sa_")
        or is_mangled(name)
        or name in _OF_CLASSES
        or unicodedata.normalize("NFKC", name) != name  # as Python spells identifiers, but not strings
    ):
        raise Refused("BP104", f"{name!r} cannot be a mapped attribute of a class body")
    return name


# -- the place


def _places(project: Project, site: Site) -> list[tuple[ClassInfo, str, Scope, ast.expr | None]]:
    """The classes that a relationship belongs to, each with the attribute and the scope of the arguments.

    Last, how that scope names the class, where the relationship does not stand in its body.
    """
    if site.place is Place.METHOD:
        return [(made, site.scope.name, scope, None) for made, scope in concrete_scopes(project, site)]
    if site.place in {Place.PROPERTIES, Place.ADDED, Place.ASSIGNED}:
        source, named = put_on(project, site)
        if site.attribute is None:
            raise Refused("BP309", "the key of the relationship is computed")
        return [(source, site.attribute, site.scope, named)]
    if site.place is Place.ARGUMENT:
        raise Refused("BP302", "it stands in a call that is not known to map a class")
    if site.place is Place.CONDITIONAL:
        raise Refused("BP304", "it stands in a conditional part of the class body")
    in_body = site.place in {Place.BODY, Place.MAPPER_ARGS}
    if not in_body or site.owner is None or site.attribute is None:
        raise Refused("BP305", "it is not the whole value of an attribute in a class body")
    name = site.attribute
    own = 1 if site.place is Place.BODY else 0
    if len(site.owner.body.bindings.get(name, ())) > own:
        raise Refused("BP305", f"{site.owner.name}.{name} is assigned more than once")
    return [(site.owner, mangled(site.owner, name), site.scope, None)]


def put_on(project: Project, site: Site) -> tuple[ClassInfo, ast.expr]:
    """The class that a relationship outside of class bodies is put on, and how its scope names that."""
    on, scope = site.on, site.scope
    assert on is not None
    if site.place is Place.PROPERTIES:
        mapping = project.mappings.of_call(on, scope)
        if mapping is None:
            raise Refused("BP302", "the class that it belongs to is not certain")
        return mapping.made, mapping.named
    if site.place is Place.ADDED:
        return _mapper_of(project, site, on)
    made = project.resolve(on, scope)
    if not isinstance(made, ClassInfo):
        raise Refused("BP303", f"it is assigned to {ast.unparse(on)}.{site.attribute}")
    if not (project.is_mapped(made) and project.is_instrumented(made)):
        raise Refused("BP303", f"{made.name} at {made.where} does not map what is assigned to it")
    return made, on


def _mapper_of(project: Project, site: Site, mapper: ast.expr) -> tuple[ClassInfo, ast.expr]:
    """The class of the mapper in ``mapper.add_property()``."""
    found = project.resolve(mapper, site.scope)
    if isinstance(found, Value) and (mapping := project.mappings.of_call(found.expr, found.scope)):
        return mapping.made, mapping.named
    match mapper:
        case ast.Attribute(value=named, attr="__mapper__" | "mapper"):
            pass
        case ast.Call(func=func, args=[named, *_]) if last_name(func) == "class_mapper":
            if not any(keyword_.arg == "configure" for keyword_ in mapper.keywords):
                raise Refused("BP308", "class_mapper() configures the mappers; give it configure=False")
        case _:
            raise Refused("BP302", f"it is added to {ast.unparse(mapper)}")
    made = project.resolve(named, site.scope)
    if isinstance(made, ClassInfo) and project.is_mapped(made):
        return made, named
    made = project.mappings.named(named, site.scope)
    if made is None:
        raise Refused("BP302", f"it is added to {ast.unparse(mapper)}")
    return made, named


# -- the class at the other end


def find_target(
    project: Project, source: ClassInfo, scope: Scope, argument: ast.expr
) -> tuple[ClassInfo, bool]:
    """The class that the first argument of a relationship of ``source`` names, and whether a string does.

    Raises :class:`Refused` where that is not one certain mapped class of the project.
    """
    if isinstance(argument, ast.Lambda):
        scope = scope.outside
        argument = argument.body
    scope = project.seen_from(argument, scope)
    by_class_name = isinstance(argument, ast.Attribute) and argument.attr == "__name__"
    if isinstance(argument, ast.Attribute) and by_class_name:
        argument = argument.value
    imperative = _mapped_here(project, source, argument, scope)
    if imperative is not None:
        return imperative, False
    target, by_string = _by_object(project, source, argument, scope)
    return _mapped(project, source, target), by_string or by_class_name


def _mapped_here(project: Project, source: ClassInfo, argument: ast.expr, scope: Scope) -> ClassInfo | None:
    """The target of a relationship, where a scope around it maps that imperatively."""
    if isinstance(argument, ast.Name | ast.Attribute | ast.Call):
        return project.mappings.named(argument, scope)
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    for outer in scope.chain():  # a string reaches what the same registry maps
        here = project.mappings.of_scope(outer) if outer.kind != "class" else []
        registries = {ast.unparse(one.call.node.func) for one in here if one.made is source}
        found = {
            one.made
            for one in here
            if one.made.name == argument.value and registries == {ast.unparse(one.call.node.func)}
        }
        if len(found) == 1:
            return found.pop()
    return None


def annotated_target(project: Project, site: Site) -> ast.expr:
    """The target of a relationship that is given by its annotation alone."""
    annotation = site.stmt.annotation if isinstance(site.stmt, ast.AnnAssign) else None
    if site.place is Place.METHOD and isinstance(site.scope.node, ast.FunctionDef):
        annotation = site.scope.node.returns
    argument = named_target(project, annotation, site.scope)
    if argument is None:
        raise Refused("BP204", "no target is given")
    return argument


def named_target(project: Project, annotation: ast.expr | None, scope: Scope) -> ast.expr | None:
    """The class that an annotation names, as the first argument of a relationship would."""
    argument = annotated_class(annotation)
    seen_from = project.seen_from(argument, scope) if argument is not None else scope
    if isinstance(argument, ast.Name | ast.Attribute) and project.resolve(argument, seen_from) is None:
        # a name for type checkers alone; SQLAlchemy then looks it up in the registry, as a string
        return ast.Constant(ast.unparse(argument))
    return argument


def _by_object(project: Project, source: ClassInfo, expr: ast.expr, scope: Scope) -> tuple[ClassInfo, bool]:
    if isinstance(expr, ast.Constant) and isinstance(expr.value, str):
        return by_name(project, source, expr.value), True
    if not isinstance(expr, ast.Name | ast.Attribute):
        return by_name(project, source, _computed(project, expr, scope)), True
    found = project.resolve_all(expr, scope)
    text = ast.unparse(expr)
    if len(found) > 1:
        raise Refused("BP202", f"{text} may be {_candidates(found)}")
    if not found:
        raise Refused("BP201", f"{text} cannot be followed to a class")
    match found[0]:
        case ClassInfo() as target:
            return target, False
        case Value(expr=value, scope=where):
            return by_name(project, source, _computed(project, value, where)), True
        case External(name=name):
            raise Refused("BP203", f"{name} is not among the files that were given")
        case Opaque(binding=binding) if binding.how is not Bound.DEF:
            raise Refused("BP204", f"{text} is only known when the program runs")
        case _:
            raise Refused("BP204", f"{text} is not a class statement")


def _computed(project: Project, expr: ast.expr, scope: Scope) -> str:
    """The name of a class that an expression gives, where that can be known."""
    try:
        name = evaluate(project, expr, scope)
    except NotConstantError as error:
        raise Refused("BP204", f"the target is {error}") from error
    if not isinstance(name, str):
        raise Refused("BP204", f"the target is {ast.unparse(expr)}")
    return name


def by_name(project: Project, source: ClassInfo, name: str) -> ClassInfo:
    """The class that a string names in the registry of ``source``: simple, or after part of a module path.

    Where several answer, the one in the same scope, then the one that the source's module imports: it is
    sure to be in the registry, and SQLAlchemy would refuse the string if another were there as well.
    """
    *path, simple = name.split(".")
    if not all(part.isidentifier() for part in (*path, simple)):
        raise Refused("BP204", f"the target is the expression {name!r}")
    for scope in source.scope.chain():
        here = [one.made for one in scope.bindings.get(simple, ()) if one.made is not None]
        near = [
            made
            for made in here
            if _ends_with(made, path)
            and project.is_mapped(made)
            and project.same_registry(source, made) is not False
        ]
        if near:
            return _only(near, name)
    mapped = [made for made in project.meets(source, simple) if _ends_with(made, path)]
    shared = [made for made in mapped if made.scope.kind != "function"] or mapped
    shared = [made for made in shared if project.same_registry(source, made)] or shared
    imported = [made for made in shared if _imports(project, source, made)]
    for choice in (shared, imported):
        if len(choice) == 1:
            return choice[0]
    if not shared:
        known = [
            made
            for made in project.classes_named(simple)
            if _ends_with(made, path)
            and (not project.roots(made) or any(root.sure for root in project.roots(made)))
        ]
        if known:
            raise Refused("BP205", f"{name} at {_where(known)} is no declarative class of the same registry")
        outside = project.resolve(ast.Name(simple), source.body)
        if isinstance(outside, External) and not outside.name.startswith("builtins."):
            raise Refused("BP203", f"{outside.name} is not among the files that were given")
        raise Refused("BP201", f"no mapped class is named {name}")
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
    return listed(sorted(made.where for made in found))


def _candidates(found: list[Resolved]) -> str:
    return ", ".join(
        sorted(one.where if isinstance(one, ClassInfo) else type(one).__name__.lower() for one in found)
    )


def _mapped(project: Project, source: ClassInfo, target: ClassInfo) -> ClassInfo:
    if _is_sqlmodel(project, target) and not _is_sqlmodel(project, source):
        raise Refused("BP306", f"{target.name} at {target.where} is an SQLModel class")
    if not project.is_mapped(target):
        raise Refused("BP205", f"{target.name} at {target.where} is not mapped declaratively")
    if target.guard is not None and len(target.scope.bindings.get(target.name, ())) > 1:
        raise Refused("BP202", f"{target.name} is defined more than once at {target.where}")
    return target


def _is_sqlmodel(project: Project, made: ClassInfo) -> bool:
    bases = [base for one in (made, *project.ancestors(made)) for base in project.bases(one)]
    return any(isinstance(base, External) and base.name.startswith("sqlmodel.") for base in bases)


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
