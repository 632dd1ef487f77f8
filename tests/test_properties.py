"""What holds for every conversion, tried on generated projects (see ``models.py``).

``HYPOTHESIS_PROFILE=long`` tries thousands of them.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from graph import graph_of
from hypothesis import assume, given, settings
from models import Sources, projects, written

from backpop.codemods import probe
from backpop.codemods.patch import build_patch
from backpop.codemods.plan.policy import Placement
from backpop.codemods.run import Outcome, Settings, to_back_populates


def _share(percent: int) -> settings:
    """A part of the examples that the profile asks for: some take longer than others."""
    return settings(max_examples=settings().max_examples * percent // 100)


@given(projects())
@_share(60)
def test_the_mapper_graph_stays_the_same(project: Sources) -> None:
    _assert_same_graph(project)


@given(projects(modern=False))
@_share(30)
def test_the_mapper_graph_of_older_spellings_stays_the_same(project: Sources) -> None:
    _assert_same_graph(project)


@given(projects())
@_share(30)
def test_reverses_after_the_source_map_the_same(project: Sources) -> None:
    _assert_same_graph(project, Placement.AFTER_SOURCE)


@given(projects())
@_share(30)
def test_a_killed_run_is_completed_wherever_the_reverses_are(project: Sources) -> None:
    with written(project) as tree:
        first = _converted(tree, Placement.AFTER_SOURCE)
        for change in first.changes:
            change.path.write_bytes(change.halfway)
        _write(_converted(tree, Placement.AFTER_SOURCE))
        for change in first.changes:
            assert change.path.read_bytes() == change.after
        assert not _converted(tree, Placement.AFTER_SOURCE).conversions


def _assert_same_graph(project: Sources, placement: Placement = Placement.AUTO) -> None:
    with written(project) as tree:
        graph = graph_of(tree)
        assume("error" not in graph)
        _write(_converted(tree, placement))
        assert probe.compare(graph, graph_of(tree)) == []


@given(projects())
@_share(60)
def test_every_backref_has_one_outcome_and_a_second_run_none(project: Sources) -> None:
    with written(project) as tree:
        first = _converted(tree)
        assert not first.problems
        sites = {conversion.site for conversion in first.conversions}
        assert len(sites) + len(first.refusals) == project.backrefs

        _write(first)
        second = _converted(tree)
        assert not second.conversions
        assert not second.changes
        assert Counter(one.code for one in second.refusals) == Counter(one.code for one in first.refusals)


@given(projects())
@_share(40)
def test_a_killed_run_is_completed_by_the_next(project: Sources) -> None:
    with written(project) as tree:
        first = _converted(tree)
        for change in first.changes:
            change.path.write_bytes(change.halfway)
        _write(_converted(tree))
        for change in first.changes:
            assert change.path.read_bytes() == change.after


@given(projects(modern=False))
@_share(60)
def test_only_what_belongs_to_a_backref_changes(project: Sources) -> None:
    with written(project) as tree:
        outcome = _converted(tree)
        after = {change.path.name: change.after for change in outcome.changes}
        comments: Counter[str] = Counter()
        for name, data in project.files.items():
            new = after.get(name, data)
            ast.parse(new)
            assert new.count(b"\r") == (new.count(b"\n") if b"\r" in data else 0)
            comments.update(_comments(data))
            comments.subtract(_comments(new))  # some move to the other file, with what they belong to
        # What stands in the backref of a mixin goes to each reverse that it becomes.
        several = any(b"declared_attr" in data for data in project.files.values())
        assert all(count == 0 or (count < 0 and several) for count in comments.values())

        may_change = {line for data in project.files.values() for line in _lines_to_change(data)}
        patch = build_patch(outcome.changes, tree).decode()
        removed = {line[1:].strip() for line in patch.splitlines() if line[:1] == "-" and line[:3] != "---"}
        assert removed <= may_change | {""}


@given(projects(modern=False))
@_share(15)
def test_git_turns_the_patch_into_the_bytes_that_are_written(project: Sources) -> None:
    with written(project) as tree:
        outcome = _converted(tree)
        assume(outcome.changes)
        patch = build_patch(outcome.changes, tree)
        subprocess.run(["git", "apply", "-"], input=patch, cwd=tree, check=True)
        for change in outcome.changes:
            assert change.path.read_bytes() == change.after


def _converted(tree: Path, placement: Placement = Placement.AUTO) -> Outcome:
    return to_back_populates([tree], Settings(placement=placement))


def _write(outcome: Outcome) -> None:
    for change in outcome.changes:
        change.path.write_bytes(change.after)


def _comments(data: bytes) -> list[str]:
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def _lines_to_change(data: bytes) -> Iterator[str]:
    """The lines, without their indentation, of statements with a backref, and of imports."""
    lines = data.decode().splitlines()
    for node in ast.walk(ast.parse(data)):
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Return | ast.ImportFrom):
            continue
        own = [line.strip() for line in lines[node.lineno - 1 : node.end_lineno]]
        if isinstance(node, ast.ImportFrom) or any("backref" in line for line in own):
            yield from own
