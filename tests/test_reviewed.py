"""Cases that hostile reviews of the rules found: what becomes of each, and that SQLAlchemy maps the same.

``reviewed.txt`` holds them: ``=== name: conversions CODE...``, and the files, each after ``### path``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph import assert_same_graph

from backpop.codemods.run import to_back_populates

_TEXT = Path(__file__).with_name("reviewed.txt").read_text("utf-8")


def _cases() -> Iterator[object]:
    for part in re.split(r"^=== ", _TEXT, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        name, _, expected = head.rpartition(": ")
        yield pytest.param(body, expected, id=name)


def _files(body: str) -> dict[str, str]:
    first, *others = re.split(r"^### ", body, flags=re.MULTILINE)
    files = {"models.py": first} if first.strip() else {}
    for other in others:
        path, _, text = other.partition("\n")
        files[path.strip()] = text
    return files


@pytest.mark.parametrize(("body", "expected"), list(_cases()))
def test_case(body: str, expected: str, tmp_path: Path) -> None:
    trees = before, after = tmp_path / "before", tmp_path / "after"
    for tree in trees:
        for path, text in _files(body).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, "utf-8")
    outcome = to_back_populates([after])
    for change in outcome.changes:
        change.path.write_bytes(change.after)
    codes = sorted(report.code for report in outcome.refusals)
    assert " ".join([str(len(outcome.conversions)), *codes]) == expected
    assert_same_graph(before, after)
