"""The reverse of one relationship: what the backref would have made, as an explicit call."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from backpop.codemods.facts import ClassInfo, entries, is_written_out, properties_of
from backpop.codemods.link import Project
from backpop.codemods.plan.annotate import fits, without_said
from backpop.codemods.plan.factory import SQLMODEL, factory_of, sqlmodel_arguments
from backpop.codemods.plan.forward import Forward, find_target, named_target
from backpop.codemods.plan.joins import has_remote, mirrored
from backpop.codemods.plan.model import Argument, Form, Import, Refused, Reverse, Spot
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
        spot,
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

    Raises :class:`Refused` if it has another attribute of that name where a reverse could stand.
    """
    target, name = forward.target, forward.backref.name
    for value, annotation, spot in _attributes(project, forward):
        title = f"{target.name}.{name} at {spot.module.shown}:{getattr(value, 'lineno', spot.line)}"
        call = value if isinstance(value, ast.Call) else None
        if call is None or not _is_relationship(project, target, call, spot):
            if spot.form is Form.BODY:
                continue
            raise Refused("BP401", title)
        if not _is_same(project, forward, call, annotation, reverse_of(project, forward, spot)):
            raise Refused("BP403", title)
        return True
    return False


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


def _is_relationship(project: Project, target: ClassInfo, call: ast.Call, spot: Spot) -> bool:
    if spot.form is Form.BODY:
        return any(one is call for one, _ in relationship_calls(project, target))
    found = project.resolve_all(call.func, spot.scope)
    return any(factory_of(project, one) is not None for one in found)


def _is_same(
    project: Project, forward: Forward, existing: ast.Call, annotation: ast.expr | None, wanted: Reverse
) -> bool:
    """Whether a relationship has the arguments that are wanted, whatever their order, and an annotation that
    fits if it has one."""
    if forward.factory == SQLMODEL:
        try:
            existing = ast.Call(
                existing.func, [], [ast.keyword(*one) for one in sqlmodel_arguments(existing).items()]
            )
        except Refused:
            return False
    given: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in existing.keywords}
    if existing.args:
        given["argument"] = existing.args[0]
    target = given.pop("argument", None)
    target = target or named_target(project, annotation, forward.target.body)
    if len(existing.args) > 1 or None in given or target is None:
        return False
    try:
        pointed_at, _ = find_target(project, forward.target, wanted.spot.scope, target)
    except Refused:
        return False
    expected: dict[str | None, ast.expr] = {
        argument.keyword: ast.parse(f"({argument.text}\n)", mode="eval").body
        for argument in wanted.arguments
        if argument.keyword is not None
    }
    if annotation is not None:
        if not fits(project, forward, annotation):
            return False
        given, expected = (without_said(one, annotation) for one in (given, expected))
    return pointed_at is forward.source and {key: ast.dump(value) for key, value in given.items()} == {
        key: ast.dump(value) for key, value in expected.items()
    }
