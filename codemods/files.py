"""The bytes of the files of a project, and what they show without being parsed.

What bytes show is never certain: whoever asks parses the files that are named here, and looks properly.
"""

from __future__ import annotations

import builtins
import re
import unicodedata
from collections.abc import Callable
from functools import cached_property
from itertools import chain

_KEPT = 32 << 20  # bytes; the files of a project with more are read again when something asks for them

_WORD = rb"[\w\x80-\xff]+"
_SPACE = rb"(?:\s|\\)*"
# Each begins with plain characters, which is what makes a search fast. The bases are looked at but not
# taken, so that a "class" and a "(" in a comment hide no class.
_CLASS = re.compile(
    rb"class(?:[ \t]|\\\r?\n)+(" + _WORD + rb")"
    rb"(?=" + _SPACE + rb"(?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]" + _SPACE + rb")?"
    rb"\(([^()]*(?:\([^()]*\)[^()]*)*)\)|)"
)
_TABLE_NAME = re.compile(rb"__tablename__\s*(?::[^=\n]*)?=\s*[\"']([^\"'\n]*)[\"']")
_TABLE = re.compile(rb"Table(?<!\wTable)\(\s*[\"']([^\"'\n]*)[\"']")

_WORDS = re.compile(_WORD)
_UNDOTTED = re.compile(rb"(?<![\w.\x80-\xff])" + _WORD + rb"(?![\w\x80-\xff]*\s*[.=])")
_AS = re.compile(rb"(" + _WORD + rb")[ \t]+as[ \t]+$")
_ASSIGNED = re.compile(rb"[ \t]*(?::[^=\n]*)?=([^=\n][^\n]*)")
_BUILTINS = frozenset(name.encode() for name in dir(builtins))
_MANY = 200  # names of bases in one file

Extract = Callable[[bytes], set[bytes]]
"""What the bytes of one file hold, of one kind."""


def classes(data: bytes) -> set[bytes]:
    """The names of classes, and those of their bases, each of these after a ``(``."""
    found: set[bytes] = set()
    bases: set[bytes] = set()
    plain: set[bytes] = set()
    for name, given in _CLASS.findall(data):
        found.add(name)
        if given:
            bases.update(_WORDS.findall(given))
            plain.update(_UNDOTTED.findall(given))
    plain -= _BUILTINS
    bases |= set(_WORDS.findall(data)) if len(plain) > _MANY else _originals(plain, data)
    found.update(b"(" + name for name in bases)
    return found if data.isascii() else {_normal(name) for name in found}


def tables(data: bytes) -> set[bytes]:
    """The names of tables."""
    return {*_TABLE_NAME.findall(data), *_TABLE.findall(data)}


_KINDS: tuple[Extract, ...] = (classes, tables)


def _originals(names: set[bytes], data: bytes) -> set[bytes]:
    """What a file calls by one of some names: x of ``import x as name``, and of ``name = x``."""
    found: set[bytes] = set()
    for name in names:
        start = data.find(name)
        while start >= 0:
            end = start + len(name)
            if data[start - 3 : start].strip() == b"as" and (
                renamed := _AS.search(data, data.rfind(b"\n", 0, start) + 1, start)
            ):
                found.add(renamed[1])
            elif assigned := _ASSIGNED.match(data, end):
                found.update(_WORDS.findall(assigned[1]))
            start = data.find(name, end)
    return found


def _normal(name: bytes) -> bytes:
    """A name as ``ast`` gives it."""
    return (
        name
        if name.isascii()
        else unicodedata.normalize("NFKC", name.decode(errors="replace")).encode(errors="replace")
    )


Index = dict[bytes, list[str]]
"""Files by a name that they hold."""


class Files:
    """The files of a run. Each is read once, unless there is more than can be kept."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """``read`` gives the bytes of a file, None if it cannot be read any more."""
        self._read = read
        self._kept: dict[str, bytes] = {}
        self._room = _KEPT
        self._others: list[str] = []
        self._indexes: dict[Extract, Index] = {}

    def add(self, path: str, data: bytes) -> None:
        """Take a file that was read."""
        if len(data) <= self._room:
            self._kept[path] = data
            self._room -= len(data)
        else:
            self._others.append(path)

    def data(self, path: str) -> bytes | None:
        """The bytes of a file, None if it cannot be read."""
        found = self._kept.get(path)
        return self._read(path) if found is None else found

    def where(self, wanted: Callable[[bytes], bool]) -> list[str]:
        """The files whose bytes are as wanted, sorted."""
        read_again = ((path, self._read(path) or b"") for path in self._others)
        return sorted(path for path, data in chain(self._kept.items(), read_again) if wanted(data))

    def holding(self, kind: Extract, name: str) -> list[str]:
        """The files that hold a name of some kind."""
        if kind not in self._indexes:
            self._indexes[kind] = {}
            for path, data in self._kept.items():
                _enter(self._indexes[kind], path, kind(data))
        key = name.encode()
        return [*self._indexes[kind].get(key, ()), *self._indexes_of_others[kind].get(key, ())]

    @cached_property
    def _indexes_of_others(self) -> dict[Extract, Index]:
        """All of them at once, so that one more reading is enough."""
        indexes: dict[Extract, Index] = {kind: {} for kind in _KINDS}
        for path in self._others:
            data = self._read(path) or b""
            for kind, index in indexes.items():
                _enter(index, path, kind(data))
        return indexes


def _enter(index: Index, path: str, names: set[bytes]) -> None:
    for name in names:
        index.setdefault(name, []).append(path)
