"""The reverse of one relationship: what the backref would have made, as an explicit call."""

from __future__ import annotations

import ast
import io
import re
import tokenize

from backpop.codemods.link import Project
from backpop.codemods.plan.forward import Forward
from backpop.codemods.plan.joins import is_marked, mirrored
from backpop.codemods.plan.model import Argument, Import, Reverse, Spot
from backpop.codemods.plan.move import Mover, quoted
from backpop.codemods.plan.place import spell_factory

# What a generated reverse takes over from its forward beside the joins, with SQLAlchemy's defaults; it takes
# over nothing else.
INHERITED: dict[str, object] = {
    "viewonly": False,
    "post_update": False,
    "passive_updates": True,
    "sync_backref": None,
}


def reverse_of(project: Project, forward: Forward, spot: Spot | None = None) -> Reverse:
    """The explicit reverse as it is written in a spot, the target's body if none is given.

    Raises :class:`Refused` where none is certain to mean the same.
    """
    target = forward.target
    spot = spot or Spot.body(target)
    quote = spot.module.source.quote(spot.node, spot.module.tree)
    mover = Mover(project, forward.source, target, quote, forward.scope, forward.site.stmt, spot)
    factory = spell_factory(project, mover, forward)
    imports: list[Import] = list(factory.imports)
    arguments = [Argument(None, mover.class_argument(forward.by_string, forward.named))]
    options = dict(forward.backref.options)

    joins = mirrored(project, mover, forward)
    for key, moved in joins.items():
        arguments.append(Argument(key, moved.text, moved.column))
        imports += moved.imports
    if "link_model" in forward.arguments:  # SQLModel's secondary
        moved = mover.move("link_model", forward.arguments["link_model"])
        arguments.append(Argument("link_model", moved.text, moved.column))
        imports += moved.imports
    join = forward.arguments.get("primaryjoin")
    overridden = (
        join is not None
        and "primaryjoin" not in options
        and "secondary" not in forward.arguments
        and is_marked(project, forward, join, "remote")
    )
    for key, value in options.items():
        if key == "remote_side" and overridden:
            continue  # SQLAlchemy ignores it beside remote()
        moved = mover.move(key, value)
        arguments.append(Argument(key, moved.text, moved.column))
        imports += moved.imports
    for key, default in INHERITED.items():
        flag = forward.arguments.get(key)
        if flag is None or key in options or (isinstance(flag, ast.Constant) and flag.value == default):
            continue
        moved = mover.move(key, flag)
        arguments.append(Argument(key, moved.text, moved.column))
        imports += moved.imports
    arguments.append(Argument("back_populates", quoted(forward.name, quote)))
    comments, beside = _comments(forward, arguments)
    return Reverse(
        target,
        spot,
        forward.backref.name,
        factory.text,
        tuple(one._replace(comment=beside.get(one.keyword, "")) for one in arguments),
        comments,
        tuple(dict.fromkeys(imports)),
    )


def _comments(forward: Forward, arguments: list[Argument]) -> tuple[tuple[str, ...], dict[str | None, str]]:
    """The comments within ``backref(...)`` that do not move to the reverse as part of an argument: those that
    stand by themselves, and those behind an argument, by its keyword."""
    source = forward.site.scope.module.source
    node = forward.backref.node
    if node.lineno == node.end_lineno:
        return (), {}
    within = set(ast.walk(node))
    spans = sorted((source.span(value), key) for key, value in forward.backref.options if value in within)
    written = {argument.keyword: argument.text for argument in arguments}
    ends = {source.line_of(end): key for (_, end), key in spans if key in written}
    alone: list[str] = []
    beside: dict[str | None, str] = {}
    start, end = source.span(node)
    text = re.sub(r"\r\n?", "\n", f"({source.text[start:end]})")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        line = node.lineno + row - 1
        at = source.line_starts[line - 1] + column if row > 1 else start + column - 1
        if any(left <= at < right and token.string in written.get(key, "") for (left, right), key in spans):
            continue
        if line in ends:
            beside[ends[line]] = token.string
        else:
            alone.append(token.string)
    return tuple(alone), beside
