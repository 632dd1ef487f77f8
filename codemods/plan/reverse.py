"""The reverse of one relationship: what the backref would have made, as an explicit call."""

from __future__ import annotations

import ast

from backpop.codemods.facts import ClassInfo
from backpop.codemods.link import Project
from backpop.codemods.plan.forward import Forward, factory_of, find_target
from backpop.codemods.plan.joins import has_remote, mirrored
from backpop.codemods.plan.model import Argument, Import, Refused, Reverse
from backpop.codemods.plan.move import Mover, quoted
from backpop.codemods.plan.place import check_name_is_free, spell_factory

# What a generated reverse takes over from its forward beside the joins, with SQLAlchemy's defaults
# . Everything else it does not.
INHERITED: dict[str, object] = {
    "viewonly": False,
    "post_update": False,
    "passive_updates": True,
    "sync_backref": None,
}
_JOIN_OPTIONS = ("primaryjoin", "secondaryjoin", "foreign_keys")


def reverse_of(project: Project, forward: Forward) -> Reverse:
    """The explicit reverse. Raises :class:`Refused` where none is certain to mean the same."""
    target = forward.target
    source_text = target.module.source
    quote = source_text.quote(*source_text.span(target.node))
    mover = Mover(project, forward.source, target, quote)
    factory = spell_factory(project, mover, forward)
    imports: list[Import] = list(factory.imports)
    arguments = [Argument(None, _class_argument(project, mover, forward))]
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
        _comments(forward),
        tuple(dict.fromkeys(imports)),
    )


def _class_argument(project: Project, mover: Mover, forward: Forward) -> str:
    """How the reverse names the source class: by a string, or late where no string reaches."""
    source, target = forward.source, forward.target
    reached = project.same_registry(source, target)
    if reached is None and forward.by_string:
        reached = True
    if reached:
        return quoted(mover.registry_name(source), mover.quote)
    if mover.sees_source():
        return f"lambda: {source.name}"
    raise Refused("BP506", f"{source.name} at {source.where} and {target.name} at {target.where}")


def _comments(forward: Forward) -> tuple[str, ...]:
    """The comments within ``backref(...)``, which move to the reverse with its arguments."""
    source = forward.site.scope.module.source
    node = forward.backref.node
    if node.lineno == node.end_lineno:
        return ()
    start, end = source.span(node)
    return tuple(comments_in(source.text[start:end]))


def comments_in(text: str) -> list[str]:
    """The comments of a piece of Python that stands in brackets."""
    import io
    import tokenize

    return [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(f"({text})").readline)
        if token.type == tokenize.COMMENT
    ]


def existing_reverse(project: Project, forward: Forward) -> ast.Call | None:
    """The explicit relationship of the reverse's name, if the target has one that points back.

    Raises :class:`Refused` if it has one that points elsewhere, or to nothing.
    """
    from backpop.codemods.plan.place import relationship_calls

    member = forward.target.member(forward.backref.name)
    if member is None or not isinstance(member.value, ast.Call):
        return None
    if all(call is not member.value for call, _ in relationship_calls(project, forward.target)):
        return None
    return member.value


def same_reverse(project: Project, forward: Forward, existing: ast.Call) -> bool:
    """Whether an explicit relationship is the reverse that the backref would make, argument by argument."""
    wanted = reverse_of(project, forward)
    given = {keyword.arg: keyword.value for keyword in existing.keywords}
    if existing.args:
        given["argument"] = existing.args[0]
    if len(existing.args) > 1 or None in given:
        return False
    expected = {
        argument.keyword: ast.parse(argument.text.strip(), mode="eval").body
        for argument in wanted.arguments
        if argument.keyword is not None
    }
    target = given.pop("argument", None)
    if target is None or not _points_at(project, forward, target):
        return False
    return {key: ast.dump(value) for key, value in given.items()} == {
        key: ast.dump(value) for key, value in expected.items()
    }


def _points_at(project: Project, forward: Forward, target: ast.expr) -> bool:
    from backpop.codemods.facts import Place, Site

    member = forward.target.member(forward.backref.name)
    assert member is not None
    site = Site(member.value, member.stmt, forward.target.body, Place.BODY, forward.target, member.name)  # type: ignore[arg-type]
    try:
        found: tuple[ClassInfo, bool] = find_target(project, site, forward.target, target)
    except Refused:
        return False
    return found[0] is forward.source


__all__ = ["INHERITED", "check_name_is_free", "existing_reverse", "factory_of", "reverse_of", "same_reverse"]
