"""What receives a ``backref=``: SQLAlchemy's ``relationship``, a Flask-SQLAlchemy object's, or another."""

from __future__ import annotations

import ast
import sys
from typing import NamedTuple

from backpop.codemods.facts import ClassInfo, Scope, Site, entries, is_written_out, last_name
from backpop.codemods.link import Attribute, External, Opaque, Project, Resolved, Value
from backpop.codemods.plan.forwarding import Arguments, NotForwardingError, forwarded, meanings
from backpop.codemods.plan.model import Refused

_FACTORIES = {"relationship", "relation", "dynamic_loader"} | {
    "RelationshipProperty",
    "RelationProperty",
    "Relationship",
}
_OWN_WAYS = ("__init__", "__new__", "_generate_backref")
_OTHER_LIBRARIES = {"peewee", "playhouse", "pony", "tortoise", "ormar", "mongoengine", "django"}


class Factory(NamedTuple):
    """What makes the relationship: SQLAlchemy's own function, or an object's method (``db.relationship``)."""

    owner: Resolved | None  # the object, or SQLModel; None for SQLAlchemy's own
    through: Resolved | None = None  # a function of the project that forwards to it


SQLMODEL = Factory(External("sqlmodel"))
_SQLMODEL = ("sqlmodel", "sqlmodel.main")
_KWARGS = "sa_relationship_kwargs"


def called_factory(project: Project, site: Site, func: ast.expr) -> Factory | None:
    """What is called. None if it is not SQLAlchemy's; raises :class:`Refused` if it may be."""
    found = meanings(project, func, site.scope, site.stmt.lineno)
    for resolved in found:
        factory = factory_of(project, resolved)
        if factory is not None:
            return factory
    has_backref = site.keyword("backref") is not None
    if not has_backref:
        return None
    for resolved in found:
        factory = _helper(project, site, resolved)
        if factory is not None:
            return factory
    name = last_name(func)
    if site.owner is not None and (factory := flask_like_factory(project, site.owner, func)) is not None:
        return factory
    call = site.node
    if isinstance(call, ast.Call) and any(
        factory_of(project, one) is not None
        for arg in call.args
        for one in project.resolve_all(arg, site.scope)
    ):
        raise Refused("BP105", f"{ast.unparse(func)}() is given {ast.unparse(call.args[0])}")
    if found == [External("builtins.dict")]:
        if isinstance(site.stmt, ast.Assign) and not _splatted(site):
            return None
        raise Refused("BP103", "backref stands in a dictionary of arguments")
    suspicious = "relation" in name.lower() or "sqlalchemy" in site.scope.module.source.text
    known = [may_be for resolved in found if (may_be := _may_be_factory(project, resolved)) is not None]
    if any(known) or (suspicious and len(known) < max(len(found), 1)):
        raise Refused("BP105", f"{ast.unparse(func)}() is not known to make a relationship")
    return None


def _helper(project: Project, site: Site, resolved: Resolved) -> Factory | None:
    """The factory that a function of the project forwards to, or None. Raises :class:`Refused`."""
    call = site.node
    assert isinstance(call, ast.Call)
    if isinstance(resolved, ClassInfo):
        return _subclass(project, resolved)
    if any(isinstance(arg, ast.Starred) for arg in call.args) or any(
        one.arg is None for one in call.keywords
    ):
        return None
    try:
        reached = forwarded(project, resolved, _given(call), lambda one: factory_of(project, one))
    except NotForwardingError as error:
        raise Refused("BP107", f"{ast.unparse(call.func)}() {error}") from error
    return None if reached is None else Factory(reached.goal.owner, resolved)


def made_by_function(project: Project, made: ClassInfo, call: ast.Call) -> Factory | None:
    """The factory that a call in a class body reaches through a function of the project, or None."""
    for resolved in meanings(project, call.func, made.body, call.lineno):
        try:
            reached = forwarded(project, resolved, _given(call), lambda one: factory_of(project, one))
        except NotForwardingError:
            continue
        if reached is not None:
            return Factory(reached.goal.owner, resolved)
    return None


def _subclass(project: Project, made: ClassInfo) -> Factory | None:
    """The factory that a subclass of ``RelationshipProperty`` is, or None. Raises :class:`Refused`."""
    line = (made, *project.ancestors(made))
    bases = [base for one in line for base in project.bases(one) if not isinstance(base, ClassInfo)]
    if not bases or not all(
        isinstance(base, External) and factory_of(project, base) is not None for base in bases
    ):
        return None
    own = {name for one in line for name in _OWN_WAYS if name in one.body.bindings}
    if own:
        raise Refused("BP107", f"{made.name} at {made.where} has its own {', '.join(sorted(own))}")
    return Factory(None, made)


def _given(call: ast.Call, **instead: str) -> Arguments:
    """The arguments of a call; with ``instead``, some keywords under another name."""
    keywords = {instead.get(one.arg, one.arg): one.value for one in call.keywords if one.arg is not None}
    return Arguments(list(call.args), keywords)


def helped_arguments(project: Project, call: ast.Call, through: Resolved) -> Arguments:
    """What a call of a function of the project passes on to ``relationship``.

    Raises :class:`Refused` if the function would not pass ``back_populates`` on in the place of ``backref``.
    """
    if isinstance(through, ClassInfo):
        return _given(call)

    def goal(one: Resolved) -> Factory | None:
        return factory_of(project, one)

    before = forwarded(project, through, _given(call), goal)
    try:
        after = forwarded(project, through, _given(call, backref="back_populates"), goal)
    except NotForwardingError as error:
        raise Refused("BP108", f"{ast.unparse(call.func)}() {error}") from error
    assert before is not None
    assert after is not None
    given = before.arguments.keywords
    backref = next(one.value for one in call.keywords if one.arg == "backref")
    if given.get("backref") is not backref or not _is_nothing(given.pop("back_populates", None)):
        raise Refused("BP107", f"{ast.unparse(call.func)}() does not pass backref on as it is")
    swapped = after.arguments.keywords
    if swapped.get("back_populates") is not backref or not _is_nothing(swapped.get("backref")):
        raise Refused("BP108", f"{ast.unparse(call.func)}() gives it to something else")
    return before.arguments


def _is_nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def backref_call(project: Project, scope: Scope, call: ast.Call) -> ast.Call | None:
    """A call of a function of the project that forwards to ``backref()``, as a call of that.

    None for another function. Raises :class:`Refused` for one that does more than forward.
    """
    for resolved in meanings(project, call.func, scope, call.lineno):
        try:
            reached = forwarded(
                project, resolved, _given(call), lambda one: is_backref_function(project, one) or None
            )
        except NotForwardingError as error:
            raise Refused("BP101", f"{ast.unparse(call.func)}() {error}") from error
        if reached is not None:
            given = reached.arguments
            for key, value in given.keywords.items():
                if value in given.unknown:
                    raise Refused("BP109", f"{key}={ast.unparse(value)} of {ast.unparse(call.func)}()")
            keywords = [ast.keyword(key, value) for key, value in given.keywords.items()]
            return ast.Call(call.func, given.args, keywords)
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
    if any(factory_of(project, one) is not None for one in inner):
        return True
    called = [one for one in inner if isinstance(one, Opaque | Value)]
    if depth > 0 and any(_may_be_factory(project, one, depth - 1) for one in called):
        return True
    return None if any(_passes_on(project, node, scope) for node in ast.walk(body)) else False


def _passes_on(project: Project, node: ast.AST, scope: Scope) -> bool:
    """Whether a call gives what may be a backref to something that is not known: ``cls.make(**kwargs)``."""
    return (
        isinstance(node, ast.Call)
        and any(one.arg in {None, "backref"} for one in node.keywords)
        and not project.resolve_all(node.func, scope)
    )


def factory_of(project: Project, resolved: Resolved) -> Factory | None:
    """The factory that a resolved name stands for, or None."""
    if resolved in project.factories:
        return Factory(None)
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


def looks_like_flask(made: ClassInfo | None, owner: ast.expr) -> bool:
    """Whether a class uses ``owner.Model`` or ``owner.Column``: what only a Flask-SQLAlchemy object has."""
    text = ast.unparse(owner)
    return made is not None and any(
        isinstance(node, ast.Attribute)
        and node.attr in {"Model", "Column"}
        and ast.unparse(node.value) == text
        for node in ast.walk(made.node)
    )


def flask_like_factory(project: Project, made: ClassInfo, func: ast.expr) -> Factory | None:
    """The factory ``db.relationship`` of a ``db`` that is not among the files, but is used like that."""
    if not (
        isinstance(func, ast.Attribute) and func.attr in _FACTORIES and looks_like_flask(made, func.value)
    ):
        return None
    owner = project.resolve(func.value, project.seen_from(func, made.body))
    return None if owner is None else Factory(owner)


def is_backref_function(project: Project, resolved: Resolved) -> bool:
    if isinstance(resolved, External):
        return resolved.name.startswith("sqlalchemy.") and resolved.last == "backref"
    return (
        isinstance(resolved, Attribute) and resolved.name == "backref" and _is_flask(project, resolved.owner)
    )


def is_sqlmodel_factory(resolved: Resolved) -> bool:
    """Whether a resolved name is SQLModel's ``Relationship``."""
    return isinstance(resolved, External) and resolved.name in {f"{one}.Relationship" for one in _SQLMODEL}


def sqlmodel_call(project: Project, site: Site) -> ast.Call | None:
    """The ``Relationship(...)`` of SQLModel that a site is, or is the ``sa_relationship_kwargs`` of."""
    call = site.stmt.value if isinstance(site.stmt, ast.Assign | ast.AnnAssign) else None
    if not isinstance(call, ast.Call):
        return None
    kwargs = next((keyword.value for keyword in call.keywords if keyword.arg == _KWARGS), None)
    if kwargs is None or site.node not in {call, kwargs}:
        return None
    return call if any(map(is_sqlmodel_factory, project.resolve_all(call.func, site.scope))) else None


def sqlmodel_arguments(call: ast.Call) -> dict[str, ast.expr]:
    """The arguments of SQLModel's ``Relationship``, with those that it passes on to SQLAlchemy.

    Raises :class:`Refused` where they cannot all be seen.
    """
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    kwargs = given.pop(_KWARGS, None)
    if is_written_out(kwargs):
        given |= dict(entries(kwargs))
    elif kwargs is not None:
        raise Refused("BP103", f"{_KWARGS} is computed")
    if call.args or "sa_relationship_args" in given or not all(isinstance(key, str) for key in given):
        raise Refused("BP103", f"the arguments of {ast.unparse(call.func)}() cannot all be seen")
    return {str(key): value for key, value in given.items()}


def refuse_mention(project: Project, site: Site) -> None:
    """A dictionary with a "backref" key: passed on where it cannot be followed."""
    source = site.scope.module.source.text
    if "sa_relationship_kwargs" in ast.unparse(site.stmt) and "sqlmodel" in source:
        raise Refused("BP306", "backref in sa_relationship_kwargs of something else than an attribute")
    if isinstance(site.node, ast.Subscript) and "relationship" in source and "sqlalchemy" in source:
        raise Refused("BP103", "backref is put into a dictionary")
    if isinstance(site.node, ast.Dict) and "sqlalchemy" in source and "relationship" in source:
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
