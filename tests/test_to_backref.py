"""The two round trips: a backref made explicit comes back to the byte, and a collapsed pair maps the same.

The conversions themselves are cases of ``fixtures``: those whose ``command.txt`` says ``to-backref``.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest
from graph import assert_same_graph, graph_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import Sources, projects, written
from test_cli import backpop, git
from test_fixtures import CASES
from tool import FIXTURES, command_of, files_of, plan

from backpop.codemods import probe
from backpop.codemods.codes import CODES
from backpop.codemods.plan.model import Conversion, Expansion, Form
from backpop.codemods.run import Outcome
from backpop.codemods.write import write_changes

# What several spellings become the same of cannot come back as each of them.
NOT_BACK = {
    "backref-positional": "by position, which SQLAlchemy 2 does not take",
    "layout-body-of-pass": "pass, dots, and either beside the colon",
    "layout-one-line-class": "a class body on one line",
    "package-with-reexports": "an import that nothing used",
    "typed-checking-block": "a blank line between a comment and the imports",
}

# What to-backref leaves as a pair, with a code, though the reverse stands in a class body.
STAYS = {
    "assigned-after-the-class": "the forward is assigned after the class",
    "assigned-elsewhere": "the forward is assigned after the class",
    "factory-helper-class-method-by-position": "made by a function of the project",
    "factory-helper-methods": "made by a function of the project",
    "factory-helper-function": "made by a function of the project",
    "factory-named": "made by a function of the project",
    "factory-partial-of-the-same-name": "made by a function of the project",
    "factory-subclass-of-relationship-property": "made by a class of the project",
    "factory-name-bound-further-down": "a forward is assigned after the class",
    "sqlmodel": "SQLModel's",
    "sqlmodel-across-modules": "SQLModel's",
}
_LEFT = {"BP314", "BP813", "BP815"}

NOT_AGAIN = {
    "to-backref-half-done-with-options": "the side with the arguments, which stays",
    "to-backref-half-done": "arguments of backref(), which it takes --options to give again",
    "to-backref-emptied-class-on-one-line": "a class body on one line",
    "to-backref-options-imported-under-another-name": "an import that nothing used",
    "to-backref-factory-name-bound-further-down": "an import under another name",
    "to-backref-drop-annotations-options": "an import that did not fit into one line",
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
    for conversion in plain:
        _fresh(case / "before", tree)
        _write(_only(plan(tree, command_of(case)), conversion))
        assert files_of(tree) != before
        if _taken_back(tree, conversion):
            assert files_of(tree) == before or case.name in NOT_BACK
        else:
            assert case.name in STAYS or not _is_in_body(conversion)
            assert _LEFT & {one.code for one in plan(tree, "to-backref --many-to-many").refusals}


def _taken_back(tree: Path, conversion: Conversion) -> bool:
    """Collapse one pair, keeping the side that had the backref."""
    for keep in ("scalar", "collection"):
        outcome = plan(tree, f"to-backref --many-to-many --drop-annotations --keep {keep}")
        if any(_is_same(one, conversion) for one in outcome.conversions):
            _write(_only(outcome, conversion))
            return True
    return False


def _is_plain(conversion: Conversion) -> bool:
    """Whether it is a plain string backref of an attribute that nothing declared."""
    return (
        isinstance(conversion, Expansion)
        and isinstance(conversion.backref, ast.Constant)
        and isinstance(conversion.site.stmt, ast.Assign | ast.AnnAssign)
        and conversion.reverse is not None
        and conversion.reverse.hint is None
    )


def _is_in_body(conversion: Conversion) -> bool:
    reverse = conversion.reverse if isinstance(conversion, Expansion) else None
    return reverse is not None and reverse.spot.form is Form.BODY


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
    rounds = [after]
    for _ in range(2):
        write_changes(plan(tree).changes)
        if rounds == [after] and not (case / "no-import").exists():
            assert_same_graph(case / "before", tree)
        write_changes(plan(tree, command_of(case)).changes)
        rounds.append(files_of(tree))
    assert rounds[1] == rounds[2]
    assert rounds[0] == rounds[1] or case.name in NOT_AGAIN


@pytest.mark.parametrize("case", COLLAPSED, ids=_name)
def test_a_killed_run_is_completed_by_the_next(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    _fresh(case / "before", tree)
    for change in plan(tree, command_of(case)).changes:
        change.path.write_bytes(change.halfway)
    write_changes(plan(tree, command_of(case)).changes)
    assert files_of(tree) == files_of(case / "after")


EVERYTHING = "to-backref --options --many-to-many --drop-annotations --keep"


@given(projects(), st.sampled_from(["configured", "collection", "scalar"]))
@settings(max_examples=settings().max_examples * 60 // 100)
def test_generated_pairs_collapse_to_the_same_mappers(project: Sources, keep: str) -> None:
    with written(project) as tree:
        _write(plan(tree))
        graph = graph_of(tree)
        assume("error" not in graph)
        _write(plan(tree, f"{EVERYTHING} {keep}"))
        assert probe.compare(graph, graph_of(tree)) == []
        collapsed = files_of(tree)
        _write(plan(tree, f"{EVERYTHING} {keep}"))
        assert files_of(tree) == collapsed
        _write(plan(tree))
        assert probe.compare(graph, graph_of(tree)) == []


@given(projects())
@settings(max_examples=settings().max_examples * 60 // 100)
def test_generated_plain_backrefs_come_back_to_the_byte(project: Sources) -> None:
    with written(project) as tree:
        for conversion in filter(_is_plain, plan(tree).conversions):
            _write(_only(plan(tree), conversion))
            if _taken_back(tree, conversion):
                assert _used(files_of(tree)) == _used(project.files)
            else:  # what is assigned after a class stays a pair
                assert not _is_in_body(conversion)
                _restore(project, tree)


def _restore(project: Sources, tree: Path) -> None:
    for name, data in project.files.items():
        (tree / name).write_bytes(data)


def _used(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without the imports that a generated module may have without using them, or may use without
    having them: the way back takes away, or leaves, what it finds so.
    """
    unused = re.compile(rb"^from (?:sqlalchemy import orm|typing import .*)\r?\n", re.MULTILINE)
    checking = re.compile(rb"\r?\nif TYPE_CHECKING:\r?\n[ \t]+from \w+ import \w+\r?\n")
    return {name: checking.sub(b"", unused.sub(b"", data)) for name, data in files.items()}


def test_streams_and_exit_statuses(tmp_path: Path) -> None:
    case = FIXTURES / "to-backref-across-modules"
    tree = tmp_path / "tree"
    before = _fresh(case / "before", tree)
    git("init", "-q", cwd=tree)

    dry = backpop("to-backref", cwd=tree)
    assert dry.returncode == 0
    assert dry.stderr.startswith("1 pair can be converted in 2 files. 4 files read.\n")
    check = backpop("to-backref", "--check", cwd=tree)
    assert (check.returncode, check.stdout.split()) == (1, ["shop/child.py", "shop/parent.py"])
    assert backpop("to-backref", "--write", "--check", cwd=tree).returncode == 2
    assert backpop("to-backref", "--keep", "nothing", cwd=tree).returncode == 2
    shutil.rmtree(tree / ".git")
    assert files_of(tree) == before

    git("init", "-q", cwd=tree)
    git("apply", "-", cwd=tree, given=dry.stdout)
    shutil.rmtree(tree / ".git")
    assert files_of(tree) == files_of(case / "after")
    _fresh(case / "before", tree)
    done = backpop("to-backref", "--write", "--verify", "shop", cwd=tree)
    assert (done.returncode, done.stdout) == (0, "")
    assert "identical" in done.stderr
    assert files_of(tree) == files_of(case / "after")


def test_strict_minds_what_is_refused_but_not_what_was_not_asked_for(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    _fresh(FIXTURES / "to-backref-many-to-many-not-asked" / "before", tree)
    done = backpop("to-backref", "--strict", cwd=tree)
    assert done.returncode == 0
    assert "note: BP904 pair is many-to-many: 1 place" in done.stderr
    _fresh(FIXTURES / "to-backref-refused-annotated" / "before", tree)
    done = backpop("to-backref", "--strict", cwd=tree)
    assert done.returncode == 1
    assert "models.py:23:" in done.stderr
    assert "BP805 relationship is annotated" in done.stderr


def test_a_use_that_breaks_an_import_is_told_without_asking(tmp_path: Path) -> None:
    _fresh(FIXTURES / "to-backref-early-uses" / "before", tmp_path / "tree")
    done = backpop("to-backref", cwd=tmp_path / "tree")
    assert "queries.py:8:26: BP902" in done.stderr
    assert "queries.py:13" not in done.stderr
    assert "BP903 attribute is read from the class: 1 place (--verbose lists them)" in done.stderr


def test_every_refusal_of_the_way_back_has_a_case() -> None:
    told = {line.split()[1] for case in COLLAPSED for line in _expected(case)}
    assert {code for code in CODES if code.startswith("BP8")} <= told


def _expected(case: Path) -> list[str]:
    file = case / "expected.txt"
    return file.read_text("utf-8").splitlines() if file.exists() else []


def _fresh(source: Path, tree: Path) -> dict[str, bytes]:
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns("__pycache__"))
    return files_of(tree)


def _write(outcome: Outcome) -> None:
    write_changes(outcome.changes)
