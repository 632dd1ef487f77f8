"""``[tool.backpop]``: what it decides, what the command line overrules, and what is said of mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tool import run as backpop

from backpop.cli.formatter import line_length_of


def _configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.backpop]\n{text}\n", "utf-8")


def test_the_command_line_beats_the_configuration(tree: Path) -> None:
    _configure(tree, "line-length = 40")
    narrow = backpop("to-back-populates", cwd=tree).stdout
    wide = backpop("to-back-populates", "--line-length", "200", cwd=tree).stdout
    assert "    books = relationship(\n" in narrow.replace("\n+", "\n")
    assert "    books = relationship(\n" not in wide.replace("\n+", "\n")


def test_it_is_found_above_the_first_path(tree: Path, tmp_path: Path) -> None:
    _configure(tree, "exclude = ['*.py']")
    done = backpop("to-back-populates", "tree", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert backpop("to-back-populates", "--exclude", "nothing", "tree", cwd=tmp_path).stdout
    (tree / ".git").mkdir()
    _configure(tmp_path, "nonsense = 1")
    assert backpop("to-back-populates", "tree", cwd=tmp_path).returncode == 0


def test_patterns_are_relative_to_its_folder(tree: Path) -> None:
    _configure(tree, "exclude = ['/library/*.py']")
    assert backpop("to-back-populates", "library", cwd=tree).stdout == ""
    _configure(tree, "exclude = ['/*.py']")
    assert backpop("to-back-populates", "library", cwd=tree).stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("line-lenght = 80", "line-lenght: there is no such key; did you mean line-length?"),
        ("line-length = '80'", "line-length: should be a whole number, not a string"),
        ("line-length = true", "line-length: should be a whole number, not true or false"),
        ("line-length = 3", "line-length: 3 is not in the range 20<=x<=1000"),
        ("exclude = 'tests'", "exclude: should be a list of strings, not a string"),
        ("exclude = [1]", "exclude: should be a list of strings, not a list of other things"),
        ("keep = 'colection'", "did you mean collection?"),
        ("strict = 'yes'", "strict: should be true or false, not a string"),
        ("write = true", "write: there is no such key"),
        ("[tool]\nbackpop = 3", "pyproject.toml is no TOML"),
        ("python = [", "pyproject.toml is no TOML: "),
    ],
)
def test_mistakes_are_errors_that_name_the_key(tree: Path, text: str, message: str) -> None:
    _configure(tree, text)
    done = backpop("to-back-populates", cwd=tree)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: pyproject.toml")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_config_that_cannot_be_read(tree: Path) -> None:
    (tree / "pyproject.toml").write_bytes(b"[tool.backpop]\nexclude = ['\xff']\n")
    done = backpop("to-back-populates", cwd=tree)
    assert done.returncode == 2
    assert "pyproject.toml is not UTF-8" in done.stderr


def test_verify_takes_its_modules_from_the_configuration(tree: Path) -> None:
    missing = backpop("verify", cwd=tree)
    assert missing.returncode == 2
    assert "name at least one module" in missing.stderr
    _configure(tree, "verify = ['no_such_module']\nverify-alone = false")
    assert "no_such_module cannot be imported" in backpop("verify", cwd=tree).stderr


def test_nothing_runs_because_the_configuration_says_so(tree: Path) -> None:
    mark = tree / "mark"
    (tree / "setup.txt").write_text(f"open({str(mark)!r}, 'w').close()", "utf-8")
    _configure(tree, "verify = ['os']\nverify-setup = 'setup.txt'")
    assert backpop("to-back-populates", cwd=tree).returncode == 0
    assert not mark.exists()
    backpop("verify", cwd=tree)
    assert mark.exists()


def test_config_shows_what_is_in_force_and_where_it_comes_from(tree: Path) -> None:
    rules = "{ '/a b.py' = ['BP003', 'BP501'], 'c' = ['ALL'] }"
    keys = f"keep = 'scalar'\nexclude = ['docs/']\nper-file-ignores = {rules}"
    _configure(tree, f"{keys}\n[tool.ruff]\nline-length = 101")
    done = backpop("config", cwd=tree)
    shown = tomllib.loads(done.stdout)["tool"]["backpop"]
    assert shown["keep"] == "scalar"
    assert shown["exclude"] == ["docs/"]
    assert shown["line-length"] == 101
    assert shown["per-file-ignores"] == {"/a b.py": ["BP003", "BP501"], "c": ["ALL"]}
    assert shown["gitignore"] is True
    lines = {line.split(" ")[0]: line for line in done.stdout.splitlines()}
    assert lines["keep"].endswith("# pyproject.toml")
    assert lines["line-length"].endswith("# pyproject.toml")
    assert lines["gitignore"].endswith("# default")
    # what is shown can be written into the file, and means the same there
    (tree / "pyproject.toml").write_text(done.stdout, "utf-8")
    assert tomllib.loads(backpop("config", cwd=tree).stdout)["tool"]["backpop"] == shown


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("pyproject.toml", "[tool.black]\nline-length = 71", 71),
        ("pyproject.toml", "[tool.ruff]\n", 88),
        ("pyproject.toml", "[tool]\nruff = 3", None),
        ("ruff.toml", "line-length = 72", 72),
        (".flake8", "[flake8]\nmax_line_length = 73", 73),
        ("setup.cfg", "[pycodestyle]\nmax-line-length = none", 79),
        ("tox.ini", "not an ini", None),
    ],
)
def test_the_formatters_line_length(tmp_path: Path, name: str, text: str, columns: int | None) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "inner").mkdir()
    found = line_length_of(tmp_path / "inner")
    assert (found and (found.columns, found.file)) == (columns and (columns, tmp_path / name))


def test_the_output_format_can_be_configured(tree: Path) -> None:
    _configure(tree, "output-format = 'github'")
    assert run_check(tree).startswith("::warning file=library/book.py")
    assert not run_check(tree, "--output-format", "text").startswith("::")


def run_check(tree: Path, *arguments: str) -> str:
    """What ``backpop check`` prints for a project."""
    return backpop("check", *arguments, cwd=tree).stdout
