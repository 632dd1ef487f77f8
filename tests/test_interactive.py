"""``--interactive`` in a pseudo-terminal: what is asked, and that exactly what was accepted is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_review import MIXIN
from tool import files_of, run

from backpop.codemods.run import to_back_populates

pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
ROOT = Path(__file__).parent.parent


def _answer(answers: str, *arguments: str, cwd: Path) -> tuple[int, str]:
    """Run a conversion that is answered so; the exit status, and all that the terminal shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "backpop.cli", *(arguments or ("to-back-populates",)), "--interactive"]
    environment = {**os.environ, "TERM": "dumb"}
    process = subprocess.Popen(
        command, cwd=cwd, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    shown = b""
    while True:
        try:
            data = os.read(ours, 10_000)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.communicate()[0] == b""
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples/bookshop", tmp_path / "bookshop", ignore=shutil.ignore_patterns("__py*"))
    return tmp_path


def test_only_what_was_accepted_is_written(shop: Path) -> None:
    outcome = to_back_populates([shop])
    sites = [one.site for one in outcome.conversions]
    expected = {change.path: change.after for change in outcome.only([sites[1]]).changes}
    status, shown = _answer("n\ny\nq\n", cwd=shop)
    assert status == 0
    assert "(1/13) Publisher.books <-> Book.publisher" in shown
    assert 'Direction: one-to-many\n    Target: "Book" is Book at bookshop/catalogue.py:36' in shown
    assert '-    books = relationship("Book", backref="publisher", passive_deletes=True)' in shown
    assert '+    publisher = relationship("Publisher", back_populates="books")' in shown
    assert "1 backref converted in 1 file" in shown
    for path, data in files_of(shop).items():
        before = (ROOT / "examples" / path).read_bytes()
        assert data == expected.get(shop / path, before)


def test_all_and_none_of_a_file(shop: Path) -> None:
    status, shown = _answer("a\nd\n?\nx\ny\nn\nq\n", cwd=shop)
    assert status == 0
    assert shown.count("Convert this pair [y,n,a,d,q,?]? ") == 7
    assert shown.count("y  convert this pair\n") == 2  # for ? and for what is no answer
    left = [Path(one.home.path).name for one in to_back_populates([shop]).conversions]
    assert "catalogue.py" not in left
    assert left.count("customers.py") == 2
    assert left.count("orders.py") == 4


@pytest.mark.parametrize("answers", ["q\n", "\x04"], ids=["quit", "end of input"])
def test_nothing_accepted_is_nothing_written(shop: Path, answers: str) -> None:
    before = files_of(shop)
    status, shown = _answer(answers, cwd=shop)
    assert (status, files_of(shop)) == (0, before)
    assert "0 backrefs converted" in shown


def test_a_mixin_is_one_question(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MIXIN, "utf-8")
    status, shown = _answer("y\n", cwd=tmp_path)
    assert status == 0
    assert "(1/1) Book.owner <-> User.books" in shown
    assert "(1/1) Pen.owner <-> User.pens" in shown
    assert "Convert these 2 pairs [y,n,a,d,q,?]? " in shown
    assert shown.count("back_populates=cls.__name__.lower()") == 1
    assert (tmp_path / "models.py").read_text("utf-8").count("relationship(") == 3


def test_the_other_way(shop: Path) -> None:
    before = files_of(shop)
    run("to-back-populates", "--write", cwd=shop)
    status, shown = _answer("y\nq\n", "to-backref", cwd=shop)
    assert status == 0
    assert '-    publisher = relationship("Publisher", back_populates="books")' in shown
    assert "1 pair converted" in shown
    catalogue = "bookshop/catalogue.py"
    assert b'backref="publisher"' in files_of(shop)[catalogue]
    assert files_of(shop)[catalogue] != before[catalogue]


def test_control_characters_are_shown_as_such(tmp_path: Path) -> None:
    source = MIXIN.replace('relationship("User", b', 'relationship("User", doc="\x1b[2J\x9b2J\u202e", b')
    (tmp_path / "a\x1b[31m.py").write_text(source, "utf-8")
    _, shown = _answer("q\n", cwd=tmp_path)
    assert r"a\x1b[31m.py:" in shown
    assert r"\x1b[2J\x9b2J\u202e" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--interactive needs a terminal"),
        (["--check"], "exclude each other"),
        (["--output-format", "json"], "for machines"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense(tmp_path: Path, arguments: list[str], reason: str) -> None:
    done = run("to-back-populates", "-i", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr
