"""The conversion of a set of files from end to end, up to the edits. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from backpop.codemods.discover import discover, git_root
from backpop.codemods.edits import FileChange
from backpop.codemods.facts import Site
from backpop.codemods.plan.model import Collapse, Conversion, Plan, Report
from backpop.codemods.plan.policy import Annotate, FileRule, Placement, Policy
from backpop.codemods.read import BACKREFS, PAIRS, Search
from backpop.codemods.scan import Scan, module_root, scan, untracked
from backpop.codemods.survey import Track

if TYPE_CHECKING:
    from backpop.codemods.facts import Module
    from backpop.codemods.ignore import Ignores
    from backpop.codemods.link import Project


class Settings(NamedTuple):
    """What a run can be told.

    ``line_length`` is in columns; without it each file shows what its author keeps to. ``exclude`` holds
    gitignore patterns, as the rules of ``per_file_ignores`` do, relative to ``folder``; where that is None,
    to each folder that is searched, or to the project's root. The files in ``given``, by absolute path, are
    part of the project with those bytes, whatever is on the disk. Reading goes through ``track``.
    ``jobs`` is how many processes may read where there are very many files.
    ``factories`` are dotted names of functions that make a relationship as SQLAlchemy's own does.
    """

    line_length: int | None = None
    exclude: tuple[str, ...] = ()
    per_file_ignores: tuple[FileRule, ...] = ()
    folder: Path | None = None
    gitignore: bool = True
    factories: tuple[str, ...] = ()
    writing: bool = False  # refuse what could not be written
    annotate: Annotate = Annotate.AUTO
    placement: Placement = Placement.AUTO
    given: Mapping[str, bytes] = MappingProxyType({})
    jobs: int = 1
    track: Track = untracked


@dataclass(frozen=True)
class Outcome:
    """Everything that a run found out: what to change, and what was said of the rest."""

    files: int
    missing: tuple[Path, ...]
    problems: tuple[Report, ...]
    conversions: tuple[Conversion, ...]
    refusals: tuple[Report, ...]
    notes: tuple[Report, ...]
    changes: tuple[FileChange, ...]
    kept: tuple[Report, ...] = ()  # on purpose
    project: Project | None = field(default=None, repr=False, compare=False)
    line_length: int | None = None

    def without(self, refused: Mapping[Site, tuple[str, str]]) -> Outcome:
        """The same run, but with these sites left as they are: each has the code and the detail to report."""
        return self._of([one for one in self.conversions if one.site not in refused], dict(refused))

    def only(self, sites: Collection[Site]) -> Outcome:
        """The same run with nothing but these sites; nothing is said of the others."""
        return self._of([one for one in self.conversions if one.site in sites], {})

    def patch(self, current: Path | None = None) -> bytes:
        """A unified diff that ``git apply`` takes; empty if nothing changes.

        Its paths start at the top of the git work tree; outside of any, at ``current`` (the current folder of
        the process if not given) where that holds all files, else at the deepest folder that does.
        """
        from backpop.codemods.discover import patch_root
        from backpop.codemods.patch import build_patch

        if not self.changes:
            return b""
        root = patch_root([str(change.path) for change in self.changes], current or Path.cwd())
        return build_patch(self.changes, root)

    def write(self) -> None:
        """Change the files: all of them, or none. Raises ``WriteError``."""
        from backpop.codemods.write import write_changes

        write_changes(self.changes)

    def _of(self, conversions: Sequence[Conversion], refused: dict[Site, tuple[str, str]]) -> Outcome:

        changes: tuple[FileChange, ...] = ()
        if conversions and self.project is not None:
            from backpop.codemods.rewrite import rewrite

            rewritten = rewrite(self.project, conversions, self.line_length)
            changes = rewritten.changes
            refused |= {site: ("BP602", detail) for site, detail in rewritten.failures.items()}
        changed = {str(change.path) for change in changes}
        refusals = [Report.at(site, code, detail) for site, (code, detail) in refused.items()]
        left = {(report.path, report.line, report.column) for report in refusals}
        return replace(
            self,
            conversions=tuple(one for one in conversions if one.site not in refused),
            refusals=tuple(sorted((*self.refusals, *refusals))),
            notes=tuple(
                note
                for note in self.notes
                if (note.code != "BP901" or note.path in changed)
                and (note.path, note.line, note.column) not in left
            ),
            changes=changes,
        )


def to_back_populates(paths: Sequence[Path], settings: Settings | None = None) -> Outcome:
    """Plan the conversion of every backref below ``paths``.

    Never raises for what a project may hold: unreadable files are in ``problems``, missing paths in
    ``missing``. Raises ``ValueError`` for a malformed exclude pattern.
    """
    chosen = settings or Settings()

    def plan(project: Project, modules: list[Module]) -> Plan:
        from backpop.codemods.plan.to_back_populates import plan_to_back_populates

        return plan_to_back_populates(project, modules, chosen.annotate, chosen.placement)

    return _run(paths, chosen, BACKREFS, plan)


def to_backref(
    paths: Sequence[Path], settings: Settings | None = None, policy: Policy | None = None
) -> Outcome:
    """Plan the conversion of the pairs below ``paths`` that ``policy`` takes; all else as the other way."""

    def plan(project: Project, modules: list[Module]) -> Plan:
        from backpop.codemods.plan.to_backref import plan_to_backref

        return plan_to_backref(project, modules, policy or Policy())

    return _run(paths, settings or Settings(), PAIRS, plan)


def _run(
    paths: Sequence[Path],
    settings: Settings,
    search: Search,
    planner: Callable[[Project, list[Module]], Plan],
) -> Outcome:
    from backpop.codemods.plan.uses import early_uses

    found = read(paths, settings, search)
    if found.scanned is None:
        return Outcome(found.files, found.missing, found.problems, (), (), (), ())
    project, modules = found.scanned.project, found.scanned.modules()
    ignores = ignores_of(project, settings)
    plan = ignores.sort_out(planner(project, modules))
    collapses = [one for one in plan.conversions if isinstance(one, Collapse)]
    notes = (*plan.notes, *early_uses(project, collapses), *ignores.mistakes(modules))
    locked = _locked(plan.conversions) if settings.writing else {}
    planned = Outcome(
        found.files,
        found.missing,
        found.problems,
        plan.conversions,
        plan.refusals,
        tuple(sorted(notes)),
        (),
        plan.kept,
        project,
        settings.line_length,
    )
    return planned.without({site: ("BP601", detail) for site, detail in locked.items()})


def ignores_of(project: Project, settings: Settings) -> Ignores:
    """What is kept on purpose in a project. Raises ``ValueError`` for a malformed pattern."""
    from backpop.codemods.ignore import Ignores

    folder = project.tree.root if settings.folder is None else os.path.realpath(settings.folder)
    return Ignores(project, settings.per_file_ignores, folder)


class Reading(NamedTuple):
    """The files that were found, and what reading them gave; nothing is parsed if none mentions anything."""

    files: int
    missing: tuple[Path, ...]
    unlisted: tuple[Report, ...]
    scanned: Scan | None
    unread: list[Report]

    @property
    def problems(self) -> tuple[Report, ...]:
        """What could not be read or parsed so far: more may come up when other files are asked for."""
        return (*self.unlisted, *sorted(self.unread))


def read(paths: Sequence[Path], settings: Settings, search: Search) -> Reading:
    """Find and read the files below ``paths``. Raises ``ValueError`` for a malformed exclude pattern."""
    found = discover(
        paths, exclude=settings.exclude, exclude_from=settings.folder, gitignore=settings.gitignore
    )
    unlisted = tuple(
        Report(
            str(path),
            1,
            1,
            "BP001",
            "the folder cannot be listed" if path.is_dir() else "it is neither a file nor a folder",
        )
        for path in found.unreadable
    )
    files = sorted({*found.files, *settings.given})
    root = git_root(Path(files[0]).parent) if files else None
    scanned = scan(
        files,
        module_root(files, str(root) if root else None),
        search,
        given=settings.given,
        track=settings.track,
        factories=settings.factories,
        jobs=settings.jobs,
    )
    mentioned = scanned if scanned.mentions else None
    return Reading(len(files), found.missing, unlisted, mentioned, scanned.problems)


def _locked(conversions: Sequence[Conversion]) -> dict[Site, str]:
    """The sites of which a file, the forward's or the reverse's, cannot be replaced, and why."""
    from backpop.codemods.write import why_locked

    reasons: dict[str, str | None] = {}
    locked: dict[Site, str] = {}
    for conversion in conversions:
        for module in (conversion.home, conversion.there):
            if module.path not in reasons:
                reasons[module.path] = why_locked(Path(module.path))
            if reasons[module.path] is not None:
                locked.setdefault(conversion.site, f"{module.shown}: {reasons[module.path]}")
    return locked
