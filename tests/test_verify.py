"""``backpop verify`` and ``--verify``, as a user runs them."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from environments import PYTHONS
from tool import files_of

BASE = """\
try:
    from sqlalchemy.orm import declarative_base
except ImportError:
    from sqlalchemy.ext.declarative import declarative_base

Base = declarative_base()
"""
AUTHOR = """\
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from shop.base import Base


class Author(Base):
    __tablename__ = "author"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    books = relationship("Book", backref="author", lazy="joined")
"""
BOOK = """\
from sqlalchemy import Column, ForeignKey, Integer

from shop.base import Base


class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    author_id = Column(ForeignKey("author.id"))
"""
REVIEW = """\
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import relationship

from shop.base import Base


class Review(Base):
    __tablename__ = "review"
    id = Column(Integer, primary_key=True)
    book_id = Column(ForeignKey("book.id"))
    book = relationship("Book", backref="reviews")
"""
PACKAGE = "from shop import author, book, review\n"
# Tells an explicit reverse of this name from a generated one, as no code of the planner can know.
SPY = BASE.replace(
    "Base = declarative_base()",
    """
class Spy:
    @classmethod
    def __init_subclass__(cls, **options):
        if "{name}" in vars(cls):
            {then}
        super().__init_subclass__(**options)


Base = declarative_base(cls=Spy)""",
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a package of three models, which its ``__init__`` imports."""
    write(
        tmp_path / "shop",
        {"__init__": PACKAGE, "base": BASE, "author": AUTHOR, "book": BOOK, "review": REVIEW},
    )
    return tmp_path


def write(folder: Path, modules: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)


def spied(shop: Path, name: str, then: str) -> None:
    write(shop / "shop", {"base": SPY.format(name=name, then=then)})


def backpop(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backpop.cli", *arguments]
    given = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(
        command, cwd=cwd, env=given | environment, capture_output=True, text=True, check=False
    )


def git(*arguments: str, cwd: Path) -> None:
    settings = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    subprocess.run(["git", *settings, *arguments], cwd=cwd, check=True, capture_output=True)


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("python", PYTHONS)
def test_the_conversion_of_a_package_is_proved(shop: Path, python: str) -> None:
    paths, files = everything(shop), files_of(shop)
    done = backpop("verify", "shop", "--python", python, cwd=shop)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "2 relationships, 4 sides: identical\n"
    assert files_of(shop) == files
    assert everything(shop) == paths, "not even bytecode is written"


def test_a_proved_conversion_is_the_conversion(shop: Path) -> None:
    plain = backpop("to-back-populates", cwd=shop)
    proved = backpop("to-back-populates", "--verify", "shop", cwd=shop)
    assert proved.returncode == 0
    assert proved.stdout == plain.stdout != ""
    assert "2 relationships, 4 sides: identical\n" in proved.stderr
    done = backpop("to-back-populates", "--verify", "shop", "--write", cwd=shop)
    assert (done.returncode, done.stdout) == (0, "")
    assert "2 backrefs converted" in done.stderr
    assert backpop("to-back-populates", "--check", cwd=shop).returncode == 0


def test_what_differs_is_set_aside_and_the_rest_is_written(shop: Path) -> None:
    spied(shop, "author", "cls.author.doc = 'seen'")
    done = backpop("to-back-populates", "--verify", "shop", "--write", cwd=shop)
    assert done.returncode == 0
    assert "shop/author.py:11:34: BP701 " in done.stderr
    assert "shop.book.Book.author: doc: None -> seen" in done.stderr
    assert "2 relationships, 4 sides: identical\n" in done.stderr
    assert "1 backref converted in 2 files; 1 left as they are." in done.stderr
    assert "     1  BP701 " in done.stderr
    assert 'backref="author"' in (shop / "shop/author.py").read_text()
    assert "author" not in (shop / "shop/book.py").read_text().replace('"author.id"', "").replace(
        "author_id", ""
    )
    assert 'back_populates="reviews"' in (shop / "shop/review.py").read_text()
    assert backpop("to-back-populates", "--verify", "shop", "--strict", cwd=shop).returncode == 1


def test_differences_are_shown_beside_their_conversion(shop: Path) -> None:
    spied(shop, "author", "cls.author.doc = 'seen'")
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "shop/author.py:11:34: BP701 Author.books <-> Book.author",
        "    shop.book.Book.author: doc: None -> seen",
    ]
    assert done.stderr == "2 relationships, 4 sides: identical\n"


@pytest.mark.parametrize("name", ["author", "reviews"])
def test_what_breaks_everything_is_found_by_trial(shop: Path, name: str) -> None:
    spied(shop, name, "raise RuntimeError('not with me')")
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 2
    title, reason = done.stdout.splitlines()
    assert f"Book.{name}" in title
    assert reason == "    after: import failed in shop: RuntimeError: not with me"


def test_nothing_is_left_when_all_differ(shop: Path) -> None:
    spied(shop, "__tablename__", "{'author', 'reviews'} & set(vars(cls)) and 1 / 0")
    files = files_of(shop)
    done = backpop("to-back-populates", "--verify", "shop", "--write", cwd=shop)
    assert done.returncode == 0
    assert "No conversion is proved.\n" in done.stderr
    assert "2 left as they are." in done.stderr
    assert "     2  BP701 " in done.stderr
    assert files_of(shop) == files


def test_models_that_change_by_themselves_prove_nothing(shop: Path) -> None:
    """Even where the difference seems to be that of a conversion."""
    spied(shop, "books", "import os; cls.books.info['process'] = os.getpid()")
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 2
    assert (
        "error: the models cannot be compared: the same files are described differently each time"
        in done.stderr
    )


def test_what_the_modules_do_not_map_is_not_covered(shop: Path) -> None:
    write(shop / "shop", {"__init__": "from shop import author, book\n"})
    done = backpop("verify", "shop.author", "shop.book", cwd=shop)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "shop/review.py:11:33: BP702 Review.book <-> Book.reviews",
        "    shop.author, shop.book maps no Review.book and no Book.reviews",
    ]
    assert done.stderr == "1 relationship, 2 sides: identical\n"


def test_a_copy_elsewhere_proves_nothing(shop: Path) -> None:
    """The files of a conversion must be those that are imported."""
    shutil.copytree(shop / "shop", shop / "other")
    done = backpop("verify", "shop", "./other", cwd=shop)
    assert done.returncode == 2
    assert done.stdout.count("BP702") == 2
    assert done.stderr == "No conversion is proved.\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "import no_such_module",
            "shop cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("import sys; sys.exit(3)", "shop cannot be imported: SystemExit: 3"),
        ("1 +", "shop cannot be imported: SyntaxError: "),
        (
            "import os; os._exit(3)",
            "the models cannot be imported: the process ended without an answer, with status 3",
        ),
        ('print("noise"); import nowhere', "    noise\n"),
        (PACKAGE + 'review.Review.x = review.relationship("Nobody")', "the mappers cannot be configured: "),
    ],
)
def test_models_that_fail_before_are_an_error(shop: Path, source: str, expected: str) -> None:
    write(shop / "shop", {"__init__": source})
    paths, files = everything(shop), files_of(shop)
    done = backpop("to-back-populates", "./shop", "--write", "--verify", "shop", cwd=shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert "Nothing is proved, and nothing was written.\n" in done.stderr
    assert files_of(shop) == files
    assert everything(shop) == paths


def test_an_import_error_says_where_and_what_was_searched(shop: Path) -> None:
    write(shop / "shop", {"author": "import absent\n" + AUTHOR})
    done = backpop("verify", "shop", cwd=shop)
    assert f'File "{shop}/shop/author.py", line 1, in <module>' in done.stderr
    assert f"sys.path: {shop}{os.pathsep}" in done.stderr
    assert f"the interpreter: {sys.executable}" in done.stderr


def test_all_modules_that_cannot_be_imported_are_named(shop: Path) -> None:
    write(shop / "shop", {"old": "import absent", "older": "import missing", "__main__": "raise SystemExit"})
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 2
    assert "error: shop.old cannot be imported: ModuleNotFoundError" in done.stderr
    assert "  shop.older: ModuleNotFoundError: No module named 'missing'\n" in done.stderr
    assert "--verify-pattern '!shop.old'" in done.stderr
    patterns: tuple[str, ...] = ("--verify-pattern", "!shop.old*")
    assert backpop("verify", "shop", *patterns, cwd=shop).returncode == 0
    patterns = ("--verify-pattern", "*.author", "--verify-pattern", "*.book")
    assert backpop("verify", "shop", *patterns, cwd=shop).returncode == 0


def test_what_models_do_to_their_process_is_no_matter(shop: Path) -> None:
    noise = "import os, sys\nprint('on stdout')\nprint('on stderr', file=sys.stderr)\nos.chdir('/')\n"
    assert_all = "assert sys.argv[1:] == [] and not sys.stdin.read()\n"
    write(shop / "shop", {"__init__": noise + assert_all + PACKAGE})
    plain = backpop("to-back-populates", cwd=shop)
    done = backpop("to-back-populates", "--verify", "shop", cwd=shop)
    assert done.returncode == 0
    assert done.stdout == plain.stdout
    assert "on std" not in done.stderr


HANGING = """\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
open({pids!r}, "w").write(str(child.pid))
time.sleep(100)
"""


def test_a_hanging_import_ends(shop: Path) -> None:
    pids = shop / "pids"
    write(shop / "shop", {"review": HANGING.format(pids=str(pids))})
    start = time.monotonic()
    done = backpop("verify", "shop", "--verify-timeout", "2", cwd=shop)
    assert time.monotonic() - start < 30
    assert done.returncode == 2
    assert "in time (--verify-timeout): no answer within 2 seconds" in done.stderr
    assert_ended(int(pids.read_text()))


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_process(shop: Path, signum: int, status: int) -> None:
    pids = shop / "pids"
    write(shop / "shop", {"review": HANGING.format(pids=str(pids))})
    command = [sys.executable, "-m", "backpop.cli", "to-back-populates", "--verify", "shop", "--write"]
    # a test run in the background of a shell ignores SIGINT, and would hand that on
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        signal.signal(signal.SIGINT, before)
        try:
            deadline = time.monotonic() + 30
            while not (pids.exists() and pids.read_text()):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signum)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == status
    assert b"Traceback" not in output
    assert_ended(int(pids.read_text()))


def assert_ended(process: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        stat = Path(f"/proc/{process}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the process is still there")


def test_a_module_that_was_fine_by_itself_stays_so(shop: Path) -> None:
    """An explicit reverse needs the class that it names: without the package, nothing imports that."""
    write(shop / "shop", {"__init__": ""})
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "shop/author.py:11:34: BP701 Author.books <-> Book.author",
        "    shop.book: imported alone: works -> Book.author needs Author, which is not imported",
        "shop/review.py:11:33: BP701 Review.book <-> Book.reviews",
        "    shop.book: imported alone: works -> Book.reviews needs Review, which is not imported",
    ]
    done = backpop("verify", "shop", "--no-verify-alone", cwd=shop)
    assert (done.returncode, done.stderr) == (0, "2 relationships, 4 sides: identical\n")


def test_one_side_that_is_always_there_is_no_loss(shop: Path) -> None:
    write(shop / "shop", {"__init__": "", "book": f"import shop.author\n{BOOK}"})
    done = backpop("verify", "shop", cwd=shop)
    assert [line for line in done.stdout.splitlines() if "BP701" in line] == [
        "shop/review.py:11:33: BP701 Review.book <-> Book.reviews"
    ]


def test_setup_runs_first(shop: Path) -> None:
    needs = "import os\nassert os.environ['SHOP'] == 'open'\n"
    write(shop / "shop", {"base": needs + BASE})
    assert backpop("verify", "shop", cwd=shop).returncode == 2
    assert backpop("verify", "shop", cwd=shop, SHOP="open").returncode == 0
    code = "import os; os.environ['SHOP'] = 'open'"
    assert backpop("verify", "shop", "--verify-setup", code, cwd=shop).returncode == 0
    (shop / "prepare.py").write_text(code)
    assert backpop("verify", "shop", "--verify-setup", "prepare.py", cwd=shop).returncode == 0
    done = backpop("verify", "shop", "--verify-setup", "1 / 0", cwd=shop)
    assert done.returncode == 2
    assert "error: --verify-setup failed: ZeroDivisionError: division by zero" in done.stderr


def test_the_interpreter_may_be_a_command(shop: Path) -> None:
    write(shop / "shop", {"base": "import os\nassert os.environ['SHOP'] == 'open'\n" + BASE})
    command = shlex.join(["env", "SHOP=open", sys.executable])
    assert backpop("verify", "shop", "--python", command, cwd=shop).returncode == 0


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("/no/such/python", "error: the interpreter does not start: /no/such/python cannot be started: "),
        ("sh -c 'echo no python; exit 3'", "error: the models cannot be imported: "),
        ("'", "Usage: "),
        ("", "Usage: "),
    ],
)
def test_an_interpreter_that_is_none_is_an_error(shop: Path, python: str, expected: str) -> None:
    done = backpop("verify", "shop", "--python", python, cwd=shop)
    assert done.returncode == 2
    assert done.stderr.startswith(expected)
    assert "Traceback" not in done.stderr


def test_the_active_environment_is_the_default(shop: Path) -> None:
    active = shop / "environment"
    (active / "bin").mkdir(parents=True)
    (active / "bin" / "python").symlink_to(sys.executable)
    (shop / "shop" / "broken.py").write_text("import absent")
    done = backpop("verify", "shop", cwd=shop, VIRTUAL_ENV=str(active))
    assert f"the interpreter: {active}/bin/python" in done.stderr


def test_source_folders_are_found(shop: Path) -> None:
    (shop / "src").mkdir()
    (shop / "shop").rename(shop / "src" / "shop")
    # Were its folder in the path, it would hide the real one.
    write(shop / "src" / "tools", {"enum": "raise RuntimeError('not this one')"})
    for path in ("./src", "src/shop", "."):
        done = backpop("verify", "shop", path, cwd=shop)
        assert (done.returncode, done.stderr) == (0, "2 relationships, 4 sides: identical\n")


@pytest.mark.parametrize(
    "arguments", [("verify",), ("verify", "./shop"), ("to-back-populates", "--python", "x")]
)
def test_usage(shop: Path, arguments: tuple[str, ...]) -> None:
    assert backpop(*arguments, cwd=shop).returncode == 2


def test_the_way_back_is_proved_too(shop: Path) -> None:
    backpop("to-back-populates", "--write", cwd=shop)
    done = backpop("to-backref", "--verify", "shop", "--write", cwd=shop)
    assert done.returncode == 0
    assert "2 relationships, 4 sides: identical\n" in done.stderr
    assert "2 pairs converted" in done.stderr


def test_no_backref_is_nothing_to_prove(shop: Path) -> None:
    backpop("to-back-populates", "--write", cwd=shop)
    done = backpop("verify", "shop", cwd=shop)
    assert done.returncode == 0
    assert "nothing to verify" in done.stderr
    assert backpop("to-back-populates", "--verify", "shop", cwd=shop).returncode == 0


# Against a revision


@pytest.fixture
def committed(shop: Path) -> Path:
    git("init", "-q", cwd=shop)
    git("add", ".", cwd=shop)
    git("commit", "-qm", "backrefs", cwd=shop)
    return shop


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def by_hand(shop: Path, reverse: str = "") -> None:
    """Make one backref explicit."""
    edit(shop / "shop/author.py", "backref", "back_populates")
    edit(shop / "shop/book.py", "Integer\n", "Integer\nfrom sqlalchemy.orm import relationship\n")
    made = reverse or '    author = relationship("Author", back_populates="books")\n'
    edit(shop / "shop/book.py", '"author.id"))\n', f'"author.id"))\n{made}')


@pytest.mark.parametrize("python", PYTHONS)
def test_a_conversion_by_hand_is_proved(committed: Path, python: str) -> None:
    by_hand(committed)
    paths = everything(committed / "shop")
    done = backpop("verify", "shop", "--against", "HEAD", "--python", python, cwd=committed)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 relationships, 4 sides: identical\n"
    git("commit", "-qam", "pairs", cwd=committed)
    assert backpop("verify", "shop", "--against", "HEAD", cwd=committed).returncode == 0
    done = backpop("verify", "shop", "--against", "HEAD~1", cwd=committed / "shop")
    assert (done.returncode, done.stdout) == (0, "")
    assert everything(committed / "shop") == paths


def test_a_wrong_conversion_by_hand_is_shown(committed: Path) -> None:
    by_hand(committed, '    author = relationship("Author", lazy="joined", back_populates="books")\n')
    done = backpop("verify", "shop", "--against", "HEAD", cwd=committed)
    assert done.returncode == 2
    assert done.stdout == "shop.book.Book.author: lazy: select -> joined\n"
    assert done.stderr == "2 relationships, 4 sides: 1 difference\n"


def test_a_conversion_by_hand_that_breaks_is_shown(committed: Path) -> None:
    by_hand(committed, '    author = relationship("Author", back_populates="book")\n')
    done = backpop("verify", "shop", "--against", "HEAD", cwd=committed)
    assert done.returncode == 2
    assert "error: the mappers cannot be configured, with the change: InvalidRequestError" in done.stderr


def test_files_that_came_and_went_are_as_they_were(committed: Path) -> None:
    """A module that became a package, another that is gone, a third that is new."""
    package = committed / "shop"
    (package / "author").mkdir()
    (package / "author.py").rename(package / "author" / "__init__.py")
    text = (package / "review.py").read_text()
    (package / "review.py").unlink()
    write(package, {"critics": text, "__init__": "from shop import author, book, critics\n"})
    git("add", "shop/author", cwd=committed)
    done = backpop("verify", "shop", "--against", "HEAD", cwd=committed)
    assert done.returncode == 2
    assert {line.split(": ")[0] for line in done.stdout.splitlines()} == {
        "shop.critics.Review",
        "shop.review.Review",
        "shop.book.Book.reviews",
    }
    (package / "critics.py").rename(package / "review.py")
    write(package, {"__init__": PACKAGE})
    done = backpop("verify", "shop", "--against", "HEAD", cwd=committed)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 relationships, 4 sides: identical\n"


def test_list_for_none_is_equal_and_said(committed: Path) -> None:
    by_hand(committed)
    edit(committed / "shop/author.py", 'lazy="joined"', 'lazy="joined", collection_class=list')
    done = backpop("verify", "shop", "--against", "HEAD", cwd=committed)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "2 relationships, 4 sides: identical",
        "note: list in place of None as collection class, which is the same: shop.author.Author.books",
    ]


@pytest.mark.parametrize("revision", ["no-such-branch", "--output=x", "HEAD:shop"])
def test_a_revision_that_is_none_is_an_error(committed: Path, revision: str) -> None:
    done = backpop("verify", "shop", f"--against={revision}", cwd=committed)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_revisions_are_those_of_git(shop: Path) -> None:
    done = backpop("verify", "shop", "--against", "HEAD", cwd=shop)
    assert done.returncode == 2
    assert "is in no git work tree" in done.stderr
