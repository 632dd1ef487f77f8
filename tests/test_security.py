"""A project is data: nothing of it runs, nothing beside it is touched, nothing in it steers a terminal."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tool import files_of

from backpop.codemods.discover import discover

BACKPOP = Path(sys.executable).with_name("backpop")
"""As installed: ``python -m`` would let modules of the current folder in."""

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="no git")
posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and terminals as POSIX has them")

MODELS = b"""\
class Parent(Base):
    __tablename__ = "parent"
    id = Column(Integer, primary_key=True)


class Child(Base):
    __tablename__ = "child"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent.id"))
    parent = relationship(Parent, backref="children")
"""
IMPORTS = b"""\
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([BACKPOP, *arguments], cwd=cwd, capture_output=True, check=False, timeout=60)


def git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    (folder / "models.py").write_bytes(IMPORTS + MODELS)
    return folder


@pytest.mark.parametrize(
    "command",
    [["to-back-populates"], ["to-back-populates", "--write"], ["to-backref"], ["audit"]],
    ids=" ".join,
)
def test_no_module_of_the_project_is_imported(project: Path, command: list[str]) -> None:
    mark = project / "mark"
    planted = f"open({str(mark)!r}, 'w').close()\n".encode()
    names = ["conftest", "setup", "sitecustomize", "usercustomize", "__init__", "__main__"]
    names += ["typer", "click", "rich", "libcst", "sqlalchemy", "unidiff", "pathspec", "ast", "backpop"]
    for name in names:
        (project / f"{name}.py").write_bytes(planted + IMPORTS + MODELS)
    (project / "models.py").write_bytes(planted + IMPORTS + MODELS)
    (project / "evil.pth").write_bytes(b"import setup\n")
    assert run(*command, cwd=project).returncode == 0
    assert not mark.exists()
    subprocess.run([sys.executable, "conftest.py"], cwd=project, check=False, capture_output=True)
    assert mark.exists(), "the trap is a good one"


@posix
@needs_git
def test_no_command_of_the_repository_is_run(project: Path, tmp_path: Path) -> None:
    """Whoever made the repository made its settings, which name commands."""
    mark, trap = tmp_path / "mark", tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 $* >> '{mark}'\n", "utf-8")
    trap.chmod(0o755)
    (project / "sub").mkdir()
    (project / "sub" / ".gitignore").write_bytes(b"ignored.py\n")
    (project / ".gitattributes").write_bytes(b"* filter=evil diff=evil\n")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "all")
    (project / "sub" / "new.py").write_bytes(b"")
    # a sparse partial clone that lacks a .gitignore, which git would fetch to list files
    blob = git(project, "rev-parse", "HEAD:sub/.gitignore").decode().strip()
    git(project, "update-index", "--skip-worktree", "sub/.gitignore")
    (project / "sub" / ".gitignore").unlink()
    (project / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    hooks = project / ".git" / "hooks"
    shutil.rmtree(hooks, ignore_errors=True)
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "pre-auto-gc", "reference-transaction"):
        shutil.copy(trap, hooks / name)
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{trap} %S",
        "protocol.ext.allow": "always",
        "core.sshCommand": trap,
        "core.pager": trap,
        "core.editor": trap,
        "diff.external": trap,
        "diff.evil.textconv": trap,
        "filter.evil.clean": trap,
        "filter.evil.process": trap,
        "credential.helper": f"!{trap}",
    }
    for name, value in settings.items():
        git(project, "config", name, str(value))
    git(project, "ls-files", "--others", "--exclude-standard")
    assert mark.exists(), "the trap is a good one"
    git(project, "config", "core.fsmonitor", str(trap))
    mark.unlink()

    for folder in (project, project / "sub"):
        for command in (["to-back-populates"], ["to-back-populates", "--write"], ["to-backref"], ["audit"]):
            assert run(*command, cwd=folder).returncode == 0
    assert not mark.exists(), mark.read_text("utf-8")
    git(project, "ls-files")
    assert mark.exists(), "the trap is a good one"


@posix
@needs_git
def test_a_folder_that_became_a_link_is_not_followed(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "models.py").write_bytes(IMPORTS + MODELS)
    git(project, "init", "--quiet")
    git(project, "add", ".")
    (project / "sub").rename(project.parent / "outside")
    (project / "sub").symlink_to("../outside")
    assert b"sub/models.py" in git(project, "ls-files"), "git still lists it"
    assert discover([project]).files == (str(project / "models.py"),)


@needs_git
def test_an_index_made_by_hand_does_not_lead_outside(project: Path) -> None:
    (project.parent / "other.py").write_bytes(IMPORTS + MODELS)
    (project / "ab").mkdir()
    (project / "ab" / "other.py").write_bytes(b"")
    git(project, "init", "--quiet")
    git(project, "-c", "index.version=2", "add", ".")
    index = project / ".git" / "index"
    data = index.read_bytes()[:-20].replace(b"ab/other.py", b"../other.py")
    index.write_bytes(data + hashlib.sha1(data).digest())
    assert b"../other.py" in git(project, "ls-files"), "git does not mind"
    assert discover([project]).files == (str(project / "ab" / "other.py"), str(project / "models.py"))


@posix
def test_what_is_outside_of_the_given_folders_is_not_changed(project: Path, tmp_path: Path) -> None:
    """The target is imported from a folder that was not given, and reached by a link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    parent, child = MODELS.split(b"\n\n\n")
    (outside / "parent.py").write_bytes(IMPORTS + parent + b"\n")
    (project / "models.py").write_bytes(IMPORTS + b"from outside.parent import Parent\n" + child)
    (project / "outside").symlink_to("../outside")
    (project / "linked.py").symlink_to("../outside/parent.py")
    before = files_of(outside)
    done = run("to-back-populates", "--write", cwd=project)
    assert b" BP203 " in done.stderr or b" BP201 " in done.stderr
    assert files_of(outside) == before
    assert (project / "linked.py").is_symlink()


@posix
def test_a_pipe_or_a_device_is_not_read(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    done = run("to-back-populates", "pipe.py", "/dev/zero", cwd=project)
    assert done.returncode == 2
    assert done.stderr.count(b"BP001 file cannot be read: it is neither a file nor a folder") == 2
    assert run("to-back-populates", cwd=project).returncode == 0, "in a search it is passed over"


@posix
def test_a_terminal_shows_control_characters_and_does_not_get_them(project: Path) -> None:
    import pty

    evil = "    # \x1b]0;title\x07\x1b[2J \x9b \u202e \r\n".encode()
    (project / "models.py").write_bytes(IMPORTS + MODELS.replace(b"    parent = ", evil + b"    parent = "))
    (project / "odd\x1b[2J\n+++ b").mkdir()
    (project / "odd\x1b[2J\n+++ b" / "y.py").write_bytes(IMPORTS + b"backref = (\n")
    leader, follower = pty.openpty()
    with subprocess.Popen([BACKPOP, "to-back-populates"], cwd=project, stdout=follower, stderr=follower):
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(leader)
    text = re.sub("\x1b\\[[0-9;]*m", "", shown.decode("utf-8"))  # our own colours
    assert r"\x1b]0;title\x07\x1b[2J \x9b \u202e" in text
    assert r"odd\x1b[2J\n+++ b/y.py" in text
    assert not [char for char in text if not char.isprintable() and char not in "\r\n\t"]


@posix
@needs_git
def test_a_name_cannot_forge_a_header(project: Path) -> None:
    (project / "victim.py").write_bytes(b"x = 1\n")
    name = "a.py\n--- a/victim.py\n+++ b/victim.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n.py"
    (project / name.replace("/", "\u2215")).write_bytes(IMPORTS + MODELS)
    (project / "a.py\n--- a").mkdir()
    (project / "a.py\n--- a" / "victim.py\n+++ b").mkdir()
    (project / "a.py\n--- a" / "victim.py\n+++ b" / "victim.py").write_bytes(IMPORTS + MODELS)
    done = run("to-back-populates", cwd=project)
    assert done.stdout.count(b"\n--- ") + done.stdout.startswith(b"--- ") == 3
    expected = files_of(project)
    git(project, "init", "--quiet")
    (project / "the.patch").write_bytes(done.stdout)
    git(project, "apply", "the.patch")
    (project / "the.patch").unlink()
    applied = {name: data for name, data in files_of(project).items() if not name.startswith(".git/")}
    for path, data in expected.items():
        (project / path).write_bytes(data)
    shutil.rmtree(project / ".git")
    assert run("to-back-populates", "--write", cwd=project).returncode == 0
    assert files_of(project) == applied
    assert (project / "victim.py").read_bytes() == b"x = 1\n"
