"""The way back: ``back_populates=`` becomes ``backref=`` on one side, and the other side goes.

What stays is found by its position and left byte for byte: nothing here has to be parsed a second time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from backpop.codemods.facts import ClassInfo, first_line
from backpop.codemods.plan.model import Argument, Collapse
from backpop.codemods.rewrite.forward import has_own_lines
from backpop.codemods.rewrite.reverse import indented, is_spaced
from backpop.codemods.rewrite.statements import LayoutError, TextEdit
from backpop.codemods.source import TAB, Source

_KEYWORD = "back_populates"


def kept_edits(source: Source, conversion: Collapse, line_length: int) -> Iterator[TextEdit]:
    """The edits of the side that stays."""
    call, keyword = conversion.site.node, conversion.site.keyword(_KEYWORD)
    assert isinstance(call, ast.Call)
    assert keyword is not None
    start, _ = source.span(keyword)
    after = start + len(_KEYWORD)
    if not source.text.startswith(_KEYWORD, start):
        raise LayoutError(f"{_KEYWORD} is spelt otherwise")
    if not conversion.options:
        yield TextEdit(start, after, "backref")
        return
    left, right = source.span(keyword.value)
    options = [Argument(None, source.text[left:right]), *conversion.options]
    line = source.line_of(start)
    indent, unit = source.indent_of(line), source.indent_unit
    begin, end = source.line_starts[line - 1], source.line_end(line)
    head, tail = source.text[begin:start] + "backref" + source.text[after:left], source.text[right:end]
    value = _called(conversion.function, options)
    if value is not None and _fits(head + value + tail.rstrip("\r\n"), line_length):
        yield TextEdit(start, after, "backref")
        yield TextEdit(left, right, value)
    elif call.lineno == call.end_lineno:
        yield TextEdit(*source.span(call), _reflowed(source, conversion, call, options, line_length))
    else:
        yield TextEdit(start, after, "backref")
        yield TextEdit(left, right, _broken(conversion.function, options, indent, unit, source.newline))


def _fits(line: str, line_length: int) -> bool:
    return len(line.expandtabs(TAB)) <= line_length


def _called(function: str, options: Sequence[Argument]) -> str | None:
    """A call on one line; None where an argument spans lines."""
    text = f"{function}({', '.join(map(str, options))})"
    return None if "\n" in text or "\r" in text else text


def _broken(function: str, options: Sequence[Argument], indent: str, unit: str, newline: str) -> str:
    inner = indent + unit
    lines = [f"{inner}{indented(option, inner, newline)}," for option in options]
    return newline.join([f"{function}(", *lines, f"{indent})"])


def _reflowed(
    source: Source, conversion: Collapse, call: ast.Call, options: Sequence[Argument], line_length: int
) -> str:
    """A call that stood on one line, with one argument on each."""
    indent = source.indent_of(call.lineno)
    inner = indent + source.indent_unit
    lines: list[str] = []
    arguments: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    for argument in arguments:
        if argument is not conversion.site.keyword(_KEYWORD):
            lines.append(f"{inner}{source.segment(argument)},")
            continue
        value = _called(conversion.function, options)
        if value is None or not _fits(f"{inner}backref={value},", line_length):
            value = _broken(conversion.function, options, inner, source.indent_unit, source.newline)
        lines.append(f"{inner}backref={value},")
    return source.newline.join([f"{source.segment(call.func)}(", *lines, f"{indent})"])


# -- the side that goes


def removal_edits(
    made: ClassInfo, removed: Collection[ast.stmt], relationships: Collection[ast.Call]
) -> Iterator[TextEdit]:
    """The edits that take statements out of one class body: the exact inverse of adding them.

    ``relationships`` are the calls of the class body that make relationships. Raises :class:`LayoutError`
    where a statement does not have its lines to itself.
    """
    source, body = made.module.source, made.node.body
    rest = [stmt for stmt in body if stmt not in removed]
    if not rest:
        yield _emptied(made)
        return
    stay = [call for call in relationships if any(getattr(stmt, "value", None) is call for stmt in rest)]
    spaced = is_spaced(source, made.node, stay)
    for group in _groups(source, body, removed):
        first, last = first_line(group[0]), group[-1].end_lineno or group[-1].lineno
        start, end = source.line_starts[first - 1], source.line_end(last)
        index = body.index(group[0])
        follows = index > 0 and any(getattr(body[index - 1], "value", None) is call for call in stay)
        if _is_blank(source, first - 1) and (_is_blank(source, last + 1) or (spaced and follows)):
            start = source.line_starts[first - 2]
        if not source.text[start:end].endswith(("\n", "\r")):  # the end of a file without a final newline
            start = len(re.sub(r"(?:\r\n|\n|\r)\Z", "", source.text[:start]))
        yield TextEdit(start, end, "")


def _groups(source: Source, body: list[ast.stmt], removed: Collection[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The removed statements, those on lines next to each other together."""
    group: list[ast.stmt] = []
    for stmt in body:
        if stmt not in removed:
            continue
        if not has_own_lines(source, stmt):
            raise LayoutError(f"line {stmt.lineno} holds more than one statement")
        if group and (group[-1].end_lineno or 0) + 1 != first_line(stmt):
            yield group
            group = []
        group.append(stmt)
    yield group


def _is_blank(source: Source, line: int) -> bool:
    """Whether a line is blank; what is after the end of the file is, what is before its start is not."""
    return line > len(source.line_starts) or (line > 0 and not source.line_text(line).strip())


def _emptied(made: ClassInfo) -> TextEdit:
    """``pass`` in the place of a whole class body; beside the colon, where the file writes it so."""
    source, body = made.module.source, made.node.body
    start, end = source.span(body[0])[0], source.span(body[-1])[1]
    if "#" in source.text[start:end]:
        raise LayoutError("a comment stands between the statements of the class body")
    if made.node.lineno < body[0].lineno and _writes_beside_colon(made):
        return TextEdit(len(source.text[:start].rstrip()), end, " pass")
    return TextEdit(start, end, "pass")


def _writes_beside_colon(made: ClassInfo) -> bool:
    """Whether the other empty classes of a file are written on one line."""
    others = [
        other.node
        for other in made.module.classes
        if len(other.node.body) == 1 and isinstance(other.node.body[0], ast.Pass)
    ]
    return bool(others) and all(other.body[0].lineno == other.lineno for other in others)
