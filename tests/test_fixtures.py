"""Every folder of ``fixtures`` is a case: what the tool makes of ``before`` is ``after``, byte for byte.

Beside the two trees, a case may have

* ``command.txt``: the command of backpop, with its options; ``to-back-populates`` without it;
* ``expected.txt``: what is refused, sorted lines ``path:line CODE``; nothing is refused without it;
* ``no-import``: why SQLAlchemy cannot load the models; without it, both trees map the same. What only
  ``SQLAlchemy 2`` cannot load is loaded with the older ones that are there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from environments import ASKED, PYTHONS
from graph import assert_same_graph, sqlalchemy_of
from tool import FIXTURES, command_of, convert, files_of

CASES = sorted(path for path in FIXTURES.iterdir() if path.is_dir())
LOADABLE = [case for case in CASES if not (case / "no-import").exists()]
UNLOADABLE = [case for case in CASES if case not in LOADABLE and not case.name.startswith("refused")]
OLDER = [case for case in UNLOADABLE if "SQLAlchemy 2" in (case / "no-import").read_text("utf-8")]

# What differs under SQLAlchemy 1.4 alone.
OTHER_IN_1_4 = {
    "self-referential-remote-overrides-remote-side": "The reverse of a join of columns always sends a query, "
    "that of a join in a string looks into the session first.",
}


def _name(case: Path) -> str:
    return case.name


def _text(files: dict[str, bytes]) -> str:
    """All files as one text: pytest shows which lines differ. Latin-1 has a character for each byte."""
    return "".join(f"=== {path}\n{data.decode('latin-1')}" for path, data in files.items())


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_conversion(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(case / "before", tree, ignore=shutil.ignore_patterns("__pycache__"))
    command = command_of(case)
    files, refusals = convert(tree, command)
    expected = case / "expected.txt"
    assert refusals == (expected.read_text("utf-8").splitlines() if expected.exists() else [])
    assert _text(files) == _text(files_of(case / "after"))

    again, refusals_again = convert(tree, command)
    assert again == files
    # What was added may have moved them to other lines, and some notes tell of what was converted.
    codes = [line.split()[1] for line in refusals]
    assert [line.split()[1] for line in refusals_again] == [
        code for code in codes if code not in {"BP902", "BP903", "BP906", "BP907", "BP908"}
    ]


@pytest.mark.parametrize("case", LOADABLE, ids=_name)
def test_both_trees_map_the_same(case: Path) -> None:
    if case.name in OTHER_IN_1_4 and sqlalchemy_of(ASKED).startswith("1.4."):
        pytest.xfail(OTHER_IN_1_4[case.name])
    assert_same_graph(case / "before", case / "after")


@pytest.mark.parametrize("python", [one for one in PYTHONS if str(one.id).startswith("1.")])
@pytest.mark.parametrize("case", OLDER, ids=_name)
def test_both_trees_map_the_same_in_older_versions(case: Path, python: str) -> None:
    assert_same_graph(case / "before", case / "after", python)
