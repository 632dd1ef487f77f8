"""All or nothing, in an order that a killed run leaves something that the next one completes."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backpop.codemods.edits import Edit, FileChange
from backpop.codemods.write import WriteError, why_locked, write_changes

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and signals as POSIX has them")


def pair(folder: Path, name: str = "model") -> list[FileChange]:
    """Two files that each hold the forward of one relationship and the reverse of the other's."""
    changes = []
    for side in ("a", "b"):
        path = folder / f"{name}_{side}.py"
        path.write_bytes(b"import x\nforward\n")
        addition = Edit(17, 17, b"reverse\n")
        changes.append(FileChange(path, path.read_bytes(), (Edit(9, 16, b"FORWARD"), addition), (addition,)))
    return changes


def contents(changes: list[FileChange]) -> list[bytes]:
    return [change.path.read_bytes() for change in changes]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which no temporary file may be left."""
    yield tmp_path
    assert [path for path in tmp_path.rglob("*") if "backpop" in path.name] == []


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the calls of ``os.replace`` with these numbers fail, counted from 1."""

    def patched(*numbers: int, error: BaseException) -> None:
        replace, calls = os.replace, iter(range(1, 100))

        def failing(source: Path, target: Path) -> None:
            if next(calls) in numbers:
                raise error
            replace(source, target)

        monkeypatch.setattr(os, "replace", failing)

    return patched


def test_nothing_to_write_touches_nothing(folder: Path) -> None:
    path = folder / "a.py"
    path.write_bytes(b"a")
    before = path.stat()
    write_changes([])
    write_changes([FileChange(path, b"a", ()), FileChange(path, b"a", (Edit(0, 1, b"a"),))])
    assert path.stat() == before


def test_every_file_is_written(folder: Path) -> None:
    changes = pair(folder)
    write_changes(changes)
    assert contents(changes) == [b"import x\nFORWARD\nreverse\n"] * 2


def test_additions_are_everywhere_before_anything_else_is_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = pair(folder)
    only_first = FileChange(folder / "first.py", b"", (Edit(0, 0, b"reverse"),), (Edit(0, 0, b"reverse"),))
    only_rest = FileChange(folder / "rest.py", b"f", (Edit(0, 1, b"F"),))
    changes = [only_rest, *both, only_first]
    for change in changes:
        change.path.write_bytes(change.before)
    replaced = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        replaced.append((Path(target).name, Path(source).read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_changes(changes)
    assert replaced == [
        ("model_a.py", both[0].halfway),
        ("model_b.py", both[1].halfway),
        ("first.py", b"reverse"),
        ("rest.py", b"F"),
        ("model_a.py", both[0].after),
        ("model_b.py", both[1].after),
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")]
)
def test_a_failure_undoes_everything(
    folder: Path, fail_at: Callable[..., None], number: int, error: OSError
) -> None:
    changes = pair(folder)
    fail_at(number, error=error)
    with pytest.raises(WriteError, match=f"{error.strerror}; every file is as it was") as caught:
        write_changes(changes)
    assert caught.value.path == changes[(number - 1) % 2].path
    assert contents(changes) == [change.before for change in changes]


def test_an_interruption_undoes_everything_and_goes_on(folder: Path, fail_at: Callable[..., None]) -> None:
    changes = pair(folder)
    fail_at(4, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


def test_an_interruption_just_after_a_replacement_undoes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = pair(folder)
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        replace(source, target)
        monkeypatch.setattr(os, "replace", replace)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


def test_what_cannot_be_undone_is_named(folder: Path, fail_at: Callable[..., None]) -> None:
    changes = pair(folder)
    fail_at(2, 3, error=OSError(5, "Input/output error"))
    with pytest.raises(WriteError, match=r"could not be put back: .*model_a\.py$") as caught:
        write_changes(changes)
    assert caught.value.path == changes[1].path
    assert contents(changes) == [changes[0].halfway, changes[1].before]


def test_what_others_wrote_meanwhile_is_not_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = pair(folder)
    replace = os.replace

    def meanwhile(source: Path, target: Path) -> None:
        replace(source, target)
        changes[1].path.write_bytes(b"theirs")

    monkeypatch.setattr(os, "replace", meanwhile)
    with pytest.raises(WriteError, match="changed while changes were being written; every file is as it was"):
        write_changes(changes)
    assert contents(changes) == [changes[0].before, b"theirs"]


def test_a_full_disk_while_staging_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = pair(folder)
    calls = iter(range(10))

    def full(number: int) -> None:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left on device; nothing was written"):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


@posix
@pytest.mark.parametrize(
    ("place", "stopped"), [("ours", True), ("ours/below", True), (".", True), ("theirs", False)]
)
def test_another_run_in_the_same_place_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, stopped: bool
) -> None:
    """It starts while this one writes. What one of them holds open is not told apart by process."""
    for name in ("ours", "ours/below", "theirs"):
        (folder / name).mkdir()
    ours, theirs = pair(folder / "ours"), pair(folder / place, "other")
    replace = os.replace

    def meanwhile(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "replace", replace)
        if stopped:
            with pytest.raises(WriteError, match="another process is changing files in it; nothing"):
                write_changes(theirs)
            assert contents(theirs) == [change.before for change in theirs]
        else:
            write_changes(theirs)
        replace(source, target)

    monkeypatch.setattr(os, "replace", meanwhile)
    write_changes(ours)
    assert contents(ours) == [change.after for change in ours]
    if stopped:
        write_changes(theirs)
    assert contents(theirs) == [change.after for change in theirs]


@posix
def test_where_nothing_can_be_locked_files_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def unsupported(number: int, how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    changes = pair(folder)
    monkeypatch.setattr(fcntl, "flock", unsupported)
    write_changes(changes)
    assert contents(changes) == [change.after for change in changes]


def test_a_file_that_changed_since_stops_all(folder: Path) -> None:
    changes = pair(folder)
    changes[1].path.write_bytes(b"changed")
    with pytest.raises(WriteError, match="changed since it was read; nothing was written") as caught:
        write_changes(changes)
    assert caught.value.path == changes[1].path
    assert contents(changes) == [changes[0].before, b"changed"]


def test_a_file_that_vanished_stops_all(folder: Path) -> None:
    changes = pair(folder)
    changes[1].path.unlink()
    with pytest.raises(WriteError, match="vanished since it was read; nothing was written"):
        write_changes(changes)
    assert changes[0].path.read_bytes() == changes[0].before
    assert not changes[1].path.exists()


def test_the_same_file_twice_stops_all(folder: Path) -> None:
    changes = pair(folder)
    with pytest.raises(WriteError, match="given twice; nothing was written"):
        write_changes([*changes, changes[0]])
    assert contents(changes) == [change.before for change in changes]


def test_a_folder_in_place_of_a_file_stops_all(folder: Path) -> None:
    changes = pair(folder)
    changes[1].path.unlink()
    changes[1].path.mkdir()
    with pytest.raises(WriteError, match="is no regular file; nothing was written"):
        write_changes(changes)
    assert changes[0].path.read_bytes() == changes[0].before


@posix
def test_what_would_be_refused_can_be_asked_before(folder: Path) -> None:
    changes = pair(folder)
    [path, other] = [change.path for change in changes]
    assert why_locked(path) is None
    link = folder / "link.py"
    link.symlink_to(path)
    assert why_locked(link) is None
    os.link(other, folder / "other.py")
    assert why_locked(other) == "has 2 hard links, of which replacing it would change only this one"
    path.chmod(0o444)
    assert why_locked(path) == why_locked(link) == "is read-only"
    assert why_locked(folder) == "is no regular file"
    assert why_locked(folder / "nowhere.py") == "vanished since it was read"
    circle = folder / "circle.py"
    circle.symlink_to(circle)
    assert str(why_locked(circle)).startswith("cannot be read: ")


@posix
def test_a_read_only_file_stops_all(folder: Path) -> None:
    changes = pair(folder)
    changes[1].path.chmod(0o444)
    with pytest.raises(WriteError, match="is read-only; nothing was written"):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


def test_a_read_only_folder_stops_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = pair(folder)
    # Root may write everywhere, so what the system would answer to others is simulated.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    with pytest.raises(WriteError, match="is in a read-only folder; nothing was written"):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


@posix
def test_a_file_with_other_hard_links_stops_all(folder: Path) -> None:
    changes = pair(folder)
    os.link(changes[1].path, folder / "other.py")
    with pytest.raises(WriteError, match=r"has 2 hard links, .*; nothing was written"):
        write_changes(changes)
    assert contents(changes) == [change.before for change in changes]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755, 0o200 | 0o444])
def test_the_mode_is_kept(folder: Path, mode: int) -> None:
    changes = pair(folder)
    changes[0].path.chmod(mode)
    write_changes(changes)
    assert stat.S_IMODE(changes[0].path.stat().st_mode) == mode


@posix
def test_the_owner_is_kept(folder: Path) -> None:
    changes = pair(folder)
    try:
        os.chown(changes[0].path, 12345, 54321)
    except PermissionError:
        pytest.skip("only root can give a file away")
    write_changes(changes)
    status = changes[0].path.stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)


def test_the_time_of_change_is_new(folder: Path) -> None:
    """Else Python would go on with the bytecode of the old content if the size is the same."""
    path = folder / "a.py"
    path.write_bytes(b"a")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    write_changes([FileChange(path, b"a", (Edit(0, 1, b"b"),))])
    assert path.stat().st_mtime > time.time() - 60


@posix
def test_a_symbolic_link_stays_one(folder: Path) -> None:
    real = folder / "real"
    real.mkdir()
    [change, _] = pair(real)
    link = folder / "link.py"
    link.symlink_to(change.path)
    write_changes([FileChange(link, change.before, change.edits, change.first)])
    assert link.is_symlink()
    assert change.path.read_bytes() == change.after
    assert not change.path.is_symlink()


@posix
def test_a_link_and_its_file_are_one_file(folder: Path) -> None:
    [change, _] = pair(folder)
    link = folder / "link.py"
    link.symlink_to(change.path)
    with pytest.raises(WriteError, match="given twice"):
        write_changes([change, FileChange(link, change.before, change.edits, change.first)])


def test_temporary_files_of_a_killed_run_are_removed(folder: Path) -> None:
    changes = pair(folder)
    (folder / ".model_a.py.backpop-k1ll3d_x").write_bytes(b"")
    (folder / ".model_b.py.backpop-k1ll3d_y").write_bytes(b"")
    write_changes(changes)
    assert contents(changes) == [change.after for change in changes]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from backpop.codemods.edits import Edit, FileChange
from backpop.codemods.write import write_changes

folder, number = Path(sys.argv[1]), int(sys.argv[2])
addition = Edit(17, 17, b"reverse\\n")
edits = (Edit(9, 16, b"FORWARD"), addition)
paths = sorted(folder.glob("model*.py"))
changes = [FileChange(path, path.read_bytes(), edits, (addition,)) for path in paths]
replace, calls = os.replace, iter(range(1, 1000))

def killed(source, target):
    if next(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = killed
print("ready", flush=True)
write_changes(changes)
"""


def assert_resumable(changes: list[FileChange]) -> None:
    """What a killed run left: each file whole, no forward without all reverses; and the rest can be done."""
    found = contents(changes)
    for change, content in zip(changes, found, strict=True):
        assert content in (change.before, change.halfway, change.after)
    if any(content == change.after for change, content in zip(changes, found, strict=True)):
        assert all(content != change.before for change, content in zip(changes, found, strict=True))

    remaining = []
    for change, content in zip(changes, found, strict=True):
        if content == change.before:
            remaining.append(change)
        elif content == change.halfway:
            # The next run reads the reverse that is there, and so has only the forward to change.
            rest = tuple(edit for edit in change.edits if edit not in change.first)
            remaining.append(FileChange(change.path, content, rest))
    write_changes(remaining)
    assert contents(changes) == [change.after for change in changes]


@posix
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_killed_between_two_files_is_completed_by_the_next(folder: Path, number: int) -> None:
    changes = pair(folder)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, str(number)], capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr.decode()
    assert_resumable(changes)


@posix
@pytest.mark.parametrize("seed", range(6))
def test_a_run_killed_at_any_moment_is_completed_by_the_next(folder: Path, seed: int) -> None:
    changes = [change for index in range(40) for change in pair(folder, f"model_{index:02}")]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, folder, "0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.15))
        process.kill()
    assert_resumable(changes)
