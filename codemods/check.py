"""What a project that wants explicit pairs does not want: backrefs, and pairs with one side only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods.facts import Module
from backpop.codemods.link import Project
from backpop.codemods.plan.forward import recognise
from backpop.codemods.plan.model import Refused, Report
from backpop.codemods.plan.pairs import find_pairs
from backpop.codemods.read import BACKREFS, PAIRS
from backpop.codemods.run import Settings, ignores_of, read

# One side names what is not there, or what does not name it back.
_ONE_SIDED = frozenset({"BP801", "BP802", "BP803"})


@dataclass(frozen=True)
class Findings:
    """What was found, in the order of places; ``kept`` is what a comment or the configuration allows."""

    files: int
    missing: tuple[Path, ...] = ()
    problems: tuple[Report, ...] = ()
    findings: tuple[Report, ...] = ()
    kept: tuple[Report, ...] = ()
    notes: tuple[Report, ...] = ()


def check(
    paths: Sequence[Path], settings: Settings | None = None, *, require_pairs: bool = False
) -> Findings:
    """Find every backref below ``paths``, whether it can be converted or not.

    BP003 is one that makes an attribute; what may be one has the code that says why nobody can tell.
    With ``require_pairs``, relationships whose ``back_populates`` is not returned are found as well. Never
    raises for what a project may hold; raises ``ValueError`` for a malformed pattern.
    """
    settings = settings or Settings()
    found = read(paths, settings, BACKREFS | PAIRS if require_pairs else BACKREFS)
    if found.scanned is None:
        return Findings(found.files, found.missing, found.problems)
    project, modules = found.scanned.project, found.scanned.modules()
    reports = [*_backrefs(project, modules), *(_one_sided(project, modules) if require_pairs else ())]
    ignores = ignores_of(project, settings)
    findings, kept = ignores.split(sorted(set(reports)))
    notes = tuple(ignores.mistakes(modules))
    return Findings(found.files, found.missing, found.problems, findings, kept, notes)


def _backrefs(project: Project, modules: Sequence[Module]) -> Iterator[Report]:
    for site in (site for module in modules for site in module.sites if BACKREFS.concerns(site.node)):
        try:
            for forward in recognise(project, site):
                made = f"{forward.target.name}.{forward.backref.name}"
                yield Report.at(site, "BP003", f"{made}, by {forward.source.name}.{forward.name}")
        except Refused as refused:
            yield Report.at(site, refused.code, refused.detail)
        except RecursionError:
            yield Report.at(site, "BP602", "it is nested too deeply")


def _one_sided(project: Project, modules: list[Module]) -> Iterator[Report]:
    for side, refused in find_pairs(project, modules).alone:
        if refused.code in _ONE_SIDED:
            yield Report.at(side.site, refused.code, refused.detail)
