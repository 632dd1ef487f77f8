"""The bytes of the files of a project, and what they show without being parsed.

What bytes show is never certain: whoever asks parses the files that are named here, and looks properly.
"""

from __future__ import annotations

import builtins
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain

_KEPT = 20 << 20  # bytes; the files of a project with more are read again when something asks for them

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
_IMPORTED_FROM = re.compile(rb"from(?:\s|\\)+([\w\x80-\xff.]+)(?:\s|\\)+import\b")
_LAST_WORD = re.compile(_WORD + rb"$")
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


@cache
def sources_of(name: str) -> Extract:
    """The last names of the modules that a file may take a name from, by an import or as an attribute.

    A ``.`` stands for the package around the file.
    """
    word = name.encode()
    attribute = re.compile(rb"\.%s\b" % re.escape(word))

    def sources(data: bytes) -> set[bytes]:
        if word not in data and b"import *" not in data:
            return set()
        found = {module.rpartition(b".")[2] or b"." for module in _IMPORTED_FROM.findall(data)}
        before = (
            _LAST_WORD.search(data, max(0, one.start() - 200), one.start())
            for one in attribute.finditer(data)
        )
        owners = {owner[0] for owner in before if owner}
        return found | owners | _originals(owners, data)

    return sources


# What most runs ask for: names of classes, of tables, and who imports what a conversion no longer needs.
KINDS: tuple[Extract, ...] = (classes, tables, sources_of("backref"))


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
        self._held: dict[Extract, Index] = {}
        self._surveyed: list[str] = []
        self._of_surveyed: dict[Extract, Index] = {kind: {} for kind in KINDS}

    def add(self, path: str, data: bytes) -> None:
        """Take a file that was read."""
        self._room -= len(data)
        if self._room >= 0:
            self._kept[path] = data
        else:
            self._others.append(path)
            self._let_go()

    def add_surveyed(self, paths: Sequence[str], held: Sequence[Index]) -> None:
        """Take files that another process has read, and what they hold of each of the ``KINDS``."""
        self._surveyed += paths
        for index, part in zip(self._of_surveyed.values(), held, strict=True):
            for name, holders in part.items():
                index[name] = index[name] + holders if name in index else holders
        self._let_go()

    def _let_go(self) -> None:
        """Keep nothing: where most is read again, a part in memory saves little."""
        self._others += self._kept
        self._kept.clear()
        self._room = 0

    def data(self, path: str) -> bytes | None:
        """The bytes of a file, None if it cannot be read."""
        found = self._kept.get(path)
        return self._read(path) if found is None else found

    def where(self, wanted: Callable[[bytes], bool]) -> list[str]:
        """The files whose bytes are as wanted, sorted."""
        everything = chain(self._kept.items(), self._again(self._others), self._again(self._surveyed))
        return sorted(path for path, data in everything if wanted(data))

    def holding(self, kind: Extract, name: str) -> list[str]:
        """The files that hold a name of some kind, sorted."""
        if kind not in self._held:
            usual = kind in KINDS
            # one more reading of what is not kept does for all of the usual kinds
            kinds = [one for one in KINDS if one not in self._held] if usual and self._others else [kind]
            again = self._others if usual else [*self._others, *self._surveyed]
            self._held |= indexes(kinds, chain(self._kept.items(), self._again(again)))
        key = name.encode()
        return sorted((*self._held[kind].get(key, ()), *self._of_surveyed.get(kind, {}).get(key, ())))

    def _again(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        return ((path, self._read(path) or b"") for path in paths)


def indexes(kinds: Iterable[Extract], files: Iterable[tuple[str, bytes]]) -> dict[Extract, Index]:
    """What files hold of each kind."""
    found: dict[Extract, Index] = {kind: {} for kind in kinds}
    for path, data in files:
        for kind, index in found.items():
            for name in kind(data):
                if name in index:
                    index[name].append(path)
                else:
                    index[name] = [path]  # smaller than what setdefault([]).append() leaves
    return found
