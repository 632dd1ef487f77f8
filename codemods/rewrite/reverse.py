"""The reverse side: new statements in the body of the target class, in the style of its file."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from backpop.codemods.facts import ClassInfo, Member, first_line, last_name, read_at_once
from backpop.codemods.plan.model import Argument, Reverse
from backpop.codemods.rewrite.hints import RemovedHints
from backpop.codemods.rewrite.statements import TextEdit
from backpop.codemods.source import TAB, Source

_COLUMN_MAKERS = {"Column", "mapped_column", "column_property", "deferred", "synonym", "composite", "Field"}


def reverse_edits(
    made: ClassInfo, reverses: Sequence[Reverse], relationships: Sequence[ast.Call], line_length: int
) -> Iterator[TextEdit]:
    """The edits that add reverses to one class body, in the order to stand in it.

    ``relationships`` are the calls of the class body that make relationships.
    """
    source, node = made.module.source, made.node
    first = node.body[0]
    start, _ = source.span(first)
    line = source.line_of(start)
    inline = bool(source.text[source.line_starts[line - 1] : start].strip())
    if inline:
        indent = source.indent_of(source.line_of(source.span(node)[0])) + source.indent_unit
    else:
        indent = source.indent_of(line)
    removed = RemovedHints(reverses)
    yield from removed.edits()
    lines = [
        render(
            reverse, reverse.opening, "", indent, source, line_length, above=removed.comments(reverse.hint)
        )
        for reverse in reverses
    ]

    placeholder = _placeholder(node)
    if placeholder is not None:
        begin, end = source.span(placeholder)
        lead = ""
        if inline:
            begin = _after_colon(source, begin)
            lead = source.newline + indent
        yield TextEdit(begin, end, lead + source.newline.join(lines)[len(indent) :])
        return
    if inline:
        yield TextEdit(_after_colon(source, start), start, source.newline + indent)
    anchor = _anchor(made, [reverse.name for reverse in reverses], relationships)
    gap = source.newline if anchor is not None and is_spaced(source, node, relationships) else ""
    text = "".join(gap + line + source.newline for line in lines)
    if anchor is not None and _is_string(anchor) and anchor is first and not gap:
        text = source.newline + text  # below the docstring of the class
    if anchor is None:
        top = source.line_starts[first_line(first) - 1]
        yield TextEdit(top, top, text)
        return
    offset = source.line_end(source.line_of(max(source.span(anchor)[1] - 1, 0)))
    if source.text[:offset].endswith(("\n", "\r")):
        yield TextEdit(offset, offset, text)
    else:  # the last line of a file that has no final newline
        yield TextEdit(offset, offset, source.newline + text[: -len(source.newline)])


def _after_colon(source: Source, start: int) -> int:
    """Where the white space before an offset begins."""
    return len(source.text[:start].rstrip(" \t"))


def _placeholder(node: ast.ClassDef) -> ast.stmt | None:
    """The ``pass`` or ``...`` that a class body consists of, beside a docstring."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if len(body) != 1:
        return None
    only = body[0]
    dots = isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant) and only.value.value is ...
    return only if dots or isinstance(only, ast.Pass) else None


def _anchor(made: ClassInfo, names: Sequence[str], relationships: Sequence[ast.Call]) -> ast.stmt | None:
    """The statement to stand after: the last relationship, else the last column, else the opening lines.

    Later, if a later statement of the body still reads what a new attribute would hide.
    """
    body = made.node.body
    members: dict[ast.stmt, Member] = {member.stmt: member for member in made.members}
    chosen: int | None = None
    for index, stmt in enumerate(body):
        if stmt in members and any(members[stmt].value is call for call in relationships):
            chosen = index
    columns = [index for index, stmt in enumerate(body) if stmt in members and _is_column(members[stmt])]
    if chosen is None and columns:
        chosen = columns[-1]
    if chosen is None:
        for index, stmt in enumerate(body):
            dunder = stmt in members and members[stmt].name.startswith("__")
            docstring = index == 0 and ast.get_docstring(made.node, clean=False) is not None
            if not dunder and not docstring:
                break
            chosen = index
    for index, stmt in enumerate(body):
        if (chosen is None or index > chosen) and any(name in names for name in read_at_once(stmt)):
            chosen = index
    if chosen is None:
        return None
    while chosen + 1 < len(body) and _is_string(body[chosen + 1]) and chosen > 0:
        chosen += 1  # the documentation of the attribute
    while chosen + 1 < len(body) and body[chosen + 1].lineno <= (body[chosen].end_lineno or 0):
        chosen += 1  # a statement that begins on the same line
    return body[chosen]


def _is_column(member: Member) -> bool:
    if member.annotation is not None and "Mapped" in ast.unparse(member.annotation):
        return True
    name = last_name(member.value.func) if isinstance(member.value, ast.Call) else ""
    return name in _COLUMN_MAKERS or "column" in name.lower()  # a project's own maker of columns


def _is_string(stmt: ast.stmt) -> bool:
    return (
        isinstance(stmt, ast.Expr)
        and isinstance(stmt.value, ast.Constant)
        and isinstance(stmt.value.value, str)
    )


def is_spaced(source: Source, node: ast.ClassDef, relationships: Sequence[ast.Call]) -> bool:
    """Whether the relationships of a class are separated by blank lines."""
    stmts = [
        stmt for stmt in node.body if any(getattr(stmt, "value", None) is call for call in relationships)
    ]
    pairs = list(itertools.pairwise(stmts))
    return bool(pairs) and all(
        re.search(
            r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)", source.text[source.span(one)[1] : source.span(other)[0]]
        )
        for one, other in pairs
    )


def render(
    reverse: Reverse,
    opening: str,
    closing: str,
    indent: str,
    source: Source,
    line_length: int,
    above: Iterable[str] = (),
) -> str:
    """The lines of one reverse, its call between two texts, comments above, without the last line ending."""
    newline = source.newline
    comments = [indent + comment for comment in (*above, *reverse.comments)]
    arguments = [str(argument) for argument in reverse.arguments]
    line = f"{indent}{opening}{reverse.factory}({', '.join(arguments)}){closing}"
    broken = any(
        one.comment or "\n" in text or "\r" in text
        for one, text in zip(reverse.arguments, arguments, strict=True)
    )
    if not broken and len(line.expandtabs(TAB)) <= line_length:
        return newline.join([*comments, line])
    inner = indent + source.indent_unit
    body = [
        f"{inner}{indented(argument, inner, newline)},{f'  {argument.comment}' if argument.comment else ''}"
        for argument in reverse.arguments
    ]
    return newline.join([*comments, f"{indent}{opening}{reverse.factory}(", *body, f"{indent}){closing}"])


def indented(argument: Argument, inner: str, newline: str) -> str:
    """An argument that spans lines, with its later lines moved along with the first."""
    text = str(argument)
    if argument.column is None or '"""' in text or "'''" in text:
        return text
    first, *rest = re.split(r"\r\n|\n|\r", text)
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    # as far as the value itself moves, but never left of the argument
    column = len(inner) + len(text) - len(argument.text)
    inner += " " * (column - argument.column + margin - len(inner))
    return newline.join([first, *(inner + line[margin:] if line.strip() else "" for line in rest)])
