"""Record the picture in the README: ``python examples/picture.py docs/terminal.svg``.

Runs the commands on a scratch copy of ``examples/bookshop`` and shows what they printed, in colour, as on a
terminal.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

EXAMPLE = Path(__file__).with_name("bookshop")
STEPS = [
    ("to-back-populates", "--color", "always", "bookshop/customers.py"),
    ("to-back-populates", "--write", "bookshop"),
    ("check", "bookshop"),
]


def main(target: Path) -> None:
    """Write the picture to ``target``."""
    console = Console(file=io.StringIO(), record=True, width=100, force_terminal=True)
    with tempfile.TemporaryDirectory(prefix="backpop-picture-") as folder:
        shutil.copytree(EXAMPLE, Path(folder, "bookshop"), ignore=shutil.ignore_patterns("__pycache__"))
        for step in STEPS:
            words = [word for word in step if word not in {"--color", "always"}]
            console.print(Text(f"$ backpop {' '.join(words)}", style="bold"))
            done = subprocess.run(
                [sys.executable, "-m", "backpop.cli", *step],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            console.print(Text.from_ansi(done.stdout))
            console.print()
    picture = console.export_svg(title="backpop", unique_id="backpop")
    # Pictures fetch no fonts: every viewer has one of its own for terminals.
    target.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
