"""What mypy and pyright say of typed models, before and after: each runs once, over all cases."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tool import FIXTURES, command_of, plan

from backpop.codemods.plan.model import Expansion

CASES = sorted(
    case
    for pattern in ("typed-*", "sqlmodel*")
    for case in FIXTURES.glob(pattern)
    if not (case / "no-import").exists()
)

# Said of every class attribute that is no field; an annotation would make a field of it.
_NO_FIELD = "Dataclass field without type annotation will cause runtime exception"


@dataclass(frozen=True)
class Said:
    """What a type checker said: errors, without their places, and the types that it was asked for."""

    errors: dict[str, set[str]]  # by case and state
    types: dict[tuple[str, int], str]  # by case and state, and the line of the question


def _reverses(case: Path) -> list[Expansion]:
    return [one for one in plan(case / "before", command_of(case)).conversions if isinstance(one, Expansion)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both trees of every case in one folder, each a package that asks for the types of its reverses."""
    root = tmp_path_factory.mktemp("types")
    for case in CASES:
        for state in ("before", "after"):
            _copy(case / state, root / _package(case, state))
            lines = []
            for at, one in enumerate(_reverses(case)):
                place = Path(one.target.module.path).relative_to(case / "before").with_suffix("")
                module, made = ".".join(place.parts), one.target.name
                lines += [f"from .{module} import {made} as T{at}; reveal_type(T{at}.{one.reverse_name})"]
            (root / _package(case, state) / "ask.py").write_text("\n".join(lines), "utf-8")
    return root


def _package(case: Path, state: str) -> str:
    return f"{case.name}_{state}".replace("-", "_")


def _copy(tree: Path, package: Path) -> None:
    """Copy the modules of a tree into a package, and have them import each other from there."""
    paths = [path.relative_to(tree) for path in tree.rglob("*.py")]
    tops = "|".join({path.parts[0].removesuffix(".py") for path in paths})
    for path in paths:
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(rf"\bfrom (?={tops})", f"from {package.name}.", (tree / path).read_text("utf-8"))
        (package / path).write_text(text, "utf-8")
    (package / "__init__.py").touch()


def _mypy(root: Path) -> Said:
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", str(root / ".cache"), "."]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    said = Said({}, {})
    for line in done.stdout.splitlines():
        match = re.match(r"(\w+)/([\w/]+)\.py:(\d+): (error|note): (.*)", line)
        if match and match[4] == "error" and match[2] != "ask":
            said.errors.setdefault(match[1], set()).add(match[5])
        elif match and match[5].startswith("Revealed type"):
            said.types[match[1], int(match[3])] = match[5]
    assert said.types, done.stdout + done.stderr
    return said


def _pyright(root: Path) -> Said:
    (root / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', "utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    said = Said({}, {})
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        package, *inner = Path(one["file"]).resolve().relative_to(root.resolve()).parts
        if one["severity"] == "error" and inner != ["ask.py"]:
            said.errors.setdefault(package, set()).add(one["message"])
        elif one["severity"] == "information" and "Type of" in one["message"]:
            said.types[package, one["range"]["start"]["line"] + 1] = one["message"]
    return said


@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_type_checkers_see_what_they_could_not_see(root: Path, checker: Callable[[Path], Said]) -> None:
    said = checker(root)
    for case in CASES:
        before, after = _package(case, "before"), _package(case, "after")
        assert said.errors.get(after, set()) <= {*said.errors.get(before, ()), _NO_FIELD}
        for line, one in enumerate(_reverses(case), 1):
            assert one.reverse is not None
            seen = said.types.get((after, line), "Any")
            if one.reverse.hint is None:
                assert not _is_known(said.types.get((before, line), "Any")), one.title
            assert _is_known(seen) == (one.reverse.annotation is not None), (one.title, seen)
            assert one.reverse.annotation is None or one.source.name in seen


def _is_known(type_: str) -> bool:
    return not re.search(r"\b(Any|Unknown)\b", type_)
