"""The two round trips: a backref made explicit comes back to the byte, and a collapsed pair maps the same.

The conversions themselves are cases of ``fixtures``: those whose ``command.txt`` says ``to-backref``.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph import assert_same_graph
from test_fixtures import CASES
from tool import command_of, files_of, plan

from backpop.codemods.plan.model import Collapse, Conversion, Expansion
from backpop.codemods.run import Outcome
from backpop.codemods.write import write_changes

# The original is not to be told from what is written: both spellings become the same pair.
NOT_BACK = {
}

EXPANDED = [case for case in CASES if command_of(case).startswith("to-back-populates")]
COLLAPSED = [case for case in CASES if command_of(case).startswith("to-backref")]


def _name(case: Path) -> str:
    return case.name


@pytest.mark.parametrize("case", EXPANDED, ids=_name)
def test_a_plain_backref_comes_back_to_the_byte(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    before = _fresh(case / "before", tree)
    plain = [one for one in plan(tree, command_of(case)).conversions if _is_plain(one)]
    came_back = []
    for conversion in plain:
        _fresh(case / "before", tree)
        _write(_only(plan(tree, command_of(case)), conversion))
        assert files_of(tree) != before
        for keep in ("scalar", "collection"):
            back = plan(tree, f"to-backref --many-to-many --keep {keep}")
            if any(_is_same(one, conversion) for one in back.conversions):
                _write(_only(back, conversion))
                came_back.append(conversion.title)
                break
        assert files_of(tree) == before, [report for report in back.refusals]
    assert came_back == [conversion.title for conversion in plain]


def _is_plain(conversion: Conversion) -> bool:
    """Whether it is a plain string backref in untyped classes."""
    return (
        isinstance(conversion, Expansion)
        and isinstance(conversion.backref, ast.Constant)
        and isinstance(conversion.site.stmt, ast.Assign)
        and conversion.reverse is not None
    )


def _is_same(one: Conversion, other: Conversion) -> bool:
    return _ends(one) == _ends(other)


def _ends(one: Conversion) -> tuple[str, str, str, str, str]:
    return (one.home.path, one.source.qualname, one.forward_name, one.target.qualname, one.reverse_name)


def _only(outcome: Outcome, conversion: Conversion) -> Outcome:
    """An outcome with one of its conversions alone."""
    others = {one.site: ("BP602", "") for one in outcome.conversions if not _is_same(one, conversion)}
    return outcome.without(others)


@pytest.mark.parametrize("case", COLLAPSED, ids=_name)
def test_a_collapsed_pair_expands_to_the_same_mappers(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    after = _fresh(case / "after", tree)
    outcome = plan(tree)
    if not outcome.changes or (case / "no-import").exists():
        return
    write_changes(outcome.changes)
    assert_same_graph(case / "before", tree)
    write_changes(plan(tree, command_of(case)).changes)
    assert files_of(tree) == after


@pytest.mark.parametrize("case", COLLAPSED, ids=_name)
def test_a_killed_run_is_completed_by_the_next(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    _fresh(case / "before", tree)
    for change in plan(tree, command_of(case)).changes:
        change.path.write_bytes(change.halfway)
    write_changes(plan(tree, command_of(case)).changes)
    assert files_of(tree) == files_of(case / "after")


def _fresh(source: Path, tree: Path) -> dict[str, bytes]:
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns("__pycache__"))
    return files_of(tree)


def _write(outcome: Outcome) -> None:
    write_changes(outcome.changes)
