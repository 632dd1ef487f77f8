"""Which files are searched: the same ones whether git answers or the folders are walked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backpop.codemods import discover as module
from backpop.codemods.discover import discover, git_root, patch_root

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="no git")
posix = pytest.mark.skipif(os.name != "posix", reason="links and modes as POSIX has them")


def make(folder: Path, *names: str) -> None:
    """Make empty files, and what holds them; a name that ends in "/" is a folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder without symbolic links above it, and without a repository around it."""
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    return folder


@pytest.fixture(
    params=[pytest.param("git", marks=needs_git), "walk in a repository", "walk"], ids=lambda name: name
)
def searched(request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched in each of the ways there are. All of them must find the same."""
    if request.param == "git":
        git(project, "init", "--quiet")
        monkeypatch.setattr(module, "_walk", None)
    elif request.param == "walk in a repository":
        make(project, ".git/HEAD")
        monkeypatch.setattr(module, "_git_names", lambda folder, is_root: None)
    return project


def found(folder: Path, *paths: Path, exclude: tuple[str, ...] = (), gitignore: bool = True) -> list[str]:
    """The files found below ``folder``, relative to it."""
    result = discover(paths or [folder], exclude=exclude, gitignore=gitignore)
    assert result.missing == ()
    assert result.unreadable == ()
    return [Path(file).relative_to(folder).as_posix() for file in result.files]


def test_python_files_are_found_in_order(searched: Path) -> None:
    make(searched, "b.py", "a.py", "pkg/c.py", "pkg/deep/d.py", "é.py", "with space.py", ".hidden/e.py")
    make(searched, "readme.md", "a.pyc", "a.pyi", "py", "script", "empty/", "folder.py/f.txt")
    assert found(searched) == sorted(
        ["b.py", "a.py", "pkg/c.py", "pkg/deep/d.py", "é.py", "with space.py", ".hidden/e.py"]
    )


def test_files_are_absolute_strings(searched: Path) -> None:
    make(searched, "a.py")
    assert discover([searched]).files == (str(searched / "a.py"),)


def test_ignored_files_are_not_found(searched: Path) -> None:
    make(
        searched, "a.py", "a.gen.py", "out/b.py", "pkg/c.py", "pkg/local.py", "pkg/keep/local.py", "local.py"
    )
    make(searched, "pkg/sub/deep/top.py", "pkg/top.py", "top.py")
    (searched / ".gitignore").write_text("# comment\n*.gen.py\n/out/\n/top.py\n\n!\n[z-a]\n")
    (searched / "pkg" / ".gitignore").write_text("local.py\n/sub/*/top.py\n")
    (searched / "pkg" / "keep" / ".gitignore").write_text("!local.py\n")
    assert found(searched) == ["a.py", "local.py", "pkg/c.py", "pkg/keep/local.py", "pkg/top.py"]
    assert "a.gen.py" in found(searched, searched / "pkg", searched / "a.gen.py")


def test_a_rule_of_a_folder_above_holds_in_the_folder_that_is_searched(project: Path) -> None:
    make(project, ".git/HEAD", "pkg/a.py", "pkg/a.gen.py", "pkg/sub/b.gen.py")
    (project / ".gitignore").write_text("*.gen.py\n")
    assert found(project, project / "pkg") == ["pkg/a.py"]


@needs_git
def test_a_rule_of_a_folder_above_holds_with_git(project: Path) -> None:
    git(project, "init", "--quiet")
    test_a_rule_of_a_folder_above_holds_in_the_folder_that_is_searched(project)


def test_ignore_rules_can_be_ignored(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    make(searched, "a.py", "b.py", ".venv/c.py")
    (searched / ".gitignore").write_text("b.py\n")
    assert found(searched, gitignore=False) == ["a.py", "b.py"]


def test_folders_that_hold_no_source_are_not_entered(searched: Path) -> None:
    make(
        searched,
        "a.py",
        ".venv/b.py",
        "pkg/node_modules/x/c.py",
        "env/lib/site-packages/d.py",
        "build/lib/a.py",
    )
    make(searched, "venv.py", "pkg/venvs/e.py")
    assert found(searched) == ["a.py", "pkg/venvs/e.py", "venv.py"]


@needs_git
def test_a_folder_of_such_a_name_is_source_if_it_is_tracked(project: Path) -> None:
    git(project, "init", "--quiet")
    make(project, "build/a.py", "build/untracked.py")
    git(project, "add", "build/a.py")
    assert found(project) == ["build/a.py"]


def test_a_folder_of_such_a_name_is_searched_when_named(project: Path) -> None:
    make(project, "venv/a.py", "venv/sub/b.py", "venv/sub/venv/c.py")
    assert found(project, project / "venv") == ["venv/a.py", "venv/sub/b.py"]


@pytest.mark.parametrize("way", ["walk", pytest.param("git", marks=needs_git)])
@pytest.mark.parametrize("tracked", [False, True])
def test_an_ignored_folder_is_searched_when_named(project: Path, way: str, tracked: bool) -> None:
    if way == "git":
        git(project, "init", "--quiet")
    make(project, ".git/HEAD", "out/a.py", "out/sub/b.py", "out/sub/c.py")
    (project / ".gitignore").write_text("/out/\n")
    (project / "out" / ".gitignore").write_text("b.py\n")
    if tracked and way == "git":
        git(project, "add", "--force", "out/a.py")
    assert found(project, project / "out") == ["out/a.py", "out/sub/c.py"]
    assert found(project, project / "out" / "sub") == ["out/sub/c.py"]


def test_a_file_that_is_named_is_always_taken(searched: Path) -> None:
    make(searched, "script", "ignored.py", ".venv/a.py")
    (searched / ".gitignore").write_text("ignored.py\n")
    named = [searched / "script", searched / "ignored.py", searched / ".venv" / "a.py"]
    assert found(searched, *named, exclude=("*",)) == [".venv/a.py", "ignored.py", "script"]


def test_excluded_files_are_not_found(searched: Path) -> None:
    make(searched, "a.py", "old/b.py", "pkg/old/c.py", "pkg/d.py", "pkg/d_test.py")
    assert found(searched, exclude=("/old/", "*_test.py")) == ["a.py", "pkg/d.py", "pkg/old/c.py"]
    assert found(searched, exclude=("old",)) == ["a.py", "pkg/d.py", "pkg/d_test.py"]
    assert found(searched, searched / "pkg", exclude=("/old/",)) == ["pkg/d.py", "pkg/d_test.py"]


@needs_git
def test_tracked_files_can_be_excluded(project: Path) -> None:
    git(project, "init", "--quiet")
    make(project, "a.py", "old/b.py")
    git(project, "add", ".")
    assert found(project, exclude=("old/",)) == ["a.py"]


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "a\\"])
def test_a_malformed_exclusion_is_an_error(project: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="malformed pattern"):
        discover([project], exclude=["fine", pattern])


def test_each_file_is_found_once(searched: Path) -> None:
    make(searched, "a.py", "pkg/b.py")
    roundabout = searched / "pkg" / ".." / "pkg" / "b.py"
    assert found(searched, searched, searched / "pkg", searched / "a.py", roundabout) == ["a.py", "pkg/b.py"]


def test_missing_paths_are_reported_as_given(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, "a.py")
    monkeypatch.chdir(project)
    result = discover([Path("nowhere"), Path("a.py"), Path("no/where.py")])
    assert result.files == (str(project / "a.py"),)
    assert result.missing == (Path("nowhere"), Path("no/where.py"))


@posix
def test_links_are_not_followed_in_a_search(searched: Path) -> None:
    make(searched, "a.py", "pkg/b.py", "../outside/c.py", "data.txt")
    (searched / "same.py").symlink_to("a.py")
    (searched / "out.py").symlink_to("../outside/c.py")
    (searched / "broken.py").symlink_to("nowhere.py")
    (searched / "loop").symlink_to(".")
    (searched / "away").symlink_to("../outside")
    assert found(searched) == ["a.py", "pkg/b.py"]


@posix
def test_a_link_that_is_named_is_followed(project: Path) -> None:
    make(project, "real/a.py")
    (project / "file.py").symlink_to("real/a.py")
    (project / "folder").symlink_to("real")
    (project / "broken.py").symlink_to("nowhere.py")
    paths = [project / "file.py", project / "folder", project / "real" / "a.py"]
    assert found(project, *paths) == ["real/a.py"]
    assert discover([project / "broken.py"]).missing == (project / "broken.py",)


@needs_git
def test_deleted_and_conflicting_files(project: Path) -> None:
    git(project, "init", "--quiet")
    make(project, "a.py", "gone.py", "sub/gone.py", "became/file.py")
    git(project, "add", ".")
    (project / "gone.py").unlink()
    shutil.rmtree(project / "sub")
    shutil.rmtree(project / "became")
    make(project, "became")
    blob = subprocess.run(
        ["git", "-C", project, "hash-object", "-w", "a.py"], check=True, capture_output=True, text=True
    ).stdout.strip()
    stages = "".join(f"100644 {blob} {stage}\ta.py\n" for stage in (1, 2, 3))
    subprocess.run(
        ["git", "-C", project, "update-index", "--index-info"],
        input=f"0 {'0' * 40}\ta.py\n{stages}",
        check=True,
        text=True,
    )
    assert found(project) == ["a.py"]


@needs_git
def test_other_repositories_inside_are_left_to_themselves(project: Path) -> None:
    git(project, "init", "--quiet")
    make(project, "a.py", "vendor/other/b.py")
    git(project / "vendor" / "other", "init", "--quiet")
    assert found(project) == ["a.py"]
    assert found(project, project / "vendor" / "other") == ["vendor/other/b.py"]


@needs_git
def test_names_that_the_file_system_spells_otherwise_are_found(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another case or Unicode form: the folder's listing lacks the name that git gives."""
    make(project, "models.py", "b.py")
    (project / "Models.py").write_bytes(b"")  # the same file, or what stands for it here
    monkeypatch.setattr(module, "_git_names", lambda folder, is_root: ["Models.py", "b.py"])
    monkeypatch.setattr(module, "git_root", lambda path: project)
    names = [entry.name for entry in os.scandir(project) if entry.name != "Models.py"]
    scandir = os.scandir

    class Listing:
        def __init__(self, path: str) -> None:
            self.path = path

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return (entry for entry in list(scandir(self.path)) if entry.name in names)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Listing)
    assert discover([project]).files == (str(project / "Models.py"), str(project / "b.py"))


@pytest.mark.parametrize("trouble", ["not installed", "fails", "warns"])
def test_where_git_cannot_tell_the_folders_are_walked(
    project: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        if trouble == "not installed":
            raise FileNotFoundError("git")
        failed = trouble == "fails"
        return subprocess.CompletedProcess(
            command, 128 if failed else 0, b"", b"" if failed else b"warning: ..."
        )

    make(project, ".git/HEAD", "a.py", "b.py")
    (project / ".gitignore").write_text("b.py\n")
    monkeypatch.setattr(subprocess, "run", run)
    assert found(project) == ["a.py"]


def test_a_folder_that_cannot_be_listed_is_reported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, "a.py", "closed/b.py")
    scandir = os.scandir

    def refusing(path: str) -> object:
        # Root may read everything, so what the system would answer to others is simulated.
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    result = discover([project])
    assert result.files == (str(project / "a.py"),)
    assert result.unreadable == (project / "closed",)


def test_the_root_of_a_work_tree(project: Path) -> None:
    make(project, ".git/HEAD", "pkg/deep/a.py", "linked/.git", "linked/b.py", "odd/.git/", "odd/c.py")
    assert git_root(project) == project
    assert git_root(project / "pkg" / "deep" / "a.py") == project
    assert git_root(project / "linked" / "b.py") == project / "linked"
    assert git_root(project / "odd" / "c.py") == project, "an empty .git is no repository"
    assert git_root(project.parent) is None


def test_the_root_of_a_patch(project: Path) -> None:
    make(project, "one/.git/HEAD", "one/pkg/a.py", "two/.git/HEAD", "two/b.py", "c.py")
    in_one, in_two, in_none = (str(project / name) for name in ("one/pkg/a.py", "two/b.py", "c.py"))
    assert patch_root([in_one], project / "one" / "pkg") == project / "one"
    assert patch_root([in_one], project / "two") == project / "one"
    assert patch_root([in_one, in_two], project) == project
    assert patch_root([in_one, in_two], project / "one") == project
    assert patch_root([in_none], project) == project
    assert patch_root([in_none], project.parent) == project.parent
    assert patch_root([], project / "one" / "pkg") == project / "one"
    assert patch_root([], project) == project
