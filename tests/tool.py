"""How the tests run backpop: the one place that knows its entry."""

from __future__ import annotations

from contextlib import chdir
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from backpop.codemods.plan.policy import Annotate, Keep, Placement, Policy
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref
from backpop.codemods.write import write_changes

FIXTURES = Path(__file__).with_name("fixtures")


@dataclass(frozen=True)
class Done:
    """What a run of the command line gave."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path, stdin: bytes | None = None) -> Done:
    """Run the command line within this process: many times faster than in one of its own."""
    from typer.testing import CliRunner

    from backpop.cli.main import app

    with chdir(cwd):
        result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="backpop")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def command_of(case: Path) -> str:
    """Return the command of backpop that a case of ``fixtures`` is about."""
    file = case / "command.txt"
    return file.read_text("utf-8").strip() if file.exists() else "to-back-populates"


def plan(tree: Path, command: str = "to-back-populates") -> Outcome:
    """Return what a command of backpop, with its options, would do to the models below ``tree``."""
    name, *options = command.split()
    named = tuple(after for flag, after in pairwise(options) if flag == "--factory")
    settings = Settings(writing=True, factories=named)
    if name == "to-back-populates":
        annotate = options[options.index("--annotate") + 1] if "--annotate" in options else "auto"
        placement = options[options.index("--placement") + 1] if "--placement" in options else "auto"
        chosen = settings._replace(annotate=Annotate(annotate), placement=Placement(placement))
        return to_back_populates([tree], chosen)
    assert name == "to-backref"
    keep = options[options.index("--keep") + 1] if "--keep" in options else "configured"
    flags = ("--options", "--many-to-many", "--drop-annotations")
    return to_backref([tree], settings, Policy(Keep(keep), *(flag in options for flag in flags)))


def convert(tree: Path, command: str = "to-back-populates") -> tuple[dict[str, bytes], list[str]]:
    """Convert the models below ``tree`` in place.

    Returns the bytes that its files have then, by relative path, and what was refused: sorted lines
    ``path:line CODE``, with the notes of ``to-backref`` among them. Raises ``AssertionError`` if a file
    cannot be read.
    """
    outcome = plan(tree, command)
    assert not outcome.problems
    write_changes(outcome.changes)
    reports = [*outcome.refusals, *(note for note in outcome.notes if note.code != "BP901")]
    lines = [f"{Path(one.path).relative_to(tree).as_posix()}:{one.line} {one.code}" for one in reports]
    return files_of(tree), sorted(lines)


def files_of(tree: Path) -> dict[str, bytes]:
    """Return the bytes of every file below ``tree``, by relative path."""
    paths = (path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in sorted(paths)}
