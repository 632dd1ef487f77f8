"""Files to a :class:`~backpop.codemods.link.Project`: every file read once, and few of them parsed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from backpop.codemods.facts import Module
from backpop.codemods.link import Layout, Project
from backpop.codemods.plan.model import Report
from backpop.codemods.read import BACKREFS, Search, SyntaxUnknownError, read_module
from backpop.codemods.source import UnreadableError, decode

# A file with one of these may define models, and its bytes are kept until something asks for them.
_MAY_DEFINE_MODELS = (
    b"sqlalchemy",
    b"__tablename__",
    b"Column",
    b"relationship",
    b"db.Model",
    b"sqlmodel",
    b"Base)",
)


@dataclass
class Scan:
    """What reading found: the project, the files that mention what is looked for, and those unreadable."""

    project: Project
    mentions: list[str]
    problems: list[Report] = field(default_factory=list)

    def modules(self) -> list[Module]:
        """The modules that mention what is looked for, by path."""
        found = (self.project.module(path) for path in self.mentions)
        return [module for module in found if module is not None]


def scan(files: Sequence[str], root: str, search: Search = BACKREFS) -> Scan:
    """Read every file. ``root`` is the folder from which module names are counted."""
    data: dict[str, bytes] = {}
    mentions: list[str] = []
    problems: list[Report] = []
    for path in files:
        content = _read(path, problems)
        if content is None:
            continue
        if search.mentioned(content):
            mentions.append(path)
            data[path] = content
        elif b"class " in content and any(mark in content for mark in _MAY_DEFINE_MODELS):
            data[path] = content

    def load(place: Layout) -> Module | None:
        content = data.get(place.path)
        if content is None:
            content = _read(place.path, problems)
        if content is None:
            return None
        try:
            return read_module(decode(place.path, content), place.package, place.name, search)
        except UnreadableError as error:
            problems.append(Report(place.path, 1, 1, "BP001", str(error)))
        except SyntaxUnknownError as error:
            problems.append(Report(place.path, 1, 1, "BP002", str(error)))
        return None

    def others() -> Iterator[tuple[str, bytes]]:
        return ((path, _read(path, []) or b"") for path in files if path not in data)

    return Scan(Project(files, root, data, load, others), mentions, problems)


def _read(path: str, problems: list[Report]) -> bytes | None:
    try:
        with open(path, "rb") as file:
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
