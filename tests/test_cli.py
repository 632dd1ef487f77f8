"""The command as a user runs it: streams, exit statuses, paths, and that diff and write agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tool import FIXTURES, files_of, run

from backpop.cli.formatter import line_length_of
from backpop.codemods import write
from backpop.codemods.edits import FileChange
from backpop.codemods.run import Settings, to_back_populates

PAIR = FIXTURES / "across-modules"
REFUSED = FIXTURES / "refused-splat"


def backpop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backpop.cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def git(*arguments: str, cwd: Path, given: str | None = None) -> None:
    subprocess.run(["git", *arguments], cwd=cwd, input=given, check=True, capture_output=True, text=True)


def test_dry_run_prints_a_diff_and_changes_nothing(tree: Path) -> None:
    before = files_of(tree)
    done = backpop("to-back-populates", cwd=tree)
    assert done.returncode == 0
    assert done.stdout.startswith("--- a/")
    assert "can be converted" in done.stderr
    assert files_of(tree) == before


def test_diff_and_write_agree(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    git("init", "-q", cwd=other)
    git("apply", "-", cwd=other, given=backpop("to-back-populates", cwd=tree).stdout)
    shutil.rmtree(other / ".git")
    done = backpop("to-back-populates", "--write", cwd=tree)
    assert (done.returncode, done.stdout) == (0, "")
    assert files_of(tree) == files_of(other) == files_of(PAIR / "after")


def test_paths_in_the_diff_start_at_the_git_root(tree: Path) -> None:
    git("init", "-q", cwd=tree.parent)
    done = backpop("to-back-populates", ".", cwd=tree)
    assert "--- a/tree/" in done.stdout
    git("apply", "-", cwd=tree.parent, given=done.stdout)


def test_check_lists_files_and_exits_with_1(tree: Path) -> None:
    done = backpop("to-back-populates", "--check", cwd=tree)
    changed = [path for path, data in files_of(PAIR / "after").items() if data != files_of(tree)[path]]
    assert done.returncode == 1
    assert done.stdout.splitlines() == changed
    backpop("to-back-populates", "--write", cwd=tree)
    again = backpop("to-back-populates", "--check", cwd=tree)
    assert (again.returncode, again.stdout) == (0, "")


def test_refusals_are_reported_with_a_place(tmp_path: Path) -> None:
    shutil.copytree(REFUSED / "before", tmp_path / "tree")
    expected = (REFUSED / "expected.txt").read_text("utf-8").splitlines()
    done = backpop("to-back-populates", cwd=tmp_path / "tree")
    assert done.returncode == 0
    for line in expected:
        where, code = line.split()
        assert any(one.startswith(f"{where}:") and f" {code} " in one for one in done.stderr.splitlines())
    assert backpop("to-back-populates", "--strict", cwd=tmp_path / "tree").returncode == 1


@pytest.mark.parametrize(
    "content",
    [b"backref = (", b"# -*- coding: nonsense -*-\nbackref = 1\n", b"backref = '\xff'\n", b"backref\0"],
    ids=["syntax", "cookie", "bytes", "nul"],
)
def test_unreadable_file_is_reported_and_the_rest_goes_on(tree: Path, content: bytes) -> None:
    (tree / "broken.py").write_bytes(content)
    done = backpop("to-back-populates", "--write", cwd=tree)
    assert done.returncode == 2
    assert "broken.py:1:1: BP00" in done.stderr
    assert (tree / "broken.py").read_bytes() == content
    expected = {**files_of(PAIR / "after"), "broken.py": content}
    assert files_of(tree) == expected


def test_missing_path_is_an_error(tree: Path) -> None:
    done = backpop("to-back-populates", "nowhere", ".", cwd=tree)
    assert done.returncode == 2
    assert "nowhere: no such file or folder" in done.stderr
    assert done.stdout.startswith("--- a/")


@pytest.mark.parametrize(
    "arguments", [["--write", "--check"], ["--line-length", "many"], ["--nonsense"]], ids=" ".join
)
def test_wrong_usage(tree: Path, arguments: list[str]) -> None:
    done = backpop("to-back-populates", *arguments, cwd=tree)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("x = 1\n", "utf-8")
    done = backpop("to-back-populates", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_target_outside_of_the_given_paths_is_refused(tree: Path) -> None:
    sources = [path for path, data in files_of(tree).items() if b"backref" in data]
    done = backpop("to-back-populates", *sources, cwd=tree)
    assert done.stdout == ""
    assert " BP20" in done.stderr


def test_what_was_written_is_said_to_be_whatever_else_goes_wrong(tree: Path) -> None:
    (tree / "broken.py").write_text("backref = (", "utf-8")
    done = backpop("to-back-populates", "--write", "--output-format", "json", "--output", "no/such", cwd=tree)
    assert done.returncode == 2
    assert "1 backref converted in 2 files; 1 file could not be read." in done.stderr
    assert "cannot be written" in done.stderr
    assert not any(b"backref=" in data for data in files_of(tree).values())


LOCKS: dict[str, Callable[[Path], object]] = {
    "is read-only": lambda target: target.chmod(0o444),
    "has 2 hard links": lambda target: os.link(target, target.parent.parent / "elsewhere.txt"),
}


@pytest.mark.parametrize("reason", LOCKS)
def test_locked_file_leaves_its_pair_alone(tree: Path, reason: str) -> None:
    LOCKS[reason](tree / changed_file())
    before = files_of(tree)
    done = backpop("to-back-populates", "--write", cwd=tree)
    assert f" BP601 file cannot be changed: {changed_file()}: {reason}" in done.stderr
    assert files_of(tree) == before


MEANWHILE: dict[str, Callable[[Path], object]] = {
    "changed since it was read": lambda target: target.write_bytes(b"theirs"),
    "vanished since it was read": lambda target: target.unlink(),
}


@pytest.mark.parametrize("reason", MEANWHILE)
def test_a_file_that_changes_before_it_is_written_is_an_error(
    tree: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    write_changes = write.write_changes
    left: dict[str, bytes] = {}

    def meanwhile(changes: Sequence[FileChange]) -> None:
        MEANWHILE[reason](tree / changed_file())
        left.update(files_of(tree))
        write_changes(changes)

    monkeypatch.setattr(write, "write_changes", meanwhile)
    done = run("to-back-populates", "--write", cwd=tree)
    assert done.returncode == 2
    assert f"{changed_file()}: {reason}; nothing was written\n" in done.stderr
    assert "backrefs converted" not in done.stderr
    assert files_of(tree) == left


def changed_file() -> str:
    """The first file that the conversion of ``PAIR`` changes."""
    before, after = files_of(PAIR / "before"), files_of(PAIR / "after")
    return next(path for path, data in after.items() if data != before[path])


@pytest.mark.parametrize(
    ("file", "settings", "columns"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 60", 60),
        ("pyproject.toml", "[tool.black]", 88),
        ("pyproject.toml", "[tool.isort]\nline_length = 60", 88),
        ("tox.ini", "[flake8]\nignore = E501", 79),
        ("setup.cfg", "[flake8]\nmax_line_length = 100", 100),
        (".flake8", "[flake8]\nmax-line-length = 60", 60),
    ],
)
def test_line_length_follows_the_project(tmp_path: Path, file: str, settings: str, columns: int) -> None:
    (tmp_path / file).write_text(f"{settings}\n", "utf-8")
    check_line_length(tmp_path, columns)


def test_line_length_follows_the_file_where_the_project_says_nothing(tmp_path: Path) -> None:
    close = f"# {'x' * 74}\n"
    check_line_length(tmp_path, 88, close * 2)
    check_line_length(tmp_path, 79, close * 3)
    check_line_length(tmp_path, 88, close * 3 + f"# {'x' * 80}\n")


def check_line_length(folder: Path, columns: int, comments: str = "") -> None:
    """A reverse of that many columns stays on one line, and one more column is too many."""
    for extra in (0, 1):
        name = "X" * (columns + extra - len('    p = relationship("", back_populates="c")'))
        (folder / "models.py").write_text(
            "from sqlalchemy import Column, ForeignKey, Integer\n"
            "from sqlalchemy.orm import declarative_base, relationship\n"
            f"Base = declarative_base()\n{comments}"
            'class P(Base):\n    __tablename__ = "p"\n    id = Column(Integer, primary_key=True)\n'
            f'class {name}(Base):\n    __tablename__ = "c"\n'
            '    id = Column(ForeignKey("p.id"), primary_key=True)\n    c = relationship("P", backref="p")\n'
        )
        found = line_length_of(folder)
        settings = Settings(found.columns if found else None)
        [change] = to_back_populates([folder], settings).changes
        written = change.after.decode().splitlines()
        assert (f'    p = relationship("{name}", back_populates="c")' in written) is (extra == 0)


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31mb.py").write_text("backref = (", "utf-8")
    done = backpop("to-back-populates", cwd=tmp_path)
    assert "\x1b" not in done.stderr
    assert done.returncode == 2


def test_nothing_of_the_project_is_run(tree: Path) -> None:
    mark = tree / "mark"
    (tree / "conftest.py").write_text(f"open({str(mark)!r}, 'w')  # backref\n", "utf-8")
    (tree / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w')  # backref\n", "utf-8")
    assert backpop("to-back-populates", "--write", cwd=tree).returncode == 0
    assert not mark.exists()


def test_reader_that_goes_away_is_no_error(tree: Path) -> None:
    command = f"{sys.executable} -m backpop.cli to-back-populates | head -n 1"
    done = subprocess.run(command, shell=True, cwd=tree, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("---")
    assert "Traceback" not in done.stderr
