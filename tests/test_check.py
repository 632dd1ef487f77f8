"""``backpop check``, and what is kept on purpose by comments and by the configuration, in all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_cli import git
from tool import run

HEAD = """\
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import backref, declarative_base, relationship

Base = declarative_base()


class Parent(Base):
    __tablename__ = "parent"
    id = Column(Integer, primary_key=True)
    {parent}


class Child(Base):
    __tablename__ = "child"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent.id"))
    {child}
"""
BACKREF = 'relationship("Parent", backref="children")'


def _write(folder: Path, child: str, parent: str = "pass") -> None:
    (folder / "models.py").write_text(HEAD.format(parent=parent, child=child), "utf-8")


def test_every_backref_is_listed(tmp_path: Path) -> None:
    _write(tmp_path, f"parent = {BACKREF}")
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == (
        "models.py:17:37: BP003 attribute is made by a backref: Parent.children, by Child.parent\n"
    )
    run("to-back-populates", "--write", "-q", cwd=tmp_path)
    assert run("check", "--require-pairs", cwd=tmp_path).returncode == 0


def test_what_cannot_be_converted_is_listed_as_well(tmp_path: Path) -> None:
    _write(tmp_path, 'parent = relationship("Parent", backref=NAME)')
    done = run("check", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "models.py:17:37: BP101 " in done.stdout


def test_one_sided_pairs_are_listed_if_asked_for(tmp_path: Path) -> None:
    _write(
        tmp_path,
        'parent = relationship("Parent", back_populates="children")',
        "children = relationship('Child')",
    )
    assert run("check", cwd=tmp_path).returncode == 0
    done = run("check", "--require-pairs", cwd=tmp_path)
    assert done.returncode == 1
    assert "models.py:17:37: BP801 pair is one-sided" in done.stdout


def test_errors_beat_findings(tmp_path: Path) -> None:
    _write(tmp_path, f"parent = {BACKREF}")
    (tmp_path / "broken.py").write_text("backref = (", "utf-8")
    assert run("check", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ("# backpop: ignore", True),
        ("#backpop:ignore[BP003]", True),
        ("# noqa: E501  # backpop: ignore [BP101, BP003] legacy", True),
        ("# backpop: ignore[ALL]", True),
        ("# backpop: ignore[BP101]", False),
        ("# backpop: ignore-nothing", False),
        ("# backpop: ignored", False),
        ("", False),
    ],
)
def test_a_comment_keeps_a_backref(tmp_path: Path, comment: str, kept: bool) -> None:
    _write(tmp_path, f"parent = {BACKREF}  {comment}")
    assert run("check", cwd=tmp_path).returncode == (0 if kept else 1)
    done = run("to-back-populates", cwd=tmp_path)
    assert (done.stdout == "") is kept
    assert ("1 kept on purpose" in done.stderr) is kept
    listed = "models.py:17:37: BP005 kept on purpose: Child.parent <-> Parent.children"
    assert (listed in run("to-back-populates", "-v", cwd=tmp_path).stderr) is kept


def test_the_comment_may_stand_on_any_line_of_the_statement(tmp_path: Path) -> None:
    _write(
        tmp_path,
        'parent = relationship(\n        "Parent",  # backpop: ignore\n        backref="children",\n    )\n'
        '    other = "# backpop: ignore"',
    )
    assert run("check", cwd=tmp_path).returncode == 0
    _write(tmp_path, f"parent = {BACKREF}\n    x = 1  # backpop: ignore")
    assert run("check", cwd=tmp_path).returncode == 1
    _write(tmp_path, 'parent = relationship("Parent", backref="children", doc="# backpop: ignore")')
    assert run("check", cwd=tmp_path).returncode == 1


def test_a_comment_keeps_a_refusal_quiet(tmp_path: Path) -> None:
    _write(tmp_path, 'parent = relationship("Parent", backref=NAME)  # backpop: ignore[BP101]')
    done = run("to-back-populates", "--strict", cwd=tmp_path)
    assert (done.returncode, "BP101" in done.stderr) == (0, False)


@pytest.mark.parametrize("side", [0, 1])
def test_a_comment_on_either_side_keeps_a_pair(tmp_path: Path, side: int) -> None:
    comments = ["", "  # backpop: ignore"]
    _write(
        tmp_path,
        'parent = relationship("Parent", back_populates="children")' + comments[side],
        'children = relationship("Child", back_populates="parent")' + comments[1 - side],
    )
    (tmp_path / "queries.py").write_text("from models import Child\nprint(Child.parent)\n", "utf-8")
    done = run("to-backref", "-v", cwd=tmp_path)
    assert done.stdout == ""
    assert "1 kept on purpose" in done.stderr
    assert "BP902" not in done.stderr


def test_what_is_kept_on_purpose_is_no_mistake_of_the_audit(tmp_path: Path) -> None:
    forward = 'parent = relationship("Parent", back_populates="children")'
    for comment in ("", "  # backpop: ignore", "  # backpop: ignore[BP801]"):
        _write(tmp_path, forward + comment, 'children = relationship("Child")')
        done = run("audit", cwd=tmp_path)
        assert "one-sided" in done.stdout
        assert ("Likely mistakes" in done.stdout) is (not comment)


def test_a_code_that_there_is_not_is_noted(tmp_path: Path) -> None:
    _write(tmp_path, f"parent = {BACKREF}  # backpop: ignore[BP03]")
    assert (
        "models.py:17:1: BP006 comment names no code that there is: BP03" in run("check", cwd=tmp_path).stderr
    )


def test_files_can_be_kept_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "legacy").mkdir()
    _write(tmp_path / "legacy", f"parent = {BACKREF}")
    assert run("check", cwd=tmp_path).returncode == 1
    arguments = ["--per-file-ignores", "legacy/*.py:BP003"]
    assert run("check", *arguments, cwd=tmp_path).returncode == 0
    for codes in ("['BP003']", "['ALL']"):
        (tmp_path / "pyproject.toml").write_text(
            f"[tool.backpop.per-file-ignores]\n'/legacy/' = {codes}\n", "utf-8"
        )
        assert run("check", "legacy", cwd=tmp_path).returncode == 0
        assert run("to-back-populates", "legacy", cwd=tmp_path).stdout == ""


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("per-file-ignores = ['a:BP003']", "should be a table of patterns"),
        ("per-file-ignores = {'a' = ['BP3']}", "there is no code 'BP3'; did you mean BP"),
        ("per-file-ignores = {'a[' = ['BP003'], '!' = ['ALL']}", "malformed pattern: '!'"),
    ],
)
def test_mistakes_in_per_file_ignores(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.backpop]\n{table}\n", "utf-8")
    done = run("check", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: pyproject.toml: [tool.backpop] per-file-ignores: ")
    assert message in done.stderr


HOOKS = Path(__file__).parent.parent / ".pre-commit-hooks.yaml"


def test_the_hooks_for_pre_commit_run_commands_that_exist(tmp_path: Path) -> None:
    import yaml  # type: ignore[import-untyped]  # of pre-commit

    _write(tmp_path, f"parent = {BACKREF}")
    git("init", "-q", cwd=tmp_path)
    statuses: dict[str, int] = {}
    hooks: list[dict[str, Any]] = yaml.safe_load(HOOKS.read_text("utf-8"))
    for hook in hooks:
        words: list[str] = hook["entry"].split()
        assert words[0] == "backpop"
        assert not hook["pass_filenames"]  # the other side may be in a file that did not change
        statuses[hook["id"]] = run(*words[1:], cwd=tmp_path).returncode
    assert statuses == {"backpop-check": 1, "backpop-fix": 0}
    assert run("check", cwd=tmp_path).returncode == 0
