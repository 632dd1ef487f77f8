"""Planning the way back: every pair becomes a backref, or is left with a reason.

A pair collapses if the reverse that the backref would generate has the arguments that the removed side has:
what it would inherit is worked out by the rules of the other direction (``joins``, ``reverse``), and what is
left over goes into ``backref(...)``.
"""

from __future__ import annotations

import ast
import io
import tokenize
from contextlib import suppress

from backpop.codemods.codes import CODES
from backpop.codemods.facts import TOO_DEEP, Module, Site, read_at_once
from backpop.codemods.link import External, Project
from backpop.codemods.plan.annotate import annotated, is_dataclass
from backpop.codemods.plan.carried import (
    annotated_way,
    canonical,
    given_arguments,
    mover_between,
    needed_options,
    way_of,
)
from backpop.codemods.plan.direction import Direction
from backpop.codemods.plan.factory import is_backref_function
from backpop.codemods.plan.forward import recognise
from backpop.codemods.plan.model import (
    Argument,
    Collapse,
    Import,
    Plan,
    Refused,
    Report,
    parsed,
)
from backpop.codemods.plan.move import LATE, Moved, NotAStringError, free_names, quoted
from backpop.codemods.plan.pairs import Pairs, Side, find_pairs, member_site
from backpop.codemods.plan.policy import Annotate, Keep, Policy
from backpop.codemods.plan.reverse import reverse_of

# The statement of a side says or does more than make the relationship: that of the other side may not.
_HOLDS_MORE = frozenset({"BP807", "BP811"})


def plan_to_backref(project: Project, modules: list[Module], policy: Policy) -> Plan:
    """Plan what becomes of every relationship with ``back_populates`` in ``modules``."""
    found = find_pairs(project, modules)
    reports = [Report.at(site, refused.code, refused.detail) for site, refused in found.unread]
    conversions: list[Collapse] = []
    for side, refused in found.alone:
        try:
            conversion = _finished(project, side)
        except Refused as other:
            reports.append(Report.at(side.site, other.code, other.detail))
            continue
        if conversion is None:
            reports.append(Report.at(side.site, refused.code, refused.detail))
        else:
            conversions.append(conversion)
    for pair in found.pairs:
        kept, removed = pair
        try:
            kept, removed = choose(project, pair, policy)
            conversions.append(_collapse_either(project, found, kept, removed, policy))
        except Refused as refused:
            reports.append(Report.at(removed.site, refused.code, refused.detail))
        except TOO_DEEP:
            reports.append(Report.at(removed.site, "BP602", "it is nested too deeply"))
    conversions.sort(key=lambda one: (one.home.path, one.site.stmt.lineno))
    notes = [report for report in reports if report.code.startswith("BP9")]
    return Plan(
        tuple(conversions),
        tuple(sorted(report for report in reports if report not in notes)),
        tuple(sorted(notes)),
    )


def _collapse_either(project: Project, found: Pairs, kept: Side, removed: Side, policy: Policy) -> Collapse:
    """One pair as a backref. A side that holds more than the relationship stays, if no side was asked for.

    Raises :class:`Refused` as :func:`_collapse` does for the side that was to go.
    """
    try:
        return _collapse(project, found, kept, removed, policy)
    except Refused as refused:
        if policy.keep is Keep.CONFIGURED and refused.code in _HOLDS_MORE:
            with suppress(Refused):
                return _collapse(project, found, removed, kept, policy)
        raise


def _collapse(project: Project, found: Pairs, kept: Side, removed: Side, policy: Policy) -> Collapse:
    """One pair as a backref. Raises :class:`Refused`, with a code of BP9 for what was only not asked for."""
    third = found.third(kept, removed)
    if third is not None:
        raise Refused("BP803", f"{third.title} at {third.where} is the third")
    if "secondary" in given_arguments(removed) and not policy.many_to_many:
        raise Refused("BP904", f"{kept.title} <-> {removed.title}")
    check_removable(project, removed)
    for side in (removed, kept):
        if side.annotation is not None and not policy.drop_annotations:
            raise Refused("BP805", f"{side.title}: {ast.unparse(side.annotation)}")
    options = needed_options(project, kept, removed, policy)
    if options and not policy.options:
        raise Refused("BP905", f"{removed.title}: {', '.join(options)}")
    check_name(project, removed)
    return _made(project, kept, removed, options)


def why_complex(project: Project, found: Pairs, kept: Side, removed: Side) -> list[str]:
    """What keeps a pair from being simple, in words; nothing for one that is."""
    reasons: list[str] = []
    everything = Policy(options=True, many_to_many=True, drop_annotations=True)
    if "secondary" in given_arguments(removed):
        reasons.append("many-to-many")
    if kept.annotation is not None or removed.annotation is not None:
        reasons.append("typed")
    try:
        options = needed_options(project, kept, removed, everything)
        if options:
            reasons.append(f"arguments of {removed.title}: {', '.join(options)}")
        _collapse(project, found, kept, removed, everything)
    except Refused as refused:
        reasons.append(f"{CODES[refused.code].title} ({refused.code})")
    return reasons


def _made(
    project: Project, kept: Side, removed: Side, options: dict[str, ast.expr], *, done: bool = False
) -> Collapse:
    function = _backref_function(project, kept) if options else Moved("")
    moved = {key: _moved(project, kept, removed, key, value) for key, value in options.items()}
    imports = dict.fromkeys((*function.imports, *(one for text in moved.values() for one in text.imports)))
    return Collapse(
        site=kept.site,
        source=kept.owner,
        target=removed.owner,
        forward_name=kept.name,
        reverse_name=removed.name,
        removed=removed.site,
        options=tuple(Argument(key, text.text, text.column) for key, text in moved.items()),
        function=function.text,
        imports=tuple(imports),
        done=done,
    )


# -- which side stays


def choose(project: Project, pair: tuple[Side, Side], policy: Policy) -> tuple[Side, Side]:
    """The side that stays, and the one that goes."""
    first, second = pair
    if policy.keep is Keep.CONFIGURED:
        second_can_go, first_can_go = (
            _carries_nothing(project, kept, removed, policy)
            for kept, removed in ((first, second), (second, first))
        )
        if second_can_go != first_can_go:
            return (first, second) if second_can_go else (second, first)
    way = way_of(project, first, second) or annotated_way(first, second)
    if way in {Direction.ONE_TO_MANY, Direction.MANY_TO_ONE}:
        wanted = Direction.MANY_TO_ONE if policy.keep is Keep.SCALAR else Direction.ONE_TO_MANY
        return (first, second) if way is wanted else (second, first)
    # Both are collections, or the source does not say. The one that backpop itself would write goes.
    ours = _is_as_written(project, first, second), _is_as_written(project, second, first)
    if ours[0] != ours[1]:
        return (first, second) if ours[0] else (second, first)
    return (second, first) if policy.keep is Keep.SCALAR else (first, second)


def _carries_nothing(project: Project, kept: Side, removed: Side, policy: Policy) -> bool:
    try:
        return not needed_options(project, kept, removed, policy)
    except Refused:
        return False


def _is_as_written(project: Project, kept: Side, removed: Side) -> bool:
    """Whether a side stands exactly as to-back-populates would write it for the other one's backref."""
    forward = kept.with_backref(removed.name)
    try:
        reverse = annotated(project, forward, reverse_of(project, forward), Annotate.AUTO)
    except Refused:
        return False
    text = f"{reverse.opening}{reverse.factory}({', '.join(map(str, reverse.arguments))})"
    return ast.dump(ast.parse(text).body[0]) == ast.dump(removed.site.stmt)


# -- what backref() is given


def _moved(project: Project, kept: Side, removed: Side, key: str, value: ast.expr) -> Moved:
    """An argument of the removed side as the kept side's class body spells it."""
    mover = mover_between(project, removed, kept)
    if value is not removed.arguments.get(key):  # not from the source
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return Moved(quoted(ast.literal_eval(value), mover.quote) if is_text else ast.unparse(value))
    try:
        moved = mover.move(key, value)
        if removed.owner is kept.owner and not isinstance(value, ast.Constant):
            # in one class body, a name may be bound between the two statements
            names = {name.id for name, _ in free_names(value)}
            bindings = [one for name in names for one in kept.owner.body.bindings.get(name, ())]
            if any(binding.line >= kept.site.stmt.lineno for binding in bindings):
                moved = Moved(quoted(mover.as_string(value, key), mover.quote))
                if key not in LATE:
                    raise Refused("BP814", f"{key} reads what {kept.owner.name} only defines later")
    except Refused as refused:
        raise Refused("BP814", f"{removed.title}: {refused.detail}") from refused
    except NotAStringError as error:
        raise Refused("BP814", f"{removed.title}: {key}: {error}") from error
    return moved


def _backref_function(project: Project, kept: Side) -> Moved:
    """How ``backref()`` is called beside a relationship: that of its factory, else by a name to import."""
    func, made = kept.call.func, kept.owner
    if isinstance(func, ast.Attribute):
        beside = ast.Attribute(func.value, "backref", ast.Load())
        found = project.resolve_all(beside, made.body)
        if kept.factory.owner is not None or any(is_backref_function(project, one) for one in found):
            return Moved(ast.unparse(beside))
    for scope in made.scope.chain():
        for name, bindings in scope.bindings.items():
            visible = project.lookup(name, made.body) is bindings
            if visible and any(binding.line < kept.site.stmt.lineno for binding in bindings):
                found = project.resolve_all(ast.Name(name), made.body)
                if len(found) == 1 and is_backref_function(project, found[0]):
                    return Moved(name)
    if project.resolve(ast.Name("backref"), made.body) == External("sqlalchemy.orm.backref"):
        return Moved("backref")  # from a star import
    if project.lookup("backref", made.body):
        raise Refused("BP505", f"backref in {made.module.shown}")
    return Moved("backref", (Import("sqlalchemy.orm", "backref", ""),))


# -- what may go


def check_removable(project: Project, side: Side) -> None:
    """Raise :class:`Refused` if the statement of a side holds more than the relationship."""
    if side.annotation is not None and is_dataclass(project, side.owner):
        raise Refused("BP806", f"{side.title} is a field of {side.owner.name}")
    stmt, source = side.site.stmt, side.owner.module.source
    last = stmt.end_lineno or stmt.lineno
    text = source.text[source.line_starts[stmt.lineno - 1] : source.line_end(last)].lstrip()
    above = source.line_text(stmt.lineno - 1).strip() if stmt.lineno > 1 else ""
    if _has_comment(text) or above.startswith("#"):
        raise Refused("BP807", f"{side.title} has a comment")
    body = side.owner.node.body
    after = body[body.index(stmt) + 1 :]
    if after and isinstance(after[0], ast.Expr) and isinstance(after[0].value, ast.Constant):
        raise Refused("BP807", f"{side.title} has a docstring")
    for other in after:
        if side.name in read_at_once(other):
            raise Refused("BP811", f"{side.title} is read at line {other.lineno}")


def _has_comment(text: str) -> bool:
    if "#" not in text:
        return False
    try:
        return any(
            token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(text).readline)
        )
    except (tokenize.TokenError, IndentationError):
        return True


def check_name(project: Project, removed: Side) -> None:
    """Raise :class:`Refused` if SQLAlchemy would not let a backref make the attribute.

    It wants the name free on the class, and on those that it derives from or that derive from it.
    """
    made, name = removed.owner, removed.name
    if len(made.body.bindings.get(name, ())) > 1:
        raise Refused("BP401", f"{made.name}.{name} is also defined otherwise at {made.where}")
    for other in (*project.ancestors(made), *project.subclasses(made)):
        if name in other.body.bindings:
            raise Refused("BP401", f"{other.name}.{name} at {other.where}")


# -- what a killed run left


def _finished(project: Project, removed: Side) -> Collapse | None:
    """The rest of a pair whose one side has its backref already; None if that is not what stands there."""
    member = removed.target.member(removed.partner or "")
    if member is None or not isinstance(member.value, ast.Call):
        return None
    site: Site = member_site(removed.target, member)
    for forward in recognise(project, site):
        if forward.backref.name != removed.name or forward.target is not removed.owner:
            continue
        kept = Side(
            site,
            member.value,
            forward.source,
            forward.name,
            forward.factory,
            forward.target,
            forward.by_string,
            removed.name,
            forward.arguments,
        )
        policy = Policy(drop_annotations=True)
        options = needed_options(project, kept, removed, policy)
        given = dict(forward.backref.options)
        mover = mover_between(project, kept, removed)
        moved = {
            key: parsed(_moved(project, kept, removed, key, value).text) for key, value in options.items()
        }
        if {key: canonical(mover, key, value) for key, value in moved.items()} == {
            key: canonical(mover, key, value) for key, value in given.items()
        }:
            check_removable(project, removed)
            check_name(project, removed)
            return _made(project, kept, removed, {}, done=True)
    return None
