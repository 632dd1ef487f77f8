"""Mutation testing: is there a test that sees when a rule is wrong?

``make mutation`` changes one thing at a time in functions of ``codemods`` (a comparison, a constant, an
argument, a branch) and runs the conversions of ``fixtures``, and the tests beside them, until one fails. What
no test sees, a *survivor*, is shown as a diff: a rule without a test, needless code, or a change without a
meaning.

mutmut makes the mutants, and forks a process for each. It wants the package below its own name, so it works
in ``build/mutation``, on a copy. Left out are the words of messages (statements that raise),
what is decorated, and constants outside of functions: mutmut cannot change those.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "mutation"
SURVIVED, UNTESTED = 0, 33
RULES = sorted(f"plan/{path.stem}" for path in (ROOT / "codemods" / "plan").glob("[a-z]*.py"))
# Those that convert in this process; what SQLAlchemy says of the fixtures does not depend on our code.
TESTS = ("test_fixtures.py::test_conversion", "test_evaluate.py", "test_audit.py")
SETTINGS = """\
[tool.mutmut]
source_paths = ["backpop/codemods"]
only_mutate = {modules}
do_not_mutate_patterns = ['raise \\w+\\(', '^ *case .*-1']
pytest_add_cli_args = ["-p", "no:cacheprovider", "-k", "not of_sqlalchemy"]
pytest_add_cli_args_test_selection = {tests}
track_dependencies = false
use_git_change_detection = false

[tool.pytest.ini_options]
pythonpath = ["tests"]
addopts = ["--import-mode=importlib"]
"""


def main() -> None:
    """Print a line for each module, and the diff of each survivor."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="as plan/move; those of the planning if not given")
    parser.add_argument("--sample", type=int, help="how many mutants of each module; all if not given")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    given = parser.parse_args()
    modules = given.modules or RULES
    _prepare(modules)
    jobs = ("--max-children", str(given.jobs))
    said = _mutmut("run", *jobs, "none of them")  # makes the mutants, and times the tests
    if "nothing matches" not in said:
        sys.exit(said)
    chosen = random.Random(given.seed)
    names: set[str] = set()
    for module in modules:
        made = sorted(_results(module))
        names.update(chosen.sample(made, min(given.sample or len(made), len(made))))
    _mutmut("run", *jobs, *sorted(names))
    print(f"{'':20}{'of':>9}{'tried':>9}{'killed':>9}{'survived':>9}{'untested':>9}")
    survivors: list[str] = []
    for module in modules:
        results = _results(module)
        tried = {name: code for name, code in results.items() if name in names}
        survivors += sorted(name for name, code in tried.items() if code == SURVIVED)
        count = Counter(tried.values())
        killed = len(tried) - count[SURVIVED] - count[UNTESTED]
        figures = (len(results), len(tried), killed, count[SURVIVED], count[UNTESTED])
        print(f"{module:20}" + "".join(f"{figure:9}" for figure in figures), flush=True)
    for name in survivors:
        print(_mutmut("show", name), flush=True)


def _prepare(modules: list[str]) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder, place in (("codemods", "backpop/codemods"), ("tests", "tests")):
        shutil.copytree(ROOT / folder, FOLDER / place, ignore=shutil.ignore_patterns("__pycache__"))
    paths = json.dumps([f"backpop/codemods/{module}.py" for module in modules])
    tests = json.dumps([f"tests/{name}" for name in TESTS])
    (FOLDER / "pyproject.toml").write_text(SETTINGS.format(modules=paths, tests=tests), "utf-8")


def _results(module: str) -> dict[str, int | None]:
    """The exit status of the tests for each mutant of a module."""
    file = FOLDER / "mutants" / "backpop" / "codemods" / f"{module}.py.meta"
    results: dict[str, int | None] = json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return results


def _mutmut(*arguments: str) -> str:
    """What a command of mutmut prints; its display of what it does is left out."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(
        command, cwd=FOLDER, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout


if __name__ == "__main__":
    main()
