"""The conversion of a set of files from end to end, up to the edits. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods.discover import discover, git_root
from backpop.codemods.edits import FileChange
from backpop.codemods.plan.model import Conversion, Report


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run can be told. ``line_length`` is in columns; ``exclude`` holds gitignore patterns."""

    line_length: int = 88
    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    writing: bool = False  # refuse what could not be written


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


def to_back_populates(paths: Sequence[Path], settings: Settings | None = None) -> Outcome:
    """Plan the conversion of every backref below ``paths``.

    Never raises for what a project may hold: unreadable files are in ``problems``, missing paths in
    ``missing``. Raises ``ValueError`` for a malformed exclude pattern.
    """
    from backpop.codemods.scan import module_root, scan

    settings = settings or Settings()
    found = discover(paths, exclude=settings.exclude, gitignore=settings.gitignore)
    unlisted = tuple(
        Report(str(path), 1, 1, "BP001", "the folder cannot be listed") for path in found.unreadable
    )
    root = git_root(Path(found.files[0]).parent) if found.files else None
    scanned = scan(found.files, module_root(found.files, str(root) if root else None))
    if not scanned.mentions:
        return Outcome(len(found.files), found.missing, (*unlisted, *scanned.problems), (), (), (), ())

    from backpop.codemods.plan.to_back_populates import plan_to_back_populates, report_at

    plan = plan_to_back_populates(scanned.project, scanned.modules())
    conversions, refusals = list(plan.conversions), list(plan.refusals)
    changes: tuple[FileChange, ...] = ()
    if settings.writing:
        conversions, locked = _writable(conversions)
        refusals += [report_at(conversion.site, "BP601", detail) for conversion, detail in locked]
    if conversions:
        from backpop.codemods.rewrite import rewrite

        rewritten = rewrite(scanned.project, conversions, settings.line_length)
        changes = rewritten.changes
        failed = {id(failure.conversion) for failure in rewritten.failures}
        conversions = [conversion for conversion in conversions if id(conversion) not in failed]
        refusals += [
            report_at(failure.conversion.site, "BP602", failure.detail) for failure in rewritten.failures
        ]
    return Outcome(
        len(found.files),
        found.missing,
        (*unlisted, *sorted(scanned.problems)),
        tuple(conversions),
        tuple(sorted(refusals)),
        plan.notes,
        changes,
    )


def _writable(conversions: Sequence[Conversion]) -> tuple[list[Conversion], list[tuple[Conversion, str]]]:
    """Part the conversions whose two files can both be replaced from those where one cannot."""
    from backpop.codemods.write import why_locked

    reasons: dict[str, str | None] = {}
    free: list[Conversion] = []
    locked: list[tuple[Conversion, str]] = []
    for conversion in conversions:
        paths = {conversion.source.module.path, conversion.target.module.path}
        for path in paths - reasons.keys():
            reasons[path] = why_locked(Path(path))
        reason = next((f"{path}: {reasons[path]}" for path in sorted(paths) if reasons[path]), None)
        if reason is None:
            free.append(conversion)
        else:
            locked.append((conversion, reason))
    return free, locked
