"""How the tests run backpop: the one place that knows its entry."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# BP9 are notes beside a conversion, not refusals.
_REFUSAL = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?P<code>BP[0-8]\d\d) ", re.MULTILINE)


def convert(tree: Path) -> tuple[dict[str, bytes], list[str]]:
    """Convert the models below ``tree`` in place, with every ``backref=`` made explicit.

    Returns the bytes that its files have then, by relative path, and what was refused: sorted lines
    ``path:line CODE``. Raises ``AssertionError`` if the tool fails.
    """
    command = [sys.executable, "-m", "backpop.cli", "to-back-populates", "--write", str(tree)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refusals = [f"{m['path']}:{m['line']} {m['code']}" for m in _REFUSAL.finditer(done.stderr)]
    return files_of(tree), sorted(refusals)


def files_of(tree: Path) -> dict[str, bytes]:
    """Return the bytes of every file below ``tree``, by relative path."""
    paths = (path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in sorted(paths)}
