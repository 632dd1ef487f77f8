"""The forward side: ``backref=...`` becomes ``back_populates=...`` where it stands."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from backpop.codemods.plan.model import Expansion
from backpop.codemods.read import BACKREF_POSITION
from backpop.codemods.rewrite.statements import LayoutError, TextEdit, transform_lines
from backpop.codemods.source import Source

_KWARGS = "sa_relationship_kwargs"


class _ReplaceBackref(cst.CSTTransformer):
    """Replaces the backref argument of chosen calls, counted in source order among those that have one."""

    def __init__(self, names: dict[int, cst.BaseExpression]) -> None:
        super().__init__()
        self.names = names
        self.seen = 0
        self.open: list[int | None] = []

    def visit_Call(self, node: cst.Call) -> None:
        rank = None
        if _backref_index(node) is not None:
            rank, self.seen = self.seen, self.seen + 1
        self.open.append(rank)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        rank = self.open.pop()
        index = _backref_index(original_node)
        if rank is None or index is None or rank not in self.names:
            return updated_node
        args = list(updated_node.args)
        args[index] = args[index].with_changes(
            keyword=cst.Name("back_populates"),
            equal=args[index].equal
            if args[index].keyword
            else cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
            value=self.names[rank],
        )
        return updated_node.with_changes(args=args)


class _PopBackref(cst.CSTTransformer):
    """Takes the backref out of SQLModel's ``sa_relationship_kwargs``; ``back_populates`` comes instead."""

    def __init__(self, name: cst.BaseExpression) -> None:
        super().__init__()
        space = cst.SimpleWhitespace("")
        self.arg = cst.Arg(name, cst.Name("back_populates"), cst.AssignEqual(space, space))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        args = list(updated_node.args)
        index = next((at for at, arg in enumerate(args) if _is_keyword(arg, _KWARGS)), None)
        if index is None:
            return updated_node
        rest = _popped(args[index].value)
        if rest is None:
            args[index] = self.arg.with_changes(
                comma=args[index].comma, whitespace_after_arg=args[index].whitespace_after_arg
            )
            return updated_node.with_changes(args=args)
        before = args[index - 1].comma if index else None
        space = updated_node.whitespace_before_args
        if isinstance(before, cst.Comma):
            space = before.whitespace_after
        elif isinstance(space, cst.SimpleWhitespace):
            space = cst.SimpleWhitespace(" ")
        args[index] = args[index].with_changes(value=rest)
        args.insert(index, self.arg.with_changes(comma=cst.Comma(whitespace_after=space)))
        return updated_node.with_changes(args=args)


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


def _has_backref(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (
        len(node.args) > BACKREF_POSITION or any(keyword.arg == "backref" for keyword in node.keywords)
    )


def forward_edit(source: Source, conversions: Sequence[Expansion]) -> TextEdit | None:
    """The edit of one statement that holds the forwards of ``conversions``.

    Raises :class:`LayoutError` where the statement does not have its lines to itself.
    """
    site = conversions[0].site
    if site.keyword(_KWARGS) is not None:
        if not has_own_lines(source, site.stmt):
            raise LayoutError("the statement shares its line with others")
        last = site.stmt.end_lineno or site.stmt.lineno
        popping = _PopBackref(_expression(conversions[0].name_text))
        return transform_lines(source, site.stmt.lineno, last, popping)
    block = next(
        (
            stmt
            for stmt in (site.stmt, *(scope.node for scope in site.scope.chain()))
            if not isinstance(stmt, ast.Module) and has_own_lines(source, stmt)
        ),
        None,
    )
    if block is None:
        raise LayoutError("the statement shares its line with others")
    calls = sorted(
        (node for node in ast.walk(block) if isinstance(node, ast.Call) and _has_backref(node)),
        key=lambda node: (node.lineno, node.col_offset, -(node.end_lineno or 0), -(node.end_col_offset or 0)),
    )
    names = {
        calls.index(one.site.node): _expression(one.name_text)
        for one in conversions
        if isinstance(one.site.node, ast.Call)
    }
    return transform_lines(
        source, first_line(block), block.end_lineno or block.lineno, _ReplaceBackref(names)
    )


def _expression(text: str) -> cst.BaseExpression:
    try:
        return cst.parse_expression(f"({text})" if "\n" in text or "\r" in text else text)
    except cst.ParserSyntaxError as error:
        raise LayoutError(f"the name {text} cannot be parsed alone") from error


def first_line(stmt: ast.stmt) -> int:
    """The first line of a statement, its decorators included."""
    decorators: list[ast.expr] = getattr(stmt, "decorator_list", [])
    return min([stmt.lineno, *(decorator.lineno for decorator in decorators)])


def has_own_lines(source: Source, stmt: ast.stmt) -> bool:
    """Whether nothing but white space and a comment stands beside a statement on its lines."""
    start, end = source.span(stmt)
    if first_line(stmt) != stmt.lineno:
        return True
    line = source.line_of(start)
    before = source.text[source.line_starts[line - 1] : start]
    after = source.text[end : source.line_end(source.line_of(max(start, end - 1)))].strip()
    return not before.strip() and (not after or after.startswith("#"))
