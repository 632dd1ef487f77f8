"""Reverses outside of class bodies: statements after the source, and entries in ``properties``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence

from backpop.codemods.facts import first_line, properties_of
from backpop.codemods.plan.model import Form, Reverse
from backpop.codemods.plan.move import quoted
from backpop.codemods.rewrite.forward import has_own_lines
from backpop.codemods.rewrite.reverse import render
from backpop.codemods.rewrite.statements import LayoutError, TextEdit
from backpop.codemods.source import TAB, Source

Span = tuple[int, int]
Text = Callable[[str], str]  # what is written, by the indentation of its line


def statement_edits(source: Source, reverses: Sequence[Reverse], line_length: int) -> Iterator[TextEdit]:
    """The edit that puts statements after the one that the spot of all these reverses names.

    Raises :class:`LayoutError` where that does not have its lines to itself.
    """
    stmt = reverses[0].spot.node
    assert isinstance(stmt, ast.stmt)
    if not has_own_lines(source, stmt):
        raise LayoutError(f"line {stmt.lineno} holds more than one statement")
    indent = source.indent_of(first_line(stmt))
    newline = source.newline
    lines = [_statement(source, reverse, indent, line_length) for reverse in reverses]
    text = newline.join(lines) + newline
    if isinstance(stmt, ast.ClassDef):
        text = newline * _blank_lines(source, stmt) + text
    offset = source.line_end(stmt.end_lineno or stmt.lineno)
    if not source.text[:offset].endswith(("\n", "\r")):
        text = newline + text[: -len(newline)]
    yield TextEdit(offset, offset, text)


def _statement(source: Source, reverse: Reverse, indent: str, line_length: int) -> str:
    name, owner = reverse.name, reverse.spot.owner
    if reverse.spot.form is Form.ASSIGNED:
        return render(reverse, f"{owner}.{name} = ", "", indent, source, line_length)
    name = quoted(name, source.quote(reverse.spot.node, reverse.spot.module.tree))
    return render(reverse, f"{owner}.add_property({name}, ", ")", indent, source, line_length)


def _blank_lines(source: Source, stmt: ast.ClassDef) -> int:
    """How many blank lines the file has after a class, or before one at its end: two at most."""
    last = stmt.end_lineno or stmt.lineno
    if source.text[source.line_end(last) :].strip():
        lines = range(last + 1, min(last + 3, len(source.line_starts) + 1))
    else:
        lines = range(first_line(stmt) - 1, max(first_line(stmt) - 3, 0), -1)
    found = [line for line in lines if not source.line_text(line).strip()]
    return len(found) or (1 if source.indent_of(stmt.lineno) else 2)


# -- entries


def entry_edits(source: Source, reverses: Sequence[Reverse], line_length: int) -> Iterator[TextEdit]:
    """The edits that put reverses into the properties of the call that the spot of all of them names."""
    call = reverses[0].spot.node
    assert isinstance(call, ast.Call)
    quote = source.quote(call, reverses[0].spot.module.tree)

    def entry(reverse: Reverse) -> Text:
        key = f"{reverse.name}=" if isinstance(properties, ast.Call) else f"{quoted(reverse.name, quote)}: "
        return lambda indent: render(reverse, key, "", indent, source, line_length)[len(indent) :]

    def literal(indent: str) -> str:
        """``properties={...}``, on one line if it fits."""
        left, right = ("dict(", ")") if isinstance(properties, ast.Call) else ("{", "}")
        inner = indent + source.indent_unit
        whole = f"properties={left}{', '.join(entry(reverse)('') for reverse in reverses)}{right}"
        if _fits(f"{indent}{whole},", line_length):
            return whole
        lines = [f"{inner}{entry(reverse)(inner)}," for reverse in reverses]
        return source.newline.join([f"properties={left}", *lines, f"{indent}{right}"])

    properties = properties_of(call)
    arguments = sorted([*map(source.span, call.args), *map(source.span, call.keywords)])
    outer = _Brackets(source, source.span(call), arguments, line_length)
    if properties is None:
        yield from outer.inserted([literal], broken=not outer.takes([literal]))
        return
    items = list(_items(source, properties))
    start, end = source.span(properties)
    if not items:  # {}, dict() or None
        broken = not outer.takes([literal]) and outer.is_on_one_line
        if broken:
            yield from outer.broken()
        indent = outer.indent if broken else source.indent_of(source.line_of(start))
        yield TextEdit(start, end, literal(indent).removeprefix("properties="))
        return
    inner = _Brackets(source, (start, end), items, line_length)
    texts = [entry(reverse) for reverse in reverses]
    broken = not inner.takes(texts)
    around = None
    if broken and outer.is_on_one_line:
        yield from outer.broken()
        around = outer.indent
    yield from inner.inserted(texts, broken=broken, around=around)


def _items(source: Source, properties: ast.expr) -> Iterator[Span]:
    if isinstance(properties, ast.Dict):
        for key, value in zip(properties.keys, properties.values, strict=True):
            assert key is not None
            yield source.span(key)[0], source.span(value)[1]
    elif isinstance(properties, ast.Call):
        yield from (source.span(keyword) for keyword in properties.keywords)


def _fits(line: str, line_length: int) -> bool:
    return len(line.splitlines()) == 1 and len(line.expandtabs(TAB)) <= line_length


class _Brackets:
    """The items between two brackets, and how another one joins them in the way that they are written."""

    def __init__(self, source: Source, whole: Span, items: Sequence[Span], line_length: int) -> None:
        self.source = source
        self.closing = closing = whole[1] - 1
        self.items = items
        self.line_length = line_length
        self.line = source.line_of(closing)
        self.has_own_line = not source.text[source.line_starts[self.line - 1] : closing].strip()
        self.is_on_one_line = source.line_of(whole[0]) == self.line

    @property
    def indent(self) -> str:
        """The indentation of the items, were each on a line of its own."""
        first = self.source.line_of(self.items[0][0])
        start = self.source.line_starts[first - 1]
        if not self.source.text[start : self.items[0][0]].strip():
            return self.source.indent_of(first)
        return self.source.indent_of(self.line) + self.source.indent_unit

    def takes(self, texts: Sequence[Text]) -> bool:
        """Whether items that are on one line stay on it with some more."""
        if self.has_own_line or not self.is_on_one_line:
            return True
        added = "".join(f", {text('')}" for text in texts)
        return _fits(self.source.line_text(self.line) + added, self.line_length)

    def inserted(
        self,
        texts: Sequence[Text],
        *,
        broken: bool = False,
        around: str | None = None,
    ) -> Iterator[TextEdit]:
        """The edits that add items at the end; ``broken`` puts all on lines of their own."""
        source, newline = self.source, self.source.newline
        end, comma = self._end()
        if self.has_own_line:
            if not comma:
                yield TextEdit(end, end, ",")
            start = source.line_starts[self.line - 1]
            indent = self.indent
            yield TextEdit(start, start, "".join(f"{indent}{text(indent)},{newline}" for text in texts))
        elif broken:
            indent = around + source.indent_unit if around is not None else self.indent
            yield from self.broken(indent, [text(indent) for text in texts])
        else:
            last = source.line_of(self.items[-1][0])
            alone = not source.text[source.line_starts[last - 1] : self.items[-1][0]].strip()
            indent = source.indent_of(last)
            between = newline + indent if alone and not self.is_on_one_line else " "
            added = ",".join(between + text(indent) for text in texts)
            yield TextEdit(end, end, f"{added}," if comma else f",{added}")

    def broken(self, indent: str | None = None, added: Sequence[str] = ()) -> Iterator[TextEdit]:
        """The edits that put each item on a line of its own, with some more after them."""
        source, newline = self.source, self.source.newline
        inner = self.indent if indent is None else indent
        outer = inner[: len(inner) - len(source.indent_unit)]
        opening = self.items[0][0]
        before = len(source.text[:opening].rstrip())
        if before != opening and source.text[before:opening].strip(" \t"):
            raise LayoutError(f"line {self.line} cannot be broken")
        yield TextEdit(before, opening, newline + inner)
        for (_, left), (right, _) in zip(self.items, self.items[1:], strict=False):
            if not re.fullmatch(r"\)*[ \t]*,[ \t]*\(*", source.text[left:right]):
                raise LayoutError(f"line {self.line} cannot be broken")
            comma = source.text.index(",", left) + 1
            space = re.compile(r"[ \t]*").match(source.text, comma)
            assert space is not None
            yield TextEdit(comma, space.end(), newline + inner)
        end, comma_there = self._end()
        lines = "".join(f"{newline}{inner}{text}," for text in added)
        yield TextEdit(end, self.closing, ("" if comma_there else ",") + lines + newline + outer)

    def _end(self) -> tuple[int, bool]:
        """Where the last item ends, with the brackets around it and its comma; whether it has a comma."""
        match = re.compile(r"(?:\s*\))*").match(self.source.text, self.items[-1][1], self.closing)
        end = match.end() if match else self.items[-1][1]
        after = re.compile(r"\s*,").match(self.source.text, end, self.closing)
        return (after.end(), True) if after else (end, False)
