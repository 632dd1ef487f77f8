"""What SARIF and annotations are made of: places with a rule, a message and perhaps a fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from backpop.cli.formats import as_text
from backpop.codemods.audit import Audit, Entry
from backpop.codemods.check import Findings
from backpop.codemods.codes import CODES, Code
from backpop.codemods.edits import FileChange
from backpop.codemods.facts import Site
from backpop.codemods.plan.model import Report
from backpop.codemods.plan.policy import Style
from backpop.codemods.review import Review
from backpop.codemods.run import Outcome
from backpop.codemods.verify import SetAside, Verification


class Level(Enum):
    """How bad it is, in the words of SARIF."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Place:
    """A place in a file; line and column are counted from 1."""

    path: str
    line: int
    column: int = 1


@dataclass(frozen=True)
class Finding:
    """Something to be shown at a place, if it has one.

    ``changes`` would mend it. ``related`` is where else to look, and what is there.
    """

    level: Level
    rule: Code
    detail: str
    place: Place | None = None
    changes: tuple[FileChange, ...] = ()
    related: tuple[tuple[Place, str], ...] = ()


_CONVERSIONS = {
    "to-back-populates": CODES["BP003"],
    "to-backref": Code(
        "to-backref",
        "pair can become a backref",
        "One side of the pair carries nothing that a backref would not make.",
        "Run `backpop to-backref --write`, or apply the fix.",
    ),
}

_MISTAKES = {
    Style.ONE_SIDED: Code(
        "audit-one-sided",
        "back_populates on one side only",
        "SQLAlchemy keeps the two attributes in step only where the side that is changed says so; a pair of "
        "which one side is silent goes out of step without an error.",
        "Write back_populates on the other side as well.",
    ),
    Style.NONE: Code(
        "audit-no-counterpart",
        "relationships that write the same columns are not paired",
        "Both change the same foreign keys and do not know of each other; SQLAlchemy warns of it.",
        "Write back_populates on both sides, or overlaps if they are independent on purpose.",
    ),
}


def of_conversion(
    command: str, outcome: Outcome, reviews: Iterable[Review], *, written: bool
) -> Iterator[Finding]:
    """Everything that a conversion found; what was written is mended, and no finding any more.

    ``reviews`` give the fixes; there are none without.
    """
    yield from of_unread(outcome)
    titles: dict[Site, list[str]] = {}
    for conversion in outcome.conversions if not written else ():
        titles.setdefault(conversion.site, []).append(conversion.title)
    judged = {review.site: review for review in reviews}
    for site, named in titles.items():
        at, review = Report.at(site, "", ""), judged.get(site)
        yield Finding(
            Level.WARNING,
            _CONVERSIONS[command],
            ", ".join(named),
            Place(at.path, at.line, at.column),
            review.changes if review else (),
            tuple((Place(one.reverse.path, one.reverse.line), one.reverse.title) for one in review.pairs)
            if review
            else (),
        )
    yield from (_of_report(report, Level.WARNING) for report in outcome.refusals)
    yield from (_of_report(report, Level.NOTE) for report in outcome.notes)


def of_check(found: Findings) -> Iterator[Finding]:
    """What ``backpop check`` finds."""
    yield from (_of_report(report, Level.WARNING) for report in found.findings)
    yield from (_of_report(report, Level.NOTE) for report in found.notes)


def of_unread(found: Outcome | Audit | Findings) -> Iterator[Finding]:
    """The paths that are missing, and the files that could not be read."""
    for path in found.missing:
        yield Finding(Level.ERROR, CODES["BP001"], f"{as_text(path)}: no such file or folder")
    yield from (_of_report(report, Level.ERROR) for report in found.problems)


def of_audit(entries: Iterable[Entry]) -> Iterator[Finding]:
    """The likely mistakes among the relationships."""
    for one in entries:
        if one.mistake:
            other = one.second
            related = ((Place(other.path, other.line), other.title),) if other is not None else ()
            place = Place(one.first.path, one.first.line)
            yield Finding(Level.WARNING, _MISTAKES[one.style], one.mistake, place, (), related)


def of_set_aside(aside: Iterable[SetAside]) -> Iterator[Finding]:
    """What is not proved of a conversion."""
    for one in aside:
        yield _of_report(Report.at(one.conversions[0].site, one.code, one.detail), Level.ERROR)


def of_verification(verification: Verification) -> Iterator[Finding]:
    """The differences that have no place, and what kept the models from being compared."""
    for difference in verification.differences:
        yield Finding(Level.ERROR, CODES["BP701"], " ".join(str(difference).split()))
    if verification.error is not None:
        yield Finding(Level.ERROR, CODES["BP702"], f"nothing is proved: {verification.error.reason}")


def _of_report(report: Report, level: Level) -> Finding:
    code = CODES[report.code]
    place = Place(report.path, report.line, report.column)
    return Finding(level, code, report.detail, place)
