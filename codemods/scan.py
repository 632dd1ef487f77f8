"""Files to a :class:`~backpop.codemods.link.Project`: every file read once, and few of them parsed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backpop.codemods.facts import Module
from backpop.codemods.files import Files
from backpop.codemods.layout import Layout, Tree
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Report
from backpop.codemods.read import BACKREFS, Search, SyntaxUnknownError, read_module
from backpop.codemods.source import UnreadableError, decode

Track = Callable[[Sequence[str], str], Iterable[str]]
"""Passes some files on, one by one, and may tell somebody how far that is; the text says what is done."""


def untracked(files: Sequence[str], _what: str) -> Iterable[str]:
    """Pass files on, and tell nobody."""
    return files


@dataclass
class Scan:
    """What reading found: the project, the files that mention what is looked for, and those unreadable."""

    project: Project
    mentions: list[str]
    problems: list[Report] = field(default_factory=list)
    track: Track = untracked

    def modules(self) -> list[Module]:
        """The modules that mention what is looked for, by path."""
        found = (self.project.module(path) for path in self.track(self.mentions, "Parsing models"))
        return [module for module in found if module is not None]


def scan(
    files: Sequence[str],
    root: str,
    search: Search = BACKREFS,
    *,
    given: Mapping[str, bytes] | None = None,
    track: Track = untracked,
    factories: Sequence[str] = (),
) -> Scan:
    """Read every file. ``root`` is the folder from which module names are counted.

    The bytes of the files in ``given`` are those, whatever is on the disk. What takes long goes through
    ``track``. ``factories`` are dotted names of functions that make relationships.
    """
    instead = given or {}
    mentions: list[str] = []
    problems: list[Report] = []

    def read(path: str, problems: list[Report]) -> bytes | None:
        return instead[path] if path in instead else _read(path, problems)

    found = Files(lambda path: read(path, []))
    for path in track(files, "Reading files"):
        data = read(path, problems)
        if data is None:
            continue
        found.add(path, data)
        if search.mentioned(data):
            mentions.append(path)

    def load(place: Layout) -> Module | None:
        data = found.data(place.path)
        if data is None:
            return None
        try:
            return read_module(decode(place.path, data), place.package, place.name, search)
        except UnreadableError as error:
            problems.append(Report(place.path, 1, 1, "BP001", str(error)))
        except SyntaxUnknownError as error:
            problems.append(Report(place.path, 1, 1, "BP002", str(error)))
        return None

    return Scan(Project(Tree(files, root), found, load, factories), mentions, problems, track)


def _read(path: str, problems: list[Report]) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        problems.append(Report(path, 1, 1, "BP001", error.strerror or str(error)))
        return None


def module_root(files: Sequence[str], git_root: str | None) -> str:
    """The folder from which module names are counted: above every package that the files belong to."""
    if git_root is not None and all(path.startswith(git_root + os.sep) for path in files):
        return git_root
    root = os.path.commonpath([os.path.dirname(path) for path in files]) if files else os.sep
    while os.path.exists(os.path.join(root, "__init__.py")) and os.path.dirname(root) != root:
        root = os.path.dirname(root)
    return root
