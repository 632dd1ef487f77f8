"""What ``backref(...)`` has to say so that the reverse it generates is exactly a given relationship.

What that reverse inherits is worked out by the rules of the other direction (``joins``, ``reverse``); the
rest goes into ``backref(...)``.
"""

from __future__ import annotations

import ast

from backpop.codemods.facts import is_mapped, last_name, unquoted
from backpop.codemods.link import Project
from backpop.codemods.plan.annotate import Shape, said
from backpop.codemods.plan.direction import Direction, direction_of
from backpop.codemods.plan.joins import mirrored
from backpop.codemods.plan.model import Refused, parsed
from backpop.codemods.plan.move import LATE, Mover, NotAStringError
from backpop.codemods.plan.pairs import Side
from backpop.codemods.plan.policy import Policy
from backpop.codemods.plan.reverse import INHERITED

# Values that say what is so without them, in every version of SQLAlchemy.
_DEFAULTS: dict[str, object] = {**INHERITED, "lazy": "select", "uselist": None}
JOINS = ("secondary", "primaryjoin", "secondaryjoin", "foreign_keys")
_SEQUENCES = {"foreign_keys", "remote_side", "order_by"}
_OF_DATACLASSES = frozenset(
    {"init", "repr", "default", "default_factory", "compare", "kw_only", "hash", "dataclass_metadata"}
)


def way_of(project: Project, side: Side, other: Side) -> Direction | None:
    """Which way one side of a pair points, as far as the foreign keys or joins of either of them tell."""
    way = direction_of(project, side.owner, side.target, side.arguments)
    if way is not None:
        return way
    back = direction_of(project, other.owner, other.target, other.arguments)
    return back.opposite if back is not None else None


def annotated_way(side: Side, other: Side) -> Direction | None:
    """Which way one side of a pair is likely to point, by their annotations."""
    for one, answer in ((side, Direction.MANY_TO_ONE), (other, Direction.ONE_TO_MANY)):
        if one.annotation is not None:
            try:
                scalar = "uselist" in annotated_arguments(one)
            except Refused:
                continue
            return answer if scalar else answer.opposite
    return None


def given_arguments(side: Side) -> dict[str, ast.expr]:
    """The arguments of a relationship that say something."""
    given = telling(side.arguments, None)
    if last_name(side.call.func) == "dynamic_loader":
        given.setdefault("lazy", ast.Constant("dynamic"))
    return given


def telling(arguments: dict[str, ast.expr], way: Direction | None) -> dict[str, ast.expr]:
    """The arguments that do not merely say what is so without them."""
    given = {key: value for key, value in arguments.items() if not _is_default(key, value)}
    uselist = given.get("uselist")
    many = way is not Direction.MANY_TO_ONE
    if way is not None and isinstance(uselist, ast.Constant) and bool(uselist.value) == many:
        del given["uselist"]
    return given


def _is_default(key: str, value: ast.expr) -> bool:
    if not isinstance(value, ast.Constant):
        return False
    return (key in _DEFAULTS and value.value == _DEFAULTS[key]) or (value.value is None and key != "lazy")


def needed_options(project: Project, kept: Side, removed: Side, policy: Policy) -> dict[str, ast.expr]:
    """What ``backref(...)`` must be given so that the generated reverse is exactly the removed side.

    The expressions are those of the removed side. Raises :class:`Refused` where no arguments do that.
    """
    given = given_arguments(removed)
    if removed.annotation is not None and policy.drop_annotations:
        given = annotated_arguments(removed) | given
    given = telling(given, way_of(project, removed, kept))
    inherited = inherited_arguments(project, kept, removed)
    mover = mover_between(project, removed, kept)
    options: dict[str, ast.expr] = {}
    for key, value in given.items():
        if key not in inherited or key in INHERITED:
            if key not in inherited or ast.dump(inherited[key]) != ast.dump(value):
                options[key] = value
        elif canonical(mover, key, value) != canonical(mover, key, inherited[key]):
            raise Refused("BP804", f"{key} of {removed.title} and of {kept.title}")
    for key in inherited:
        if key not in {*given, *INHERITED, "foreign_keys"}:
            raise Refused("BP804", f"only {kept.title} gives {key}")
        if key not in given:
            options[key] = parsed(repr(INHERITED.get(key)))
    if "secondary" in options:
        raise Refused("BP804", f"only {removed.title} gives secondary")
    for key in options:
        if key in _OF_DATACLASSES:
            raise Refused("BP806", f"{removed.title} has {key}")
    if options and removed.factory != kept.factory:
        raise Refused("BP814", f"{removed.title} is made by another function than {kept.title}")
    kept_back = given_arguments(kept).get("passive_updates")
    if kept_back is not None and _is_true(given.get("viewonly")) and "passive_updates" not in given:
        raise Refused("BP810", f"{kept.title} has passive_updates, {removed.title} is viewonly")
    return options


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and bool(value.value)


def inherited_arguments(project: Project, kept: Side, removed: Side) -> dict[str, ast.expr]:
    """The arguments that a reverse generated from the kept side has, as the removed side would spell them."""
    forward = kept.with_backref(removed.name)
    try:
        joins = mirrored(project, mover_between(project, kept, removed), forward)
    except Refused as refused:
        if refused.code != "BP503":  # for a reverse that has yet to be written: this one is unambiguous
            raise Refused("BP804", f"{kept.title}: {refused.detail}") from refused
        joins = {}
    found = {key: parsed(moved.text) for key, moved in joins.items()}
    given = given_arguments(kept)
    return found | {key: given[key] for key in INHERITED if key in given}


def mirrors(project: Project, one: Side, other: Side) -> bool:
    """Whether two relationships give the same join, each as it looks from its side."""
    try:
        inherited = inherited_arguments(project, one, other)
    except Refused:
        return False
    given = given_arguments(other)
    mover = mover_between(project, other, one)
    return all(
        (key in given) == (key in inherited)
        and (key not in given or canonical(mover, key, given[key]) == canonical(mover, key, inherited[key]))
        for key in JOINS
    )


def mover_between(project: Project, side: Side, other: Side) -> Mover:
    """What spells the expressions of one side in the class body of the other."""
    module = other.owner.module
    quote = module.source.quote(other.owner.node, module.tree)
    return Mover(project, side.owner, other.owner, quote, stmt=side.site.stmt)


def canonical(mover: Mover, key: str, value: ast.expr) -> str:
    """An argument of a class body as text that does not depend on how it is spelt there."""
    tree = value
    if key in LATE:
        try:
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            text = (
                str(value.value)
                if isinstance(value, ast.Constant) and is_text
                else mover.as_string(value, key)
            )
            tree = ast.parse(text.strip(), mode="eval").body
        except (NotAStringError, Refused, SyntaxError):
            pass
    if key in _SEQUENCES:
        parts = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        texts = [_sorted(part) for part in parts]
        return ", ".join(texts if key == "order_by" else sorted(texts))
    return _sorted(tree)


def _sorted(tree: ast.expr) -> str:
    """The text of an expression, with the operands of ``==`` and ``and_`` in one order."""
    match tree:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return " == ".join(sorted((_sorted(left), _sorted(right))))
        case ast.Call(func=ast.Name(id="and_"), args=parts, keywords=[]):
            return f"and_({', '.join(sorted(map(_sorted, parts)))})"
        case ast.Call(func=ast.Name(id="remote" | "foreign" as mark), args=[only], keywords=[]):
            marks: list[str] = [mark]
            while isinstance(only, ast.Call) and last_name(only.func) in {"remote", "foreign"}:
                marks.append(last_name(only.func))
                only = only.args[0]
            return f"{'.'.join(sorted(marks))}({ast.unparse(only)})"
    return ast.unparse(tree)


def annotated_arguments(side: Side) -> dict[str, ast.expr]:
    """The arguments that an annotation amounts to. Raises :class:`Refused` for one that is not understood.

    SQLAlchemy: "Declarative vs. Imperative Forms" of the relationship patterns; the annotation decides.
    """
    assert side.annotation is not None
    annotation = unquoted(side.annotation)
    if not is_mapped(annotation):
        raise Refused("BP805", f"{side.title} is annotated with something else than Mapped[...]")
    match said(annotation):
        case Shape.DYNAMIC | Shape.WRITE_ONLY as lazy:
            return {"lazy": ast.Constant(lazy.value)}
        case Shape.REQUIRED | Shape.OPTIONAL:
            return {"uselist": ast.Constant(value=False)}
        case Shape.SET if "collection_class" not in side.arguments:
            return {"collection_class": ast.Name("set")}
        case None if "collection_class" not in side.arguments:
            raise Refused("BP805", f"{side.title} is annotated with a collection of its own")
    return {}
