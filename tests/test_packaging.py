"""The wheel holds every module of the tree, below the namespace ``backpop`` and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("cli", "codemods")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    # A copy is built: setuptools leaves a `build` folder behind, and packs what it finds in an old one.
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    built = subprocess.run(
        [*command, "--wheel-dir", target, source], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = target.glob("*.whl")
    return ZipFile(path)


def test_the_wheel_holds_every_file_of_the_tree(wheel: ZipFile) -> None:
    tree = {
        f"backpop/{path.relative_to(ROOT).as_posix()}"
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == tree, "list the new package in pyproject.toml, under [tool.setuptools]"


def test_nothing_else_is_importable_from_the_wheel(wheel: ZipFile) -> None:
    """A top-level ``cli`` would overwrite a user's own, and uninstalling would delete it."""
    top = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert top == {"backpop"}


def test_the_wheel_is_typed(wheel: ZipFile) -> None:
    assert {f"backpop/{name}/py.typed" for name in FOLDERS} <= set(wheel.namelist())


def test_importing_the_library_costs_no_heavy_module() -> None:
    heavy = ("libcst", "pathspec", "rich", "sqlalchemy", "typer", "unidiff")
    stages = ("discover", "edits", "patch", "write")
    imports = f"import sys\nfrom backpop.codemods import {', '.join(stages)}\n"
    program = f"{imports}print(*set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
