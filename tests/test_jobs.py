"""Several processes: the same bytes as one, whichever of them read what."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tool import FIXTURES

from backpop.codemods.read import BACKREFS, PAIRS, RELATIONSHIPS, Search
from backpop.codemods.scan import untracked
from backpop.codemods.survey import MANY, survey

COMMANDS = ["to-back-populates", "to-backref --options", "check --require-pairs", "audit"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of more files than one process reads: models before and after those without any."""
    tree = tmp_path_factory.mktemp("large")
    for name, case in (
        ("aaa", FIXTURES / "across-modules" / "before"),
        ("zza", FIXTURES / "across-modules" / "after"),
        ("zzb", FIXTURES / "imports-added" / "before"),
    ):
        shutil.copytree(case, tree / name)
    for start in range(0, 2 * MANY, 1000):
        folder = tree / f"n{start:05}"
        folder.mkdir()
        for number in range(start, start + 1000):
            (folder / f"m{number}.py").touch()
    return tree


@pytest.mark.parametrize("command", COMMANDS)
def test_any_number_of_jobs_gives_the_same(large: Path, command: str) -> None:
    def given(jobs: str) -> tuple[int, str, str]:
        words = [sys.executable, "-m", "backpop.cli", *command.split(), "--jobs", jobs, "."]
        done = subprocess.run(words, cwd=large, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    alone = given("1")
    assert "zz" in alone[1]
    assert given("3") == alone


@pytest.mark.parametrize("search", [BACKREFS, PAIRS, RELATIONSHIPS, BACKREFS | PAIRS])
def test_what_processes_read_is_told(tmp_path: Path, search: Search) -> None:
    for name, text in (("a", "x = 1\n"), ("b", 'relationship("A", backref="b", back_populates="c")\n')):
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    a, b, missing = (str(tmp_path / f"{name}.py") for name in ("a", "b", "missing"))
    [found] = survey([a, b, missing], search.signs, 2, untracked)
    assert (found.read, found.signed) == ([a, b], [b])
    assert [(problem.path, problem.code) for problem in found.problems] == [(missing, "BP001")]
