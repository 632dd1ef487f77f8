"""SARIF 2.1.0, for code scanning.

OASIS: "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backpop.cli.formats.findings import Finding, Place
from backpop.codemods.codes import Code
from backpop.codemods.review import Replacement, replacements

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"


def sarif(findings: Iterable[Finding], root: Path) -> bytes:
    """One run with a result for each finding; paths are relative to ``root``."""
    rules: dict[str, Code] = {}
    results = []
    for finding in findings:
        rules.setdefault(finding.rule.code, finding.rule)
        results.append(_result(finding, list(rules).index(finding.rule.code), root))
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "backpop",
                        "version": version("backpop"),
                        "rules": [_rule(rule) for rule in rules.values()],
                    }
                },
                "originalUriBaseIds": {_ROOT: {"uri": f"{root.as_uri().rstrip('/')}/"}},
                "columnKind": "unicodeCodePoints",
                "newlineSequences": ["\r\n", "\n", "\r"],
                "results": results,
            }
        ],
    }
    return f"{json.dumps(log, indent=2)}\n".encode()


def _rule(rule: Code) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.why}\n\n{rule.advice}"},
    }


def _result(finding: Finding, index: int, root: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule.code,
        "ruleIndex": index,
        "level": finding.level.value,
        "message": {"text": f"{finding.rule.title}: {finding.detail}"},
        "locations": [_location(finding.place, root)] if finding.place is not None else [],
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(place, root), "message": {"text": text}}
            for number, (place, text) in enumerate(finding.related, 1)
        ]
    if finding.changes:
        result["fixes"] = [
            {
                "description": {"text": finding.rule.title},
                "artifactChanges": [
                    {
                        "artifactLocation": _artifact(str(change.path), root),
                        "replacements": [_replacement(one) for one in replacements(change)],
                    }
                    for change in finding.changes
                ],
            }
        ]
    return result


def _location(place: Place, root: Path) -> dict[str, Any]:
    region = {"startLine": place.line, "startColumn": place.column}
    return {"physicalLocation": {"artifactLocation": _artifact(place.path, root), "region": region}}


def _artifact(path: str, root: Path) -> dict[str, str]:
    """A relative reference, percent-encoded from the bytes of the name; absolute outside of the root."""
    if Path(path).is_relative_to(root):
        return {"uri": quote(os.fsencode(Path(path).relative_to(root).as_posix())), "uriBaseId": _ROOT}
    return {"uri": Path(path).absolute().as_uri()}


def _replacement(one: Replacement) -> dict[str, Any]:
    (line, column), (end_line, end_column) = one.start, one.end
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {"deletedRegion": region, "insertedContent": {"text": one.text}}
