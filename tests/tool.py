"""How the tests run backpop: the one place that knows its entry."""

from __future__ import annotations

from pathlib import Path

from backpop.codemods.run import Settings, to_back_populates
from backpop.codemods.write import write_changes


def convert(tree: Path) -> tuple[dict[str, bytes], list[str]]:
    """Convert the models below ``tree`` in place, with every ``backref=`` made explicit.

    Returns the bytes that its files have then, by relative path, and what was refused: sorted lines
    ``path:line CODE``. Raises ``AssertionError`` if a file cannot be read.
    """
    outcome = to_back_populates([tree], Settings(writing=True))
    assert not outcome.problems
    write_changes(outcome.changes)
    refusals = [f"{Path(one.path).relative_to(tree).as_posix()}:{one.line} {one.code}" for one in outcome.refusals]
    return files_of(tree), sorted(refusals)


def files_of(tree: Path) -> dict[str, bytes]:
    """Return the bytes of every file below ``tree``, by relative path."""
    paths = (path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in sorted(paths)}
