"""The reverse of one relationship: what the backref would have made, as an explicit call."""

from __future__ import annotations

import ast
import io
import tokenize

from backpop.codemods.facts import Member
from backpop.codemods.link import Project
from backpop.codemods.plan.annotate import fits, without_said
from backpop.codemods.plan.forward import Forward, find_target, named_target
from backpop.codemods.plan.joins import has_remote, mirrored
from backpop.codemods.plan.model import Argument, Import, Refused, Reverse
from backpop.codemods.plan.move import Mover, quoted
from backpop.codemods.plan.place import relationship_calls, spell_factory

# What a generated reverse takes over from its forward beside the joins, with SQLAlchemy's defaults; it takes
# over nothing else.
INHERITED: dict[str, object] = {
    "viewonly": False,
    "post_update": False,
    "passive_updates": True,
    "sync_backref": None,
}


def reverse_of(project: Project, forward: Forward) -> Reverse:
    """The explicit reverse. Raises :class:`Refused` where none is certain to mean the same."""
    target = forward.target
    quote = target.module.source.quote(target.node, target.module.tree)
    mover = Mover(project, forward.source, target, quote, forward.scope, forward.site.stmt)
    factory = spell_factory(project, mover, forward)
    imports: list[Import] = list(factory.imports)
    arguments = [Argument(None, mover.class_argument(forward.by_string))]
    options = dict(forward.backref.options)

    joins = mirrored(project, mover, forward)
    for key, moved in joins.items():
        arguments.append(Argument(key, moved.text, moved.column))
        imports += moved.imports
    join = forward.arguments.get("primaryjoin")
    overridden = (
        join is not None
        and "primaryjoin" not in options
        and "secondary" not in forward.arguments
        and (has_remote(project, forward, join))
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
    return Reverse(
        target,
        forward.backref.name,
        factory.text,
        tuple(arguments),
        _comments(forward, arguments),
        tuple(dict.fromkeys(imports)),
    )


def _comments(forward: Forward, arguments: list[Argument]) -> tuple[str, ...]:
    """The comments within ``backref(...)`` that do not move to the reverse as part of an argument."""
    source = forward.site.scope.module.source
    node = forward.backref.node
    if node.lineno == node.end_lineno:
        return ()
    start, end = source.span(node)
    tokens = tokenize.generate_tokens(io.StringIO(f"({source.text[start:end]})").readline)
    comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
    return tuple(one for one in comments if not any(one in argument.text for argument in arguments))


# -- a reverse that is already there


def has_reverse(project: Project, forward: Forward) -> bool:
    """Whether the target already has, explicitly, the very reverse that the backref would make.

    Raises :class:`Refused` if it has another relationship of that name.
    """
    target, name = forward.target, forward.backref.name
    member = target.member(name)
    if member is None or not any(call is member.value for call, _ in relationship_calls(project, target)):
        return False
    if not _is_same(project, forward, member, reverse_of(project, forward)):
        raise Refused("BP403", f"{target.name}.{name} at {target.module.shown}:{member.stmt.lineno}")
    return True


def _is_same(project: Project, forward: Forward, member: Member, wanted: Reverse) -> bool:
    """Whether a relationship has the arguments that are wanted, whatever their order, and an annotation that
    fits if it has one."""
    existing = member.value
    assert isinstance(existing, ast.Call)
    given: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in existing.keywords}
    if existing.args:
        given["argument"] = existing.args[0]
    target = given.pop("argument", None)
    target = target or named_target(project, member.annotation, forward.target.body)
    if len(existing.args) > 1 or None in given or target is None:
        return False
    try:
        pointed_at, _ = find_target(project, forward.target, forward.target.body, target)
    except Refused:
        return False
    expected: dict[str | None, ast.expr] = {
        argument.keyword: ast.parse(f"({argument.text}\n)", mode="eval").body
        for argument in wanted.arguments
        if argument.keyword is not None
    }
    if member.annotation is not None:
        if not fits(project, forward, member.annotation):
            return False
        given, expected = (without_said(one, member.annotation) for one in (given, expected))
    return pointed_at is forward.source and {key: ast.dump(value) for key, value in given.items()} == {
        key: ast.dump(value) for key, value in expected.items()
    }
