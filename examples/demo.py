"""See backpop at work: ``python examples/demo.py``.

Converts a scratch copy of ``examples/bookshop`` as a user would, then shows with SQLAlchemy itself that the
models before and after mean the same. Exits with 1 if they do not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from backpop.codemods import probe

EXAMPLE = Path(__file__).with_name("bookshop")
MODULES = sorted(f"bookshop.{path.stem}" for path in EXAMPLE.glob("*.py") if path.stem != "__init__")
# The command that was installed together with the interpreter which runs this file.
BACKPOP = shutil.which("backpop", path=str(Path(sys.executable).parent)) or "backpop"

# Runs in a process of its own, on either version of the models: stores an order, and reads it from all ends.
STORE_AND_READ = """
import json
from bookshop import *
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    novels = Subject(name="Novels", broader=Subject(name="Fiction"))
    shelley = Author(name="Mary Shelley")
    shelley.books = [
        Book(title="Frankenstein", year=1818, subjects=[novels], publisher=Publisher(name="Lackington")),
        Book(title="the Last Man", year=1826, subjects=[novels]),
        Book(title="A Novel Never Finished", year=None, subjects=[novels]),
    ]
    ada = Customer(name="Ada", profile=Profile(newsletter=1), addresses=[Address(street="Dorset Street 1")])
    for book in shelley.books[:2]:
        ada.orders.append(
            Order(billing=ada.addresses[0], shipping=ada.addresses[0], lines=[OrderLine(book=book, copies=2)])
        )
        ada.reviews.append(Review(book=book, stars=book.year % 7))
    session.add_all([shelley, ada])
    session.commit()
    # An author takes the books along; what was not finished was never ordered.
    shelley.books.remove(next(book for book in shelley.books if not book.order_lines))
    session.commit()

with Session(engine) as session:
    ada = session.scalars(select(Customer)).one()
    fiction = session.scalars(select(Subject).where(~Subject.broader.has())).one()
    print(json.dumps({
        "books of the author, newest first": [book.title for book in session.get(Author, 1).books],
        "books of a subject, by title": [book.title for book in fiction.narrower[0].books],
        "orders, last first": [[line.book.title for line in order.lines] for order in ada.orders],
        "publishers": [book.publisher and book.publisher.name for book in session.scalars(select(Book))],
        "profile": ada.profile.newsletter,
        "billed to and shipped to": [[len(a.billed), len(a.shipped)] for a in ada.addresses],
        "stars": [[review.stars for review in book.reviews] for book in session.scalars(select(Book))],
        "orphans": len(session.scalars(select(OrderLine).where(~OrderLine.order.has())).all()),
    }))
"""


def main() -> int:
    """Run the demonstration; the result is the exit status."""
    with tempfile.TemporaryDirectory(prefix="backpop-demo-") as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        for tree in (before, after):
            shutil.copytree(EXAMPLE, tree / "bookshop", ignore=shutil.ignore_patterns("__pycache__"))

        heading("What backpop would change (nothing is written yet)")
        shown = run(BACKPOP, "to-back-populates", "bookshop", cwd=after)
        print(shown.stdout)
        print(shown.stderr)

        heading("Apply that patch with git, and ask again")
        if shutil.which("git"):
            run("git", "apply", "-", cwd=after, stdin=shown.stdout)
        else:
            print("(git is not installed: backpop writes the same bytes itself)")
            run(BACKPOP, "to-back-populates", "--write", "bookshop", cwd=after)
        again = run(BACKPOP, "to-back-populates", "bookshop", cwd=after)
        print(again.stderr)

        heading("Compare what SQLAlchemy makes of both")
        old, new = graph_of(before), graph_of(after)
        differences = probe.compare(old, new)
        relationships = sum(len(made["relationships"]) for made in new.get("classes", {}).values())
        print(f"SQLAlchemy {new.get('sqlalchemy')}: {len(new.get('classes', {}))} mapped classes,")
        print(f"{relationships} relationships, {len(new['warnings'])} warnings,")
        print(f"{len(differences)} differences")
        print(*differences, sep="\n")

        heading("Store an order with both, and read it back from every end")
        rows, rows_after = (
            json.loads(run(sys.executable, "-c", STORE_AND_READ, cwd=tree).stdout) for tree in (before, after)
        )
        for question, answer in rows.items():
            print(f"  {question}: {answer}")
        print(
            "the same after the conversion"
            if rows == rows_after
            else f"but after the conversion: {rows_after}"
        )

        return int(bool(differences or rows != rows_after or again.stdout))


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'=' * len(text)}\n")


def run(*command: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in ``cwd``; if it fails, say what it said and end the demonstration."""
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def graph_of(tree: Path) -> dict[str, Any]:
    """Return what SQLAlchemy makes of the models below ``tree``, found out in a process of its own."""
    answer = tree / "answer.json"
    request = {"modules": MODULES, "sys_path": [str(tree)], "answer": str(answer)}
    run(sys.executable, probe.__file__, cwd=tree, stdin=json.dumps(request))
    graph: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return graph


if __name__ == "__main__":
    sys.exit(main())
