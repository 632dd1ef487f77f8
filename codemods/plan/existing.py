"""A reverse that somebody has written already, beside the backref that would make it.

SQLAlchemy refuses such models, so there is nothing to keep but what the author meant: the conversion is
completed where the reverse is what the backref would make, and everything else is reported as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backpop.codemods.facts import ClassInfo, Member, entries, is_written_out, properties_of
from backpop.codemods.link import Project
from backpop.codemods.plan.annotate import fits, without_said
from backpop.codemods.plan.carried import canonical, telling
from backpop.codemods.plan.direction import direction_of
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.factory import SQLMODEL, Factory, factory_of, sqlmodel_arguments
from backpop.codemods.plan.forward import Forward, find_target, named_target
from backpop.codemods.plan.forwarding import meanings
from backpop.codemods.plan.model import Form, Refused, Spot, parsed
from backpop.codemods.plan.move import Mover
from backpop.codemods.plan.place import relationship_calls
from backpop.codemods.plan.reverse import reverse_of

Given = dict[str | None, ast.expr]


def has_reverse(project: Project, forward: Forward) -> bool:
    """Whether the target already has, explicitly, the very reverse that the backref would make.

    Raises :class:`Refused` if it has another attribute of that name where a reverse could stand.
    """
    target, name = forward.target, forward.backref.name
    for value, annotation, spot in _attributes(project, forward):
        title = f"{target.name}.{name} at {spot.module.shown}:{getattr(value, 'lineno', spot.line)}"
        factory = _factory(project, target, value, spot) if isinstance(value, ast.Call) else None
        if factory is None:
            if spot.form is Form.BODY:
                continue
            raise Refused("BP401", title)
        assert isinstance(value, ast.Call)
        _check(project, forward, value, annotation, factory, spot, title)
        return True
    return False


def check_unnamed(project: Project, forward: Forward) -> None:
    """Raise :class:`Refused` if another relationship of the target names the one that has the backref.

    SQLAlchemy then joins three relationships, and what they synchronise depends on which comes first.
    """
    for made in (forward.target, *project.ancestors(forward.target)):
        calls = [call for call, _ in relationship_calls(project, made)]
        for member in made.members:
            call = member.value
            if (
                call in calls
                and member.name != forward.backref.name
                and _names(project, forward, made, member)
            ):
                raise Refused("BP406", f"{made.name}.{member.name} at {made.module.shown}:{call.lineno}")


def _names(project: Project, forward: Forward, made: ClassInfo, member: Member) -> bool:
    """Whether a relationship has back_populates that names the forward, and refers to its class."""
    assert isinstance(member.value, ast.Call)
    given = {keyword.arg: keyword.value for keyword in member.value.keywords}
    partner = given.get("back_populates")
    if not (isinstance(partner, ast.Constant) and partner.value == forward.name):
        return False
    argument = member.value.args[0] if member.value.args else given.get("argument")
    argument = argument or named_target(project, member.annotation, made.body)
    try:
        found = find_target(project, made, made.body, argument)[0] if argument is not None else None
    except Refused:
        return False
    if found is None or found not in project.ancestors(forward.source):
        return found is forward.source
    has_its_own = any(forward.name in one.body.bindings for one in (found, *project.ancestors(found)))
    return not has_its_own


def _attributes(
    project: Project, forward: Forward
) -> Iterator[tuple[ast.expr | None, ast.expr | None, Spot]]:
    """What the target, or its mapping, has under the name of the reverse: values, annotations and spots."""
    target, name = forward.target, forward.backref.name
    member = target.member(name)
    if member is not None:
        yield member.value, member.annotation, Spot.body(target)
    for module in {target.module: None, forward.source.module: None, forward.site.scope.module: None}:
        for one in module.assigned:
            if one.name == name and project.resolve(one.owner, one.scope) is target:
                spot = Spot.after(Form.ASSIGNED, one.stmt, one.scope, ast.unparse(one.owner))
                yield one.value, None, spot
    for mapping in project.mappings.of_class(target, forward.scope):
        properties = properties_of(mapping.call.node)
        for key, value in entries(properties) if is_written_out(properties) else ():
            if key == name:
                yield value, None, Spot.entry(mapping.call)


def _factory(project: Project, target: ClassInfo, call: ast.Call, spot: Spot) -> Factory | None:
    """What makes a relationship of the target."""
    if spot.form is Form.BODY:
        return next((factory for one, factory in relationship_calls(project, target) if one is call), None)
    found = meanings(project, call.func, spot.scope, call.lineno)
    return next((factory for one in found if (factory := factory_of(project, one)) is not None), None)


def _check(
    project: Project,
    forward: Forward,
    call: ast.Call,
    annotation: ast.expr | None,
    factory: Factory,
    spot: Spot,
    title: str,
) -> None:
    """Raise :class:`Refused` if a relationship is not what the backref would make."""
    if factory == SQLMODEL:
        keywords = [ast.keyword(*one) for one in sqlmodel_arguments(call).items()]
        call = ast.copy_location(ast.Call(call.func, [], keywords), call)
    given: Given = {keyword.arg: keyword.value for keyword in call.keywords}
    if call.args:
        given["argument"] = call.args[0]
    if "backref" in given:
        raise Refused("BP405", f"{title} has the backref {ast.unparse(given['backref'])}")
    if factory.through is not None or None in given or len(call.args) > 1:
        raise Refused("BP403", f"{title} is {ast.unparse(call)}")
    _check_target(project, forward, given.pop("argument", None), annotation, spot, title)
    _check_partner(project, forward, given.pop("back_populates", None), spot, title)
    differences = list(_differences(project, forward, given, annotation, spot))
    if factory.owner != forward.factory.owner:
        differences.append("is made by another function")
    if differences:
        raise Refused("BP403", f"{title} {'; '.join(differences)}")


def _check_target(
    project: Project,
    forward: Forward,
    argument: ast.expr | None,
    annotation: ast.expr | None,
    spot: Spot,
    title: str,
) -> None:
    argument = argument or named_target(project, annotation, forward.target.body)
    if argument is None:
        raise Refused("BP403", f"{title} says no class")
    try:
        found, _ = find_target(project, forward.target, spot.scope, argument)
    except Refused as refused:
        raise Refused("BP403", f"{title}: {refused.detail}") from refused
    if found is not forward.source:
        raise Refused("BP403", f"{title} refers to {found.name} at {found.where}")


def _check_partner(
    project: Project, forward: Forward, given: ast.expr | None, spot: Spot, title: str
) -> None:
    try:
        partner = None if given is None else evaluate(project, given, spot.scope)
    except NotConstantError as error:
        raise Refused("BP403", f"{title} has back_populates={error}") from error
    if not partner:
        raise Refused("BP404", f"{title} has no back_populates={forward.name!r}")
    if partner != forward.name:
        raise Refused("BP404", f"{title} has back_populates={partner!r}, not {forward.name!r}")


def _differences(
    project: Project, forward: Forward, given: Given, annotation: ast.expr | None, spot: Spot
) -> Iterator[str]:
    """What tells a relationship of the target from what the backref would make, for people."""
    wanted: Given = {
        argument.keyword: parsed(argument.text)
        for argument in reverse_of(project, forward, spot).arguments
        if argument.keyword not in {None, "back_populates"}
    }
    if annotation is not None:
        if not fits(project, forward, annotation):
            yield f"is annotated {ast.unparse(annotation)}"
        given, wanted = (without_said(one, annotation) for one in (given, wanted))
    way = direction_of(project, forward.source, forward.target, forward.arguments)
    back = way.opposite if way is not None else None
    ours = telling({str(key): value for key, value in given.items()}, back)
    theirs = telling({str(key): value for key, value in wanted.items()}, back)
    quote = spot.module.source.quote(spot.node, spot.module.tree)
    mover = Mover(project, forward.target, forward.source, quote, spot.scope)
    for key in {**ours, **theirs}:
        if key not in theirs:
            yield f"has {key}={ast.unparse(ours[key])}, which the backref has not"
        elif key not in ours:
            yield f"has no {key}={ast.unparse(theirs[key])}, which the backref has"
        elif canonical(mover, key, ours[key]) != canonical(mover, key, theirs[key]):
            yield f"has {key}={ast.unparse(ours[key])}, the backref {ast.unparse(theirs[key])}"
