"""The result of each command in the formats for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from backpop.cli.formats import Format
from backpop.cli.formats import findings as find
from backpop.cli.formats.document import Documents, dumped
from backpop.cli.formats.findings import Finding
from backpop.cli.formats.github import annotated
from backpop.cli.formats.sarif import sarif
from backpop.codemods.audit import Audit, Entry
from backpop.codemods.check import Findings
from backpop.codemods.discover import patch_root
from backpop.codemods.review import Review
from backpop.codemods.run import Outcome
from backpop.codemods.verify import Proof, Verification


def conversion(
    form: Format,
    command: str,
    outcome: Outcome,
    reviews: Sequence[Review],
    proof: Proof | None,
    seconds: Mapping[str, float],
    *,
    written: bool,
) -> bytes:
    """A conversion.

    ``reviews`` are those of the outcome, made while its files were as they were read; annotations need none.
    """
    reports = [*outcome.problems, *outcome.refusals, *outcome.notes]
    root = _root([str(change.path) for change in outcome.changes] or [report.path for report in reports])
    if form is Format.JSON:
        documents = Documents(command, root)
        verification = documents.verification(proof.verification, proof.aside) if proof is not None else None
        return dumped(documents.conversion(outcome, reviews, verification, seconds, written=written))
    found = [*find.of_conversion(command, outcome, reviews, written=written)]
    if proof is not None:
        found += find.of_verification(proof.verification)
    return _rendered(form, found, root)


def check(form: Format, found: Findings, seconds: Mapping[str, float]) -> bytes:
    """What ``backpop check`` finds."""
    root = _root(report.path for report in (*found.findings, *found.kept))
    if form is Format.JSON:
        return dumped(Documents("check", root).check(found, seconds))
    return _rendered(form, [*find.of_unread(found), *find.of_check(found)], root)


def audit(form: Format, found: Audit, entries: Sequence[Entry], seconds: Mapping[str, float]) -> bytes:
    """The inventory; ``entries`` are those that were asked for."""
    root = _root(one.first.path for one in entries)
    if form is Format.JSON:
        return dumped(Documents("audit", root).audit(found, entries, seconds))
    return _rendered(form, [*find.of_unread(found), *find.of_audit(entries)], root)


def verification(
    form: Format,
    outcome: Outcome | None,
    result: Proof | Verification | None,
    seconds: Mapping[str, float],
) -> bytes:
    """A verification: that of an outcome, or of a revision; no result where there was nothing to verify."""
    proof = result if isinstance(result, Proof) else None
    verified = result.verification if isinstance(result, Proof) else result
    aside = proof.aside if proof is not None else ()
    root = _root(one.conversions[0].home.path for one in aside)
    if form is Format.JSON:
        documents = Documents("verify", root)
        section = documents.verification(verified, aside) if verified is not None else None
        return dumped(documents.verified(outcome, section, seconds))
    found = [*find.of_unread(outcome)] if outcome is not None else []
    found += find.of_set_aside(aside)
    if verified is not None:
        found += find.of_verification(verified)
    return _rendered(form, found, root)


def _root(paths: Iterable[str]) -> Path:
    return patch_root(paths, Path.cwd())


def _rendered(form: Format, found: Sequence[Finding], root: Path) -> bytes:
    return annotated(found, root) if form is Format.GITHUB else sarif(found, root)
