"""Bytes to text and back, with positions: one Python file as its author wrote it."""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

TAB = 4  # columns, for the line length alone
_NEWLINE = re.compile(r"\r\n|\r|\n")
# Comments, texts of several lines, and then other literals: pieces that follow on each other are one. Each
# begins with a plain character, which is what makes a search fast.
_LITERAL = re.compile(
    r"""
    \#[^\r\n]*
    | ["]{3}(?:[^"\\]++|\\.|"(?!""))*+["]{3}
    | [']{3}(?:[^'\\]++|\\.|'(?!''))*+[']{3}
    | (?:"(?:[^"\\\r\n]|\\.)*+" | '(?:[^'\\\r\n]|\\.)*+')
      (?:\s*+[a-zA-Z]{0,2}(?:"(?:[^"\\\r\n]|\\.)*+" | '(?:[^'\\\r\n]|\\.)*+'))*+
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_QUOTE = re.compile(r"\#|\"{3}|'{3}")
_OF_BYTES = re.compile(r"\b(?:[bB][rR]?|[rR][bB])$")


class UnreadableError(Exception):
    """A file whose bytes are no Python text; the message says why, for a person."""


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """The text of one file, without its byte order mark, line endings as they are.

    All positions in backpop are offsets into ``text``; :meth:`span` turns those of ``ast`` into them.
    """

    path: str
    data: bytes
    text: str
    encoding: str

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of each line; Python counts LF, CR LF and lone CR as line ends."""
        if "\r" not in self.text:
            return [0, *accumulate(len(line) + 1 for line in self.text.split("\n")[:-1])]
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    @cached_property
    def newline(self) -> str:
        """The line ending that the file uses most, LF where it has none."""
        if "\r" not in self.text:
            return "\n"
        found = Counter(_NEWLINE.findall(self.text)).most_common(1)
        return found[0][0] if found else "\n"

    @cached_property
    def _ascii(self) -> bool:
        return self.text.isascii()

    def offset(self, line: int, column: int) -> int:
        """Offset of an ``ast`` position: a line counted from 1, a column in UTF-8 bytes."""
        start = self.line_starts[line - 1]
        if self._ascii:
            return start + column
        text = self.text[start : self.line_end(line)]
        return start + len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "surrogatepass"))

    def span(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> tuple[int, int]:
        """Start and end offset of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno, node.end_col_offset),
        )

    def segment(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, offset: int) -> int:
        """The line, counted from 1, that holds an offset."""
        return bisect_right(self.line_starts, offset)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1, the column in characters."""
        line = self.line_of(offset)
        return line, offset - self.line_starts[line - 1] + 1

    def lines_with(self, words: Iterable[str]) -> list[int]:
        """The lines, counted from 1 and sorted, that hold one of some words."""
        lines: set[int] = set()
        for word in words:  # one by one: alternatives in a pattern are much slower
            start = self.text.find(word)
            while start >= 0:
                line = self.line_of(start)
                lines.add(line)
                start = self.text.find(word, self.line_end(line))
        return sorted(lines)

    def line_end(self, line: int) -> int:
        """Offset just after the line's own line ending (or the end of the text)."""
        return self.line_starts[line] if line < len(self.line_starts) else len(self.text)

    def line_text(self, line: int) -> str:
        """One line, counted from 1, without its line ending."""
        return self.text[self.line_starts[line - 1] : self.line_end(line)].rstrip("\r\n")

    def indent_of(self, line: int) -> str:
        """The white space that a line begins with."""
        text = self.line_text(line)
        return text[: len(text) - len(text.lstrip(" \t\f"))]

    def quote(self, *nodes: ast.AST) -> str:
        """The quote that most string literals within the first of some nodes have that has any literals."""
        for node in nodes:
            if node not in self._quotes:
                self._quotes[node] = self._count_quotes(node)
            singles, doubles = self._quotes[node]
            if singles or doubles:
                return "'" if singles > doubles else '"'
        return '"'

    @cached_property
    def _quotes(self) -> dict[ast.AST, tuple[int, int]]:
        """The quotes of the literals within nodes that were asked for."""
        return {}

    def _count_quotes(self, node: ast.AST) -> tuple[int, int]:
        """How many literals within a node have single quotes, and how many double ones.

        Those of several lines, and bytes, say nothing of what their author likes.
        """
        start, end = self.span(node) if isinstance(node, ast.stmt | ast.expr) else (0, len(self.text))
        for decorator in getattr(node, "decorator_list", ()):
            start = min(start, self.span(decorator)[0])
        found = Counter(
            self.text[match.start()]
            for match in _LITERAL.finditer(self.text, start, end)
            if not _NO_QUOTE.match(self.text, match.start())
            and not _OF_BYTES.search(self.text, max(match.start() - 3, start), match.start())
        )
        return found["'"], found['"']

    @cached_property
    def indent_unit(self) -> str:
        """One step of indentation, as the first indented block of the file has it; four spaces if none."""
        match = re.search(
            r"^[^\n#]*:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*\r?\n)*([ \t]+)\S", self.text, re.MULTILINE
        )
        return match[1] if match and (set(match[1]) == {"\t"} or len(match[1]) <= 8) else "    "

    @cached_property
    def line_length(self) -> int:
        """The columns that the author keeps to: 79 (PEP 8) if several lines come close to it, else 88."""
        close = 0
        for line in _NEWLINE.split(self.text):
            columns = len(line.expandtabs(TAB))
            if columns > 79:
                return 88
            close += columns > 72
        return 79 if close >= 3 else 88

    def encode(self, text: str) -> bytes:
        """The bytes of a piece of text in the file's encoding. Raises ``UnicodeEncodeError``."""
        return text.encode(self.encoding)

    def decode(self, data: bytes) -> str:
        """The text of a piece of the file's bytes, without a byte order mark."""
        return data.decode(self.encoding)

    def byte_offset(self, offset: int) -> int:
        """Where an offset of the text lies in the bytes of the file."""
        mark = len(codecs.BOM_UTF8) if self.data.startswith(codecs.BOM_UTF8) else 0
        return mark + (offset if self._ascii else len(self.encode(self.text[:offset])))

    def text_offset(self, offset: int) -> int:
        """Where an offset of the file's bytes, between two characters, lies in the text."""
        mark = len(codecs.BOM_UTF8) if self.data.startswith(codecs.BOM_UTF8) else 0
        return offset - mark if self._ascii else len(self.decode(self.data[mark:offset]))


def decode(path: str, data: bytes) -> Source:
    """Decode a file as Python would (PEP 263).

    Raises :class:`UnreadableError` for an unknown or lying encoding, and for one whose text does not give
    the same bytes back, so that splicing could not leave the rest of the file untouched.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        if encoding == "utf-8-sig":
            encoding = "utf-8"
        elif encoding != "utf-8" and text.encode(encoding) != data:
            raise UnreadableError(f"its encoding {encoding} does not give the same bytes back")
    except (SyntaxError, LookupError, UnicodeError) as error:
        raise UnreadableError(f"cannot be decoded: {error}") from error
    return Source(path=path, data=data, text=text, encoding=encoding)
