"""Annotations of GitHub Actions, one a line.

GitHub: "Workflow commands for GitHub Actions". The runner undoes the percent escapes, which its toolkit makes
of what would end a line, a property or a command.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from backpop.cli.console import printable
from backpop.cli.formats import relative
from backpop.cli.formats.findings import Finding, Level

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def annotated(findings: Iterable[Finding], root: Path) -> bytes:
    """A workflow command for each finding; paths are relative to ``root``."""
    return "".join(f"{_annotation(finding, root)}\n" for finding in findings).encode()


def _annotation(finding: Finding, root: Path) -> str:
    properties = {}
    if finding.place is not None:
        properties["file"] = relative(finding.place.path, root)
        properties["line"] = str(finding.place.line)
        properties["col"] = str(finding.place.column)
    properties["title"] = f"{finding.rule.code} {finding.rule.title}"
    listed = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.level]} {listed}::{_escaped(finding.detail)}"


def _escaped(text: str, more: str = "") -> str:
    """Text with the characters escaped that mean something to the runner; % comes first."""
    text = printable(text)
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text
