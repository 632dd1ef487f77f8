"""What is kept on purpose: ``# backpop: ignore`` comments, and files whose reports are not wanted."""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Iterator, Sequence

from backpop.codemods.codes import CODES
from backpop.codemods.discover import matcher
from backpop.codemods.facts import Module, Site
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Collapse, Conversion, Plan, Report
from backpop.codemods.plan.policy import ALL, FileRule

_COMMENT = re.compile(r"#\s*backpop:\s*ignore(?![\w-])(?:\s*\[([^\]]*)\])?")


class Ignores:
    """The comments in the files of a project, and the rules for whole files, relative to a folder.

    Raises ``ValueError`` for a malformed pattern.
    """

    def __init__(self, project: Project, rules: Sequence[FileRule], folder: str) -> None:
        self._project = project
        self._rules = [(matcher([rule.pattern]), rule.codes) for rule in rules]
        self._start = folder.rstrip(os.sep) + os.sep
        self._known: dict[str, dict[int, frozenset[str]]] = {}

    def sort_out(self, plan: Plan) -> Plan:
        """The plan without what is kept on purpose: a report of each is in its ``kept``."""
        conversions: list[Conversion] = []
        kept: list[Report] = []
        for conversion in plan.conversions:
            # a pair is nothing that a code stands for: only a comment without codes keeps it
            if isinstance(conversion, Collapse):
                reports = [Report.at(site, "", "") for site in (conversion.removed, conversion.site)]
            else:
                reports = [Report.at(conversion.site, "BP003", "")]
            if any(map(self.keeps, reports)):
                kept.append(reports[0]._replace(code="BP005", detail=conversion.title))
            else:
                conversions.append(conversion)
        refusals, kept_refusals = self.split(plan.refusals)
        notes, _ = self.split(plan.notes)
        return plan._replace(
            conversions=tuple(conversions),
            refusals=refusals,
            notes=notes,
            kept=tuple(sorted({*kept, *kept_refusals})),
        )

    def split(self, reports: Sequence[Report]) -> tuple[tuple[Report, ...], tuple[Report, ...]]:
        """The reports that are wanted, and one of BP005 in the place of each of the others."""
        kept = dict.fromkeys(report for report in reports if self.keeps(report))
        said = (
            one._replace(code="BP005", detail=f"{one.code} {CODES[one.code].title}: {one.detail}")
            for one in kept
        )
        return tuple(report for report in reports if report not in kept), tuple(said)

    def keeps(self, report: Report) -> bool:
        """Whether a comment on the statement of a report, or a rule for its file, keeps what it is about."""
        module = self._project.module(report.path)
        if module is None:
            return False
        given = []
        if report.path.startswith(self._start):
            path = report.path[len(self._start) :]
            given = [codes for spec, codes in self._rules if spec.match_file(path)]
        comments = self._comments(module)
        if comments:
            first, last = next(
                (span for span in map(_span, module.sites) if span[0] <= report.line <= span[1]),
                (report.line, report.line),
            )
            given += [codes for line, codes in comments.items() if first <= line <= last]
        return any(report.code in codes or ALL in codes for codes in given)

    def _comments(self, module: Module) -> dict[int, frozenset[str]]:
        """The lines with a comment that ignores something, and the codes that it names, or ALL."""
        if module.path not in self._known:
            self._known[module.path] = dict(_comments(module.source.text))
        return self._known[module.path]

    def mistakes(self, modules: Sequence[Module]) -> Iterator[Report]:
        """A note of BP006 for every code in a comment that there is not."""
        for module in modules:
            for line, codes in self._comments(module).items():
                for code in sorted(codes - CODES.keys() - {ALL}):
                    yield Report(module.path, line, 1, "BP006", code or "no code at all")


def _span(site: Site) -> tuple[int, int]:
    """The lines of the statement that a site stands in; of a block, those of the expression."""
    node = site.node if hasattr(site.stmt, "body") else site.stmt
    return node.lineno, node.end_lineno or node.lineno


def _comments(text: str) -> Iterator[tuple[int, frozenset[str]]]:
    if "backpop" not in text:
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and (match := _COMMENT.search(token.string)):
                codes = ALL if match[1] is None else match[1]
                yield token.start[0], frozenset(code.strip() for code in codes.split(","))
    except (tokenize.TokenError, SyntaxError):
        return  # ast could parse it; what comes after the odd line has no comments that count
