"""The library in one place: plan a project, look at what would change and what not, get a patch, or write.

    from pathlib import Path
    from backpop.codemods.api import Settings, to_back_populates

    outcome = to_back_populates([Path("src")], Settings(line_length=100))
    for report in outcome.refusals:
        print(report.path, report.line, report.code, report.detail)
    chosen = outcome.only({one.site for one in outcome.conversions if one.target.name == "User"})
    print(chosen.patch().decode())
    chosen.write()

The commands of ``backpop`` are made from these functions. They never print, never read arguments or the
environment, and never import the project. What is not named here may change without notice.
"""

from __future__ import annotations

from backpop.codemods.audit import Audit, Entry, audit
from backpop.codemods.check import Findings, check
from backpop.codemods.codes import CODES, Code
from backpop.codemods.edits import Edit, FileChange
from backpop.codemods.plan.model import Collapse, Conversion, Expansion, Report
from backpop.codemods.plan.policy import ALL, FileRule, Keep, Policy, Style
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref
from backpop.codemods.write import WriteError

__all__ = [
    "ALL",
    "CODES",
    "Audit",
    "Code",
    "Collapse",
    "Conversion",
    "Edit",
    "Entry",
    "Expansion",
    "FileChange",
    "FileRule",
    "Findings",
    "Keep",
    "Outcome",
    "Policy",
    "Report",
    "Settings",
    "Style",
    "WriteError",
    "audit",
    "check",
    "to_back_populates",
    "to_backref",
]
