"""How the tests run backpop: the one place that knows its entry."""

from __future__ import annotations

from pathlib import Path

from backpop.codemods.plan.policy import Keep, Policy
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref
from backpop.codemods.write import write_changes


def command_of(case: Path) -> str:
    """Return the command of backpop that a case of ``fixtures`` is about."""
    file = case / "command.txt"
    return file.read_text("utf-8").strip() if file.exists() else "to-back-populates"


def plan(tree: Path, command: str = "to-back-populates") -> Outcome:
    """Return what a command of backpop, with its options, would do to the models below ``tree``."""
    name, *options = command.split()
    settings = Settings(writing=True)
    if name == "to-back-populates":
        assert not options
        return to_back_populates([tree], settings)
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
