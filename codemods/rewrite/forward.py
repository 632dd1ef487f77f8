"""The forward side: ``backref=...`` becomes ``back_populates=...`` where it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence

import libcst as cst

from backpop.codemods.facts import first_line
from backpop.codemods.plan.model import Expansion
from backpop.codemods.read import BACKREF_POSITION
from backpop.codemods.rewrite.statements import LayoutError, TextEdit, smallest
from backpop.codemods.source import Source

_KWARGS = "sa_relationship_kwargs"


def _replace_backref(call: cst.Call, name: cst.BaseExpression) -> cst.Call | None:
    """The call with ``back_populates`` instead of ``backref``; None if it has none."""
    index = _backref_index(call)
    if index is None:
        return None
    args = list(call.args)
    args[index] = args[index].with_changes(
        keyword=cst.Name("back_populates"),
        equal=args[index].equal
        if args[index].keyword
        else cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        value=name,
    )
    return call.with_changes(args=args)


def _pop_backref(call: cst.Call, name: cst.BaseExpression) -> cst.Call | None:
    """The call with ``back_populates`` instead of a backref in SQLModel's ``sa_relationship_kwargs``."""
    args = list(call.args)
    index = next((at for at, arg in enumerate(args) if _is_keyword(arg, _KWARGS)), None)
    if index is None:
        return None
    nothing = cst.SimpleWhitespace("")
    added = cst.Arg(name, cst.Name("back_populates"), cst.AssignEqual(nothing, nothing))
    rest = _popped(args[index].value)
    if rest is None:
        args[index] = added.with_changes(
            comma=args[index].comma, whitespace_after_arg=args[index].whitespace_after_arg
        )
        return call.with_changes(args=args)
    before = args[index - 1].comma if index else None
    space = call.whitespace_before_args
    if isinstance(before, cst.Comma):
        space = before.whitespace_after
    elif isinstance(space, cst.SimpleWhitespace):
        space = cst.SimpleWhitespace(" ")
    args[index] = args[index].with_changes(value=rest)
    args.insert(index, added.with_changes(comma=cst.Comma(whitespace_after=space)))
    return call.with_changes(args=args)


def _is_keyword(arg: cst.Arg, name: str) -> bool:
    return arg.keyword is not None and arg.keyword.value == name


def _popped(kwargs: cst.BaseExpression) -> cst.BaseExpression | None:
    """A dictionary without its backref; None if nothing else is in it."""
    if isinstance(kwargs, cst.Dict):
        elements = [one for one in kwargs.elements if not _is_backref(one)]
        if elements and elements[-1] is not kwargs.elements[-1]:
            elements[-1] = elements[-1].with_changes(comma=kwargs.elements[-1].comma)
        return kwargs.with_changes(elements=elements) if elements else None
    assert isinstance(kwargs, cst.Call)
    args = [arg for arg in kwargs.args if not _is_keyword(arg, "backref")]
    if args and args[-1] is not kwargs.args[-1]:
        args[-1] = args[-1].with_changes(comma=kwargs.args[-1].comma)
    return kwargs.with_changes(args=args) if args else None


def _is_backref(element: cst.BaseDictElement) -> bool:
    key = element.key if isinstance(element, cst.DictElement) else None
    return isinstance(key, cst.SimpleString) and key.evaluated_value == "backref"


def _backref_index(node: cst.Call) -> int | None:
    for index, arg in enumerate(node.args):
        if arg.keyword is not None and arg.keyword.value == "backref":
            return index
    positional = [index for index, arg in enumerate(node.args) if arg.keyword is None and arg.star != "**"]
    return positional[BACKREF_POSITION] if len(positional) > BACKREF_POSITION else None


def forward_edits(source: Source, conversions: Sequence[Expansion]) -> Iterator[TextEdit]:
    """The edits of one statement that holds the forwards of ``conversions``.

    Raises :class:`LayoutError` where the statement does not have its lines to itself.
    """
    site = conversions[0].site
    popping = site.keyword(_KWARGS) is not None
    blocks = [site.stmt] if popping else [site.stmt, *(scope.node for scope in site.scope.chain())]
    if not any(not isinstance(block, ast.Module) and has_own_lines(source, block) for block in blocks):
        raise LayoutError("the statement shares its line with others")
    change = _pop_backref if popping else _replace_backref
    for node, name_text in {one.site.node: one.name_text for one in conversions}.items():
        edit = _edit(source, source.span(node), change, _expression(name_text))
        if edit is not None:
            yield edit


_Change = Callable[[cst.Call, cst.BaseExpression], cst.Call | None]


def _edit(
    source: Source, span: tuple[int, int], change: _Change, name: cst.BaseExpression
) -> TextEdit | None:
    """The edit that a change of the call at ``span`` makes."""
    old = source.text[span[0] : span[1]]
    first = re.search(r"\r\n?|\n", old)  # libcst keeps the line ends that differ from it
    file = cst.Module([], default_newline=first[0] if first else source.newline)
    # in parentheses, as it may be a piece of something that is: a line break before ``.relationship``
    try:
        call = cst.parse_expression(f"({old})")
    except cst.ParserSyntaxError as error:
        raise LayoutError(f"the call cannot be parsed alone: {error.message}") from error
    if not isinstance(call, cst.Call) or file.code_for_node(call) != f"({old})":
        raise LayoutError("the call is not parsed without loss")
    changed = change(call, name)
    return smallest(span[0], old, file.code_for_node(changed)[1:-1]) if changed else None


def _expression(text: str) -> cst.BaseExpression:
    try:
        return cst.parse_expression(f"({text})" if "\n" in text or "\r" in text else text)
    except cst.ParserSyntaxError as error:
        raise LayoutError(f"the name {text} cannot be parsed alone") from error


def has_own_lines(source: Source, stmt: ast.stmt) -> bool:
    """Whether nothing but white space and a comment stands beside a statement on its lines."""
    start, end = source.span(stmt)
    if first_line(stmt) != stmt.lineno:
        return True
    line = source.line_of(start)
    before = source.text[source.line_starts[line - 1] : start]
    after = source.text[end : source.line_end(source.line_of(max(start, end - 1)))].strip()
    return not before.strip() and (not after or after.startswith("#"))
