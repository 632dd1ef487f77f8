"""The inventory of relationships: which are paired, how, and what the guidance recommends.

The guidance: ``backref`` where both sides of a pair are plain; ``back_populates`` on both sides for what is
complex: many-to-many, arguments of their own on each side, typed models.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from backpop.codemods.codes import CODES
from backpop.codemods.facts import TOO_DEEP, ClassInfo, Module, Site
from backpop.codemods.ignore import Ignores
from backpop.codemods.link import Project
from backpop.codemods.plan.carried import (
    annotated_arguments,
    annotated_way,
    given_arguments,
    mirrors,
    telling,
    way_of,
)
from backpop.codemods.plan.direction import Direction, direction_of, label
from backpop.codemods.plan.forward import Forward, recognise
from backpop.codemods.plan.model import Refused, Report
from backpop.codemods.plan.pairs import Pairs, Side, find_pairs, side_of
from backpop.codemods.plan.policy import Policy, Style
from backpop.codemods.plan.to_backref import choose, why_complex
from backpop.codemods.read import RELATIONSHIPS
from backpop.codemods.run import Settings, ignores_of, read


@dataclass(frozen=True, order=True, slots=True)
class End:
    """One side of a pair: where its statement is, or, for a generated one, that of its class."""

    path: str
    line: int
    title: str


class Kind(Enum):
    """What the guidance tells pairs apart by."""

    SIMPLE = "simple"
    COMPLEX = "complex"
    UNCLEAR = "not understood"


@dataclass(frozen=True, slots=True)
class Entry:
    """A pair, or a relationship that is in none.

    ``direction`` is seen from ``first``, and empty where the source does not tell. ``reasons`` say what makes
    it complex, ``unclear`` why it could not be looked at, ``mistake`` what is likely to be wrong with it.
    """

    first: End
    second: End | None
    style: Style
    direction: str
    reasons: tuple[str, ...]
    mistake: str = ""
    unclear: str = ""

    @property
    def kind(self) -> Kind | None:
        """What kind of pair it is; None for what is no pair, as far as is known."""
        if self.unclear:
            return Kind.UNCLEAR
        if self.style in {Style.ONE_SIDED, Style.NONE}:
            return None
        return Kind.COMPLEX if self.reasons else Kind.SIMPLE

    @property
    def recommended(self) -> Style | None:
        """The style that the guidance recommends; None where it has nothing to say."""
        if self.unclear or (self.style is Style.NONE and self.second is None):
            return None
        return Style.BACKREF if self.kind is Kind.SIMPLE else Style.BACK_POPULATES


@dataclass(frozen=True)
class Audit:
    """All relationships of some files, in the order of their places."""

    files: int
    missing: tuple[Path, ...]
    problems: tuple[Report, ...]
    entries: tuple[Entry, ...]


def audit(paths: Sequence[Path], settings: Settings | None = None) -> Audit:
    """Take stock of the relationships below ``paths``.

    Never raises for what a project may hold: unreadable files are in ``problems``, missing paths in
    ``missing``. What a comment or the configuration allows is no mistake. Raises ``ValueError`` for a
    malformed pattern.
    """
    settings = settings or Settings()
    found = read(paths, settings, RELATIONSHIPS)
    if found.scanned is None:
        return Audit(found.files, found.missing, found.problems, ())
    entries = _entries(found.scanned.project, found.scanned.modules())
    ignores = ignores_of(found.scanned.project, settings)
    entries = [replace(one, mistake="") if _is_on_purpose(ignores, one) else one for one in entries]
    return Audit(
        found.files, found.missing, found.problems, tuple(sorted(entries, key=lambda one: one.first))
    )


def _is_on_purpose(ignores: Ignores, entry: Entry) -> bool:
    """Whether a comment or the configuration allows what is likely to be a mistake."""
    ends = (entry.first, *((entry.second,) if entry.second else ()))
    return bool(entry.mistake) and any(
        ignores.keeps(Report(end.path, end.line, 1, "BP801", "")) for end in ends
    )


def _entries(project: Project, modules: list[Module]) -> list[Entry]:
    found = find_pairs(project, modules)
    entries = [_of_pair(project, found, pair) for pair in found.pairs]
    for side, refused in found.alone:
        mistake = refused.detail if refused.code in {"BP801", "BP802", "BP803"} else ""
        style = Style.ONE_SIDED if mistake else Style.BACK_POPULATES
        unclear = "" if mistake else _reason(refused)
        second = _end_of_class(side.target, side.partner)
        entries.append(Entry(_end(side), second, style, _direction(project, side), (), mistake, unclear))
    entries += (
        Entry(_end_of_site(site), None, Style.BACK_POPULATES, "", (), unclear=_reason(refused))
        for site, refused in found.unread
    )
    single: list[Side] = []
    for site in (site for module in modules for site in module.sites):
        if site.keyword("back_populates") is None:
            entries += _of_site(project, site, single)
    # a call and the dictionary in it may both be what a relationship is seen by
    return [*dict.fromkeys(entries), *_of_singles(project, single, found)]


def _reason(refused: Refused) -> str:
    return f"{CODES[refused.code].title} ({refused.code})"


def _of_pair(project: Project, found: Pairs, pair: tuple[Side, Side]) -> Entry:
    first, second = pair
    fewest: list[str]
    try:
        kept, removed = choose(project, pair, Policy())
        both = [why_complex(project, found, *sides) for sides in ((kept, removed), (removed, kept))]
        fewest = min(both, key=len)  # where either side may go, that of the other one may be the simple one
    except TOO_DEEP:
        fewest = [_reason(Refused("BP602", ""))]
    way = _direction(project, first, second)
    return Entry(_end(first), _end(second), Style.BACK_POPULATES, way, tuple(fewest))


def _of_site(project: Project, site: Site, single: list[Side]) -> Iterator[Entry]:
    """The entries of a relationship without back_populates; one without a counterpart goes to ``single``."""
    try:
        forwards = recognise(project, site)
        side = None if forwards else side_of(project, site)
    except Refused as refused:
        style = Style.NONE if site.keyword("backref") is None else Style.BACKREF
        yield Entry(_end_of_site(site), None, style, "", (), unclear=_reason(refused))
        return
    except TOO_DEEP:
        unclear = _reason(Refused("BP602", ""))
        yield Entry(_end_of_site(site), None, Style.NONE, "", (), unclear=unclear)
        return
    for forward in forwards:
        way = direction_of(project, forward.source, forward.target, forward.arguments)
        yield Entry(
            End(forward.site.scope.module.path, site.stmt.lineno, f"{forward.source.name}.{forward.name}"),
            _end_of_class(forward.target, forward.backref.name),
            Style.BACKREF,
            label(way, forward.arguments, dict(forward.backref.options)),
            tuple(_reasons_of_backref(forward, way)),
        )
    if side is not None:
        single.append(side)


def _reasons_of_backref(forward: Forward, way: Direction | None) -> Iterator[str]:
    if "secondary" in forward.arguments:
        yield "many-to-many"
    if isinstance(forward.site.stmt, ast.AnnAssign):
        yield "typed"
    options = telling(dict(forward.backref.options), way.opposite if way is not None else None)
    if options:
        yield f"arguments in backref(): {', '.join(options)}"
    if forward.site.owner is not forward.source:
        yield "mixin"


def _of_singles(project: Project, singles: list[Side], found: Pairs) -> Iterator[Entry]:
    """Relationships without a counterpart; two that are inverses of each other become one entry."""
    done: set[Side] = set()
    paired = [side for pair in found.pairs for side in pair]
    named = {(side.target, side.partner) for side, _ in found.alone}  # shown beside what names them
    for side in sorted(singles, key=lambda one: one.order):
        if side in done or (side.owner, side.name) in named:
            continue
        inverse = next((one for one in (*singles, *paired) if _are_inverse(project, side, one)), None)
        second = None
        mistake = ""
        if inverse is not None and inverse in singles:
            done.add(inverse)
            second = _end(inverse)
            mistake = f"{side.title} and {inverse.title} are inverses of each other and do not say so"
        elif inverse is not None:
            mistake = f"{side.title} writes the same columns as {inverse.title} at {inverse.where}"
        yield Entry(_end(side), second, Style.NONE, _direction(project, side, inverse), (), mistake)


def _are_inverse(project: Project, one: Side, other: Side) -> bool:
    """Whether SQLAlchemy would warn that one relationship conflicts with the other, its inverse."""
    if one is other or one.target is not other.owner or other.target is not one.owner:
        return False
    if any(_says(side, "viewonly") for side in (one, other)):
        return False
    if any("overlaps" in side.arguments for side in (one, other)):
        return False  # their author knows
    if one.owner is one.target and direction_of(project, one.owner, one.target, one.arguments) is (
        direction_of(project, other.owner, other.target, other.arguments)
    ):
        return "secondary" in one.arguments and mirrors(project, one, other)
    return mirrors(project, one, other)


def _says(side: Side, key: str) -> bool:
    return key in given_arguments(side)


# -- what is shown


def _end(side: Side) -> End:
    return End(side.owner.module.path, side.site.stmt.lineno, side.title)


def _end_of_class(made: ClassInfo, name: str | None) -> End:
    member = made.member(name or "")
    line = member.stmt.lineno if member is not None else made.node.lineno
    return End(made.module.path, line, f"{made.name}.{name}")


def _end_of_site(site: Site) -> End:
    owner = f"{site.owner.name}." if site.owner is not None else ""
    return End(site.scope.module.path, site.stmt.lineno, f"{owner}{site.attribute or '?'}")


def _direction(project: Project, side: Side, other: Side | None = None) -> str:
    try:
        if other is None:
            way = direction_of(project, side.owner, side.target, side.arguments)
            return label(way, _arguments(side))
        way = way_of(project, side, other) or annotated_way(side, other)
    except TOO_DEEP:
        return ""
    return label(way, _arguments(side), _arguments(other))


def _arguments(side: Side) -> dict[str, ast.expr]:
    """The arguments of a relationship, with what its annotation amounts to."""
    if side.annotation is None:
        return side.arguments
    try:
        return annotated_arguments(side) | side.arguments
    except Refused:
        return side.arguments
