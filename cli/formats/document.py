"""The JSON documents, version 1: ``docs/reference/output-1.schema.json`` says what is in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backpop.cli.formats import as_text, relative
from backpop.codemods.audit import Audit, End, Entry
from backpop.codemods.check import Findings
from backpop.codemods.codes import CODES
from backpop.codemods.edits import FileChange
from backpop.codemods.plan.model import Report
from backpop.codemods.review import Pair, Part, Review, replacements
from backpop.codemods.run import Outcome
from backpop.codemods.verify import SetAside, Verification

_Json = dict[str, Any]


def dumped(document: _Json) -> bytes:
    """A document as bytes, ASCII only: nothing in it can steer a terminal."""
    return f"{json.dumps(document, indent=2)}\n".encode("ascii")


class Documents:
    """Makes the documents of one run. Paths in them are relative to ``root``."""

    def __init__(self, command: str, root: Path) -> None:
        self.command = command
        self.root = root

    def conversion(
        self,
        outcome: Outcome,
        reviews: Iterable[Review],
        verification: _Json | None,
        seconds: Mapping[str, float],
        *,
        written: bool,
    ) -> _Json:
        """What a conversion does, or did, and what it leaves alone."""
        return {
            **self._head(outcome, seconds),
            "written": written,
            "counts": {
                "files": outcome.files,
                "changed": len(outcome.changes),
                "converted": len(outcome.conversions),
                "refused": _by_code(outcome.refusals),
            },
            "conversions": [self._conversion(review) for review in reviews],
            "changes": self._changes(outcome.changes),
            "refusals": self._reports(outcome.refusals),
            "kept": self._reports(outcome.kept),
            "notes": self._reports(outcome.notes),
            "verification": verification,
        }

    def check(self, found: Findings, seconds: Mapping[str, float]) -> _Json:
        """What ``backpop check`` finds."""
        return {
            **self._head(found, seconds),
            "counts": {"files": found.files, "found": _by_code(found.findings)},
            "findings": self._reports(found.findings),
            "kept": self._reports(found.kept),
            "notes": self._reports(found.notes),
        }

    def audit(self, found: Audit, entries: Iterable[Entry], seconds: Mapping[str, float]) -> _Json:
        """The inventory of relationships: ``entries`` of all that were ``found``."""
        return {
            **self._head(found, seconds),
            "counts": {
                "files": found.files,
                "styles": dict(sorted(Counter(one.style.value for one in found.entries).items())),
            },
            "relationships": [self._entry(one) for one in entries],
        }

    def verified(
        self, outcome: Outcome | None, verification: _Json | None, seconds: Mapping[str, float]
    ) -> _Json:
        """The result of ``backpop verify``; without an outcome where a revision was compared."""
        return {**self._head(outcome, seconds), "verification": verification}

    def verification(self, verification: Verification, aside: Sequence[SetAside]) -> _Json:
        """What two descriptions of the models say, and what is not proved."""
        error = verification.error
        return {
            "identical": verification.identical,
            "relationships": verification.relationships,
            "sides": verification.sides,
            "modules": verification.modules,
            "differences": [one._asdict() for one in verification.differences],
            "notes": list(verification.notes),
            "set_aside": [
                {
                    **self._report(Report.at(one.conversions[0].site, one.code, one.detail)),
                    "pairs": [conversion.title for conversion in one.conversions],
                    "differences": [difference._asdict() for difference in one.differences],
                }
                for one in aside
            ],
            "error": error
            and {"side": error.side, "stage": error.stage, "module": error.module, "reason": error.reason},
        }

    def _head(self, found: Outcome | Audit | Findings | None, seconds: Mapping[str, float]) -> _Json:
        return {
            "version": 1,
            "tool": {"name": "backpop", "version": version("backpop")},
            "command": self.command,
            "root": as_text(self.root),
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "missing": [relative(path, self.root) for path in (found.missing if found else ())],
            "problems": self._reports(found.problems if found else ()),
        }

    def _reports(self, reports: Iterable[Report]) -> list[_Json]:
        return [self._report(report) for report in reports]

    def _report(self, report: Report) -> _Json:
        return {
            "file": relative(report.path, self.root),
            "line": report.line,
            "column": report.column,
            "code": report.code,
            "title": CODES[report.code].title,
            "detail": report.detail,
        }

    def _conversion(self, review: Review) -> _Json:
        at = Report.at(review.site, "", "")
        return {
            "file": relative(at.path, self.root),
            "line": at.line,
            "column": at.column,
            "pairs": [self._pair(pair) for pair in review.pairs],
            "changes": self._changes(review.changes),
        }

    def _pair(self, pair: Pair) -> _Json:
        return {
            "forward": self._part(pair.forward),
            "reverse": self._part(pair.reverse),
            "direction": pair.facts.direction or None,
            "target": {
                "named": pair.named,
                "file": relative(pair.found_path, self.root),
                "line": pair.found_line,
            },
            "inherited": list(pair.facts.inherited),
            "moved": list(pair.facts.moved),
            "imports": list(pair.facts.imports),
        }

    def _part(self, part: Part) -> _Json:
        return {
            "file": relative(part.path, self.root),
            "line": part.line,
            "class": part.owner,
            "attribute": part.attribute,
            "before": part.before,
            "after": part.after,
        }

    def _changes(self, changes: Iterable[FileChange]) -> list[_Json]:
        return [
            {
                "file": relative(change.path, self.root),
                "edits": [
                    {
                        "start": {"line": one.start[0], "column": one.start[1], "byte": edit.start},
                        "end": {"line": one.end[0], "column": one.end[1], "byte": edit.end},
                        "text": one.text,
                    }
                    for edit, one in zip(change.edits, replacements(change), strict=True)
                ],
            }
            for change in changes
        ]

    def _entry(self, entry: Entry) -> _Json:
        return {
            "first": self._end(entry.first),
            "second": self._end(entry.second) if entry.second is not None else None,
            "style": entry.style.value,
            "direction": entry.direction or None,
            "reasons": list(entry.reasons),
            "recommended": entry.recommended.value if entry.recommended is not None else None,
            "mistake": entry.mistake or None,
            "unclear": entry.unclear or None,
        }

    def _end(self, end: End) -> _Json:
        return {"file": relative(end.path, self.root), "line": end.line, "name": end.title}


def _by_code(reports: Iterable[Report]) -> dict[str, int]:
    return dict(sorted(Counter(report.code for report in reports).items()))
