"""Finding pairs: relationships that name each other by ``back_populates``, and those that only seem to."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from backpop.codemods.facts import TOO_DEEP, ClassInfo, Member, Module, Place, Site
from backpop.codemods.link import External, Project
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.factory import Factory, factory_of, looks_like_flask
from backpop.codemods.plan.forward import (
    POSITIONAL,
    Backref,
    Forward,
    annotated_target,
    find_target,
    put_on,
)
from backpop.codemods.plan.forwarding import meanings
from backpop.codemods.plan.model import Refused
from backpop.codemods.plan.move import mangled

# A relationship in one of these places is left alone, with the code that says so.
_PLACES = {
    Place.PROPERTIES: ("BP314", "it stands in an imperative mapping"),
    Place.MAPPER_ARGS: ("BP314", "it stands in __mapper_args__"),
    Place.ADDED: ("BP314", "it is added to a mapper"),
    Place.ARGUMENT: ("BP314", "it stands in another call"),
    Place.ASSIGNED: ("BP314", "it is assigned after the class"),
    Place.CONDITIONAL: ("BP304", "it stands in a conditional part of the class body"),
    Place.OTHER: ("BP305", "it is not the whole value of an attribute in a class body"),
}


@dataclass(frozen=True, eq=False)
class Side:
    """One relationship of a class body: an end of a pair, or what may be one."""

    site: Site
    call: ast.Call
    owner: ClassInfo
    name: str
    factory: Factory
    target: ClassInfo
    by_string: bool
    partner: str | None  # what back_populates names
    arguments: dict[str, ast.expr]  # without the target and back_populates

    @property
    def annotation(self) -> ast.expr | None:
        """What stands between the name and the call."""
        return self.site.stmt.annotation if isinstance(self.site.stmt, ast.AnnAssign) else None

    @property
    def title(self) -> str:
        """``Class.attribute``, for people."""
        return f"{self.owner.name}.{self.name}"

    @property
    def where(self) -> str:
        """``path:line``, for messages."""
        return f"{self.owner.module.shown}:{self.site.stmt.lineno}"

    @property
    def order(self) -> tuple[str, int]:
        """Where it stands in the project: sides are sorted by it."""
        return self.owner.module.path, self.site.stmt.lineno

    def with_backref(self, name: str) -> Forward:
        """The same relationship as if it had ``backref="name"``, to work out what its reverse would be."""
        backref = Backref(self.call, name, repr(name), ())
        scope = self.owner.body
        return Forward(
            self.site,
            self.owner,
            self.name,
            scope,
            self.factory,
            backref,
            self.target,
            self.by_string,
            self.arguments,
        )


def side_of(project: Project, site: Site) -> Side | None:
    """Take a call with ``back_populates`` apart. None for what is no relationship.

    Raises :class:`Refused` for a relationship that cannot be the side of a pair that is rewritten.
    """
    call = site.node
    if not isinstance(call, ast.Call):
        return None
    factory = _factory(project, site, call.func)
    if factory is None:
        return None
    if site.place is Place.METHOD and site.owner is not None:
        code = "BP808" if project.is_mapped(site.owner) else "BP809"
        raise Refused(code, f"it stands in {site.owner.name}.{site.scope.name}()")
    if site.place in _PLACES or site.owner is None or site.attribute is None:
        raise Refused(*_PLACES.get(site.place, _PLACES[Place.OTHER]))
    if not project.is_mapped(site.owner):
        raise Refused("BP809", f"{site.owner.name} is no mapped class")
    if any(keyword.arg is None for keyword in call.keywords) or any(
        isinstance(arg, ast.Starred) for arg in call.args
    ):
        raise Refused("BP103", "some arguments of the relationship come from a splat")
    arguments = dict(zip(POSITIONAL, call.args, strict=False))
    arguments |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    try:
        partner = evaluate(project, arguments.pop("back_populates", ast.Constant(None)), site.scope)
    except NotConstantError as error:
        raise Refused("BP812", f"back_populates is {error}") from error
    argument = arguments.pop("argument", None) or annotated_target(project, site)
    target, by_string = find_target(project, site.owner, site.owner.body, argument)
    name = partner if isinstance(partner, str) and partner else None
    if name is not None and "backref" in arguments:
        raise Refused("BP106", "backref and back_populates on one relationship")
    own = mangled(site.owner, site.attribute)
    return Side(site, call, site.owner, own, factory, target, by_string, name, arguments)


def _factory(project: Project, site: Site, func: ast.expr) -> Factory | None:
    """What makes the relationship. Only SQLAlchemy and SQLModel know ``back_populates``."""
    found = meanings(project, func, site.scope, site.stmt.lineno)
    for resolved in found:
        factory = factory_of(project, resolved)
        if factory is not None:
            return factory
    if isinstance(func, ast.Attribute) and looks_like_flask(site.owner, func.value):
        owner = project.resolve(func.value, site.scope)
        if owner is not None:
            return Factory(owner)
    if site.keyword("back_populates") is None or External("builtins.dict") in found:
        return None
    if any(isinstance(one, External) and one.name.startswith("sqlmodel.") for one in found):
        raise Refused("BP813", f"it is made by {ast.unparse(func)}()")
    raise Refused("BP815", f"{ast.unparse(func)}() is not known to make a relationship")


def member_site(made: ClassInfo, member: Member) -> Site:
    """The site of an attribute whose value is a call, whatever the arguments of the call."""
    assert isinstance(member.value, ast.Call)
    return Site(member.value, member.stmt, made.body, Place.BODY, made, member.name)


# -- pairs


class Pairs(NamedTuple):
    """All relationships with ``back_populates``: those that are paired, and why the others are not."""

    pairs: tuple[tuple[Side, Side], ...]
    alone: tuple[tuple[Side, Refused], ...]
    unread: tuple[tuple[Site, Refused], ...]
    named: dict[tuple[ClassInfo, str], list[Side]]  # the sides that name an attribute

    def third(self, one: Side, other: Side) -> Side | None:
        """A relationship outside of a pair that names one of its two attributes."""
        sides = (*self.named[one.owner, one.name], *self.named[other.owner, other.name])
        return next((side for side in sides if side is not one and side is not other), None)


def find_pairs(project: Project, modules: list[Module]) -> Pairs:
    """Sort the relationships with ``back_populates`` in ``modules`` out, in the order of their places."""
    sides: dict[tuple[ClassInfo, str], Side] = {}
    unread: list[tuple[Site, Refused]] = []
    reasons: dict[tuple[ClassInfo | None, str | None], Refused] = {}
    for site in (site for module in modules for site in module.sites):
        if site.keyword("back_populates") is None:
            continue
        try:
            side = side_of(project, site)
        except Refused as refused:
            unread.append((site, refused))
            reasons[_end(project, site)] = refused
            continue
        except TOO_DEEP:
            unread.append((site, Refused("BP602", "it is nested too deeply")))
            continue
        if side is not None and side.partner is not None:
            sides[side.owner, side.name] = side
    pairs: list[tuple[Side, Side]] = []
    alone: list[tuple[Side, Refused]] = []
    for side in sides.values():
        other = sides.get((side.target, side.partner or ""))
        line = (side.target, *project.ancestors(side.target))
        reason = next((reasons[made, side.partner] for made in line if (made, side.partner) in reasons), None)
        problem = _why_alone(project, side, other, reason, sides)
        if problem is not None:
            alone.append((side, problem))
        elif other is not None and side.order <= other.order:
            pairs.append((side, other))
    named: dict[tuple[ClassInfo, str], list[Side]] = defaultdict(list)
    for side in sides.values():
        for made in (side.target, *project.ancestors(side.target)):
            named[made, side.partner or ""].append(side)
    return Pairs(tuple(pairs), tuple(alone), tuple(unread), named)


def _end(project: Project, site: Site) -> tuple[ClassInfo | None, str | None]:
    """The class and the attribute of a relationship that cannot be a side, as far as they show."""
    if site.on is not None:
        try:
            return put_on(project, site)[0], site.attribute
        except Refused:
            return None, site.attribute
    return site.owner, site.attribute


def _why_alone(
    project: Project,
    side: Side,
    other: Side | None,
    reason: Refused | None,
    sides: dict[tuple[ClassInfo, str], Side],
) -> Refused | None:
    """Why a relationship makes no pair with the one that it names; None if it does."""
    title = f"{side.title} names {side.target.name}.{side.partner}"
    if reason is not None:
        return Refused(reason.code, f"{title}: {reason.detail}")
    if other is side:
        return Refused("BP801", f"{title}, which is itself")
    if other is None:
        for made in (*project.ancestors(side.target), *project.subclasses(side.target)):
            heir = sides.get((made, side.partner or ""))
            if heir is not None:
                return Refused("BP802", f"{title}, which belongs to {made.name} at {heir.where}")
        return Refused("BP801", f"{title}, which is no relationship that names it")
    if other.partner != side.name:
        third = sides.get((other.target, other.partner or ""))
        code = "BP803" if third is not None and third.partner == other.name else "BP801"
        return Refused(code, f"{title}, which names {other.target.name}.{other.partner} at {other.where}")
    if other.target is not side.owner:
        return Refused("BP802", f"{title}, which refers to {other.target.name} at {other.where}")
    return None
