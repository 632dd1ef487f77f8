"""What a person looks at to judge a conversion: both ends, before and after, and the facts behind it.

Each site is rewritten by itself, so what is shown of it, its edits included, does not depend on the others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods.edits import Edit, FileChange, splice
from backpop.codemods.facts import Module, Place, Site, first_line
from backpop.codemods.link import Project
from backpop.codemods.patch import blocks_of
from backpop.codemods.plan.carried import annotated_way, given_arguments, way_of
from backpop.codemods.plan.direction import direction_of, label
from backpop.codemods.plan.forward import recognise
from backpop.codemods.plan.model import Collapse, Conversion, Expansion, Refused
from backpop.codemods.plan.pairs import side_of
from backpop.codemods.rewrite import rewrite
from backpop.codemods.run import Outcome
from backpop.codemods.source import Source, decode


@dataclass(frozen=True, slots=True)
class Part:
    """One end of a pair: whole lines of a file as they stand, and as they will.

    ``line`` is the first of them in the file as it is, counted from 1, or where new ones will stand. What is
    not there before, or not there after, is empty then.
    """

    path: str
    line: int
    owner: str
    attribute: str
    before: str
    after: str

    @property
    def title(self) -> str:
        """``Class.attribute``, for people."""
        return f"{self.owner}.{self.attribute}"


def marked(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield how lines are shown: "-" with an index in ``before``, "+" or " " with one in ``after``.

    Only what both begin and end with counts as the same: a statement changes in one place.
    """
    shorter = min(len(before), len(after))
    head = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    shorter -= head
    tail = next((at for at in range(shorter) if before[-1 - at] != after[-1 - at]), shorter)
    yield from ((" ", at) for at in range(head))
    yield from (("-", at) for at in range(head, len(before) - tail))
    yield from (("+", at) for at in range(head, len(after) - tail))
    yield from ((" ", at) for at in range(len(after) - tail, len(after)))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a conversion rests on.

    ``direction`` is seen from the forward, and empty where the source does not tell. ``inherited`` are the
    arguments that a reverse made by a backref takes over from its forward, so that an explicit one has to
    repeat them; ``moved`` are those in ``backref(...)``. ``imports`` are the statements that are needed.
    """

    direction: str = ""
    inherited: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One conversion: its two ends, its facts, and the class that the forward names as ``named``."""

    forward: Part
    reverse: Part
    facts: Facts
    named: str
    found_path: str
    found_line: int


@dataclass(frozen=True, slots=True)
class Review:
    """The conversions of one site, which stand or fall together, and the changes that make them alone."""

    site: Site
    pairs: tuple[Pair, ...]
    changes: tuple[FileChange, ...]


def reviews(outcome: Outcome) -> Iterator[Review]:
    """Yield what there is to judge of an outcome, site by site, in the order of its conversions."""
    project = outcome.project
    if project is None:
        return
    together: dict[Site, list[Conversion]] = {}
    for conversion in outcome.conversions:
        together.setdefault(conversion.site, []).append(conversion)
    for site, conversions in together.items():
        changes = rewrite(project, conversions, outcome.line_length).changes
        alone = [
            changes if len(conversions) == 1 else rewrite(project, [one], outcome.line_length).changes
            for one in conversions
        ]
        pairs = tuple(
            _pair(project, one, {str(change.path): change for change in theirs})
            for one, theirs in zip(conversions, alone, strict=True)
        )
        yield Review(site, pairs, changes)


@dataclass(frozen=True, slots=True)
class Replacement:
    """An edit by places: lines and columns, counted from 1, columns in characters; the end is not in it."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


def replacements(change: FileChange) -> Iterator[Replacement]:
    """Yield the edits of a file by places in it as it is."""
    source = decode(str(change.path), change.before)
    for edit in change.edits:
        start, end = (source.position(source.text_offset(at)) for at in (edit.start, edit.end))
        yield Replacement(start, end, source.decode(edit.new))


def _pair(project: Project, conversion: Conversion, changes: Mapping[str, FileChange]) -> Pair:
    title = (conversion.source.name, conversion.forward_name)
    forward = _statement(conversion.home, _forward(conversion), title, changes)
    target = conversion.target
    if isinstance(conversion, Collapse):
        title = (target.name, conversion.reverse_name)
        reverse = _statement(target.module, conversion.removed.stmt, title, changes)
    else:
        assert isinstance(conversion, Expansion)
        reverse = _added(conversion, changes)
    facts = _facts(project, conversion)
    return Pair(forward, reverse, facts, _named(conversion.site), target.module.path, target.node.lineno)


# -- both ends


def _statement(
    module: Module, node: ast.AST, title: tuple[str, str], changes: Mapping[str, FileChange]
) -> Part:
    """The lines of a statement or an expression, and what the edits that touch them make of them."""
    start, end = _span(module.source, node)
    edits = [
        Edit(max(edit.start, start) - start, min(edit.end, end) - start, edit.new)
        for edit in _edits(changes, module)
        if _touches(edit, start, end)
    ]
    before = module.source.data[start:end]
    after = splice(before, edits)
    text = module.source.decode
    line = module.source.line_of(module.source.text_offset(start))
    return Part(module.path, line, *title, text(before), text(after))


def _added(conversion: Expansion, changes: Mapping[str, FileChange]) -> Part:
    """The lines that the reverse becomes; if none are needed, the statement that is there in its class."""
    made, title = conversion.target, (conversion.target.name, conversion.reverse_name)
    if conversion.reverse is None:
        member = made.member(conversion.reverse_name)
        if member is not None:
            return _statement(made.module, member.stmt, title, {})
        return Part(made.module.path, made.node.lineno, *title, "", "")
    spot = conversion.reverse.spot
    source, edits = spot.module.source, _edits(changes, spot.module)
    if conversion.home is spot.module:
        forward = _span(source, _forward(conversion))
        edits = [edit for edit in edits if not _touches(edit, *forward)]
    start, end = _span(source, spot.node)
    data = source.data
    if not data.endswith(b"\n"):  # or the last line would seem to change, only because others follow it
        data += b"\n"
        end += end == len(source.data)
    blocks = [
        block
        for block in blocks_of(FileChange(Path(spot.module.path), data, tuple(edits)))
        if start <= block.start and start < block.end <= end  # an import may stand right above
    ]
    line = blocks[0].line + 1 if blocks else spot.line
    old = b"".join(line for block in blocks for line in block.old)
    new = b"".join(line for block in blocks for line in block.new)
    return Part(spot.module.path, line, *title, source.decode(old), source.decode(new))


def _forward(conversion: Conversion) -> ast.AST:
    """What is shown of a forward: its statement, or its entry in the properties of a mapping."""
    site = conversion.site
    return site.node if site.place is Place.PROPERTIES else site.stmt


def _edits(changes: Mapping[str, FileChange], module: Module) -> Sequence[Edit]:
    change = changes.get(module.path)
    return change.edits if change is not None else ()


def _touches(edit: Edit, start: int, end: int) -> bool:
    """Whether an edit is of the bytes of a span, and not of what stands before or after it."""
    return edit.start < end and edit.end > start


def _span(source: Source, node: ast.AST) -> tuple[int, int]:
    """The bytes of the lines that a node stands on, its decorators included."""
    assert isinstance(node, ast.stmt | ast.expr)
    first = first_line(node) if isinstance(node, ast.stmt) else node.lineno
    last = node.end_lineno or node.lineno
    return source.byte_offset(source.line_starts[first - 1]), source.byte_offset(source.line_end(last))


# -- the facts


def _facts(project: Project, conversion: Conversion) -> Facts:
    try:
        if isinstance(conversion, Expansion):
            return _of_expansion(project, conversion)
        if isinstance(conversion, Collapse):
            return _of_collapse(project, conversion)
    except Refused:
        pass  # it was planned by other rules than those that tell about it
    return Facts()


def _of_expansion(project: Project, conversion: Expansion) -> Facts:
    ends = (conversion.source, conversion.reverse_name)
    forwards = recognise(project, conversion.site)
    forward = next((one for one in forwards if (one.source, one.backref.name) == ends), None)
    if forward is None:
        return Facts()
    options = dict(forward.backref.options)
    way = direction_of(project, forward.source, forward.target, forward.arguments)
    reverse = conversion.reverse
    written = [one.keyword for one in reverse.arguments] if reverse is not None else []
    keys = [key for key in written if key is not None and key != "back_populates"]
    return Facts(
        label(way, forward.arguments, options),
        tuple(key for key in keys if key not in options),
        tuple(key for key in keys if key in options),
        tuple(one.text for one in reverse.imports) if reverse is not None else (),
    )


def _of_collapse(project: Project, conversion: Collapse) -> Facts:
    kept, removed = side_of(project, conversion.site), side_of(project, conversion.removed)
    if kept is None or removed is None:
        return Facts()
    way = way_of(project, kept, removed) or annotated_way(kept, removed)
    moved = tuple(str(option.keyword) for option in conversion.options)
    return Facts(
        label(way, kept.arguments, removed.arguments),
        tuple(key for key in given_arguments(removed) if key not in moved),
        moved,
        tuple(one.text for one in conversion.imports),
    )


def _named(site: Site) -> str:
    """How a relationship names its target: the text of its first argument, or of its annotation."""
    source, keyword = site.scope.module.source, site.keyword("argument")
    if keyword is not None:
        return source.segment(keyword.value)
    if isinstance(site.node, ast.Call) and site.node.args:
        return source.segment(site.node.args[0])
    return source.segment(site.stmt.annotation) if isinstance(site.stmt, ast.AnnAssign) else ""
