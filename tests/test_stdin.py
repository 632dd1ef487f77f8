"""``-``: one file from stdin, for editors and pipes."""

from __future__ import annotations

from pathlib import Path

from test_check import BACKREF, HEAD
from tool import run

SOURCE = HEAD.format(parent="pass", child=f"parent = {BACKREF}").encode()


def test_the_diff_is_against_what_came_in(tmp_path: Path) -> None:
    done = run("to-back-populates", "-", "--stdin-filename", "new/models.py", cwd=tmp_path, stdin=SOURCE)
    assert done.returncode == 0
    assert done.stdout.startswith("--- a/new/models.py\n+++ b/new/models.py\n")
    assert '+    children = relationship("Child", back_populates="parent")\n' in done.stdout


def test_write_prints_the_result_and_changes_no_file(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_bytes(b"# the saved file\n")
    arguments = ("to-back-populates", "--write", "-", "--stdin-filename", "models.py")
    once = run(*arguments, cwd=tmp_path, stdin=SOURCE)
    assert '    children = relationship("Child", back_populates="parent")\n' in once.stdout
    again = run(*arguments, cwd=tmp_path, stdin=once.stdout.encode())
    assert (again.returncode, again.stdout) == (0, once.stdout)
    assert (tmp_path / "models.py").read_bytes() == b"# the saved file\n"


def test_other_paths_are_the_project_around_it(tree: Path) -> None:
    file = tree / "library" / "book.py"
    content = file.read_bytes()
    file.write_bytes(b"# being edited\n")
    arguments = ("-", "library", "--stdin-filename", "library/book.py")
    done = run("to-back-populates", *arguments, cwd=tree, stdin=content)
    assert "--- a/library/author.py" in done.stdout
    assert "--- a/library/book.py" in done.stdout
    assert run("check", *arguments, cwd=tree, stdin=content).stdout.startswith("library/book.py:")
    refused = run("to-back-populates", "--write", *arguments, cwd=tree, stdin=content)
    assert refused.returncode == 2
    assert "give no paths beside -" in refused.stderr
    assert file.read_bytes() == b"# being edited\n"


def test_it_needs_a_name(tmp_path: Path) -> None:
    done = run("check", "-", cwd=tmp_path, stdin=SOURCE)
    assert done.returncode == 2
    assert "--stdin-filename" in done.stderr


def test_the_audit_reads_it_as_well(tmp_path: Path) -> None:
    done = run("audit", "-", "--stdin-filename", "models.py", cwd=tmp_path, stdin=SOURCE)
    assert "Child.parent" in done.stdout


def test_what_cannot_be_parsed_is_reported_under_its_name(tmp_path: Path) -> None:
    done = run("check", "-", "--stdin-filename", "x.py", cwd=tmp_path, stdin=b"backref = (")
    assert done.returncode == 2
    assert "x.py:1:1: BP002" in done.stderr
