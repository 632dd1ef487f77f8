"""Files to a :class:`~backpop.codemods.link.Project`: every file read once, and few of them parsed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backpop.codemods.facts import Module
from backpop.codemods.files import Files
from backpop.codemods.layout import Layout, Tree
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Report
from backpop.codemods.read import BACKREFS, Search, SyntaxUnknownError, read_module
from backpop.codemods.source import UnreadableError, decode
from backpop.codemods.survey import MANY, Track, read, survey


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
    jobs: int = 1,
) -> Scan:
    """Read every file. ``root`` is the folder from which module names are counted.

    The bytes of the files in ``given`` are those, whatever is on the disk. What takes long goes through
    ``track``. ``factories`` are dotted names of functions that make relationships. With more than one of
    ``jobs``, as many processes read what there is of files beyond some thousands.
    """
    instead = given or {}
    mentions: list[str] = []
    problems: list[Report] = []

    def take(path: str, problems: list[Report]) -> bytes | None:
        return instead[path] if path in instead else read(path, problems)

    found = Files(lambda path: take(path, []))
    alone = jobs == 1 or len(files) < 2 * MANY
    near = [path for number, path in enumerate(files) if alone or number < MANY or path in instead]
    for path in track(near, "Reading files"):
        data = take(path, problems)
        if data is None:
            continue
        found.add(path, data)
        if search.mentioned(data):
            mentions.append(path)
    far = [] if alone else [path for path in files[MANY:] if path not in instead]
    for part in survey(far, search.signs, jobs, track) if far else ():
        found.add_surveyed(part.read, part.held)
        mentions += part.signed
        problems += part.problems
    mentions.sort()

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


def module_root(files: Sequence[str], git_root: str | None) -> str:
    """The folder from which module names are counted: above every package that the files belong to."""
    if git_root is not None and all(path.startswith(git_root + os.sep) for path in files):
        return git_root
    root = os.path.commonpath([os.path.dirname(path) for path in files]) if files else os.sep
    while os.path.exists(os.path.join(root, "__init__.py")) and os.path.dirname(root) != root:
        root = os.path.dirname(root)
    return root
