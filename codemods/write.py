"""Write all changes, or none of them.

Everything is checked and every new content is on the disk, in a temporary file beside its file, before the
first file is replaced. A failure after that puts back what was replaced.

A process that is killed can do neither, so the order matters too: the content with only the additions
(:attr:`FileChange.halfway`) replaces every file before the first file gets its final content. So the reverse
of a relationship is on the disk before its forward changes, and the next run, which recognises such a
reverse, completes what is left. Temporary files of the killed run belong to files that are left to do, and
are removed when these are written.

Another process that writes to the same files could undo half of that, so a run locks the folder that holds
all of its files, and one that finds it locked writes nothing. Readers are not kept out.

Replacing keeps the mode, the extended attributes and, where the system lets us, the owner; a symbolic link
goes on leading to the same file. It would cut a file off from its other hard links, so a file that has any
is refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods.edits import FileChange


class WriteError(Exception):
    """Changes that could not be written.

    ``path`` is the file that stood in the way, ``reason`` says what happened and what is on the disk now.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class _Step:
    """Replace a file, which must hold ``old``, by the temporary file ``staged``, which holds ``new``."""

    path: Path
    old: bytes
    new: bytes
    staged: Path


def write_changes(changes: Sequence[FileChange]) -> None:
    """Bring every file to its :attr:`FileChange.after`, or leave all of them as they are.

    Raises :class:`WriteError` if a file no longer has the bytes that it was read with, is read-only, is in a
    read-only folder or has other hard links, if two changes are of the same file, if another process is
    writing there, and if the system fails at any point. Then every file is as it was before the call; should
    the system fail at undoing as well, the reason names the files that could not be put back. On any other
    exception (Ctrl-C) it undoes the same, and lets it through.
    """
    needed = [change for change in changes if change.after != change.before]
    with _alone([change.path for change in needed]):
        _write(needed)


def _write(changes: Sequence[FileChange]) -> None:
    files: dict[Path, FileChange] = {}
    for change in changes:
        path = _checked(change)
        if path in files:
            raise WriteError(change.path, "is given twice; nothing was written")
        files[path] = change

    additions: list[_Step] = []
    rest: list[_Step] = []
    try:
        for path, change in files.items():
            _remove_leftovers(path)
            if change.halfway != change.before:
                additions.append(_step(path, change.before, change.halfway))
            if change.halfway != change.after:
                rest.append(_step(path, change.halfway, change.after))
        _replace_all(additions, rest)
    finally:
        _discard((*additions, *rest))


@contextmanager
def _alone(files: Sequence[Path]) -> Iterator[None]:
    """Keep all other writers out of some files; raises :class:`WriteError` if one is at work.

    ``flock`` leaves nothing on the disk and ends with the process. The deepest folder that holds all files is
    locked against everybody, and those around it against whoever wants all of them: two writers are in each
    other's way where one's folder holds the other's. Windows and some network file systems have no such
    locks, and a folder that cannot be opened gets none.
    """
    with ExitStack() as held:
        if sys.platform != "win32" and files:
            import fcntl

            folder = Path(os.path.commonpath([Path(os.path.realpath(file)).parent for file in files]))
            for each in (folder, *folder.parents):
                how = fcntl.LOCK_EX if each == folder else fcntl.LOCK_SH
                try:
                    number = os.open(each, os.O_RDONLY)
                    held.callback(os.close, number)
                    fcntl.flock(number, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    reason = "another process is changing files in it; nothing was written"
                    raise WriteError(each, reason) from None
                except OSError:
                    continue
        yield


def why_locked(path: Path) -> str | None:
    """Say why :func:`write_changes` would refuse a file whatever its content, or None if it would not.

    It refuses one that is missing or no regular file, is read-only, is in a read-only folder, or has other
    hard links.
    """
    try:
        path = path.resolve(strict=True)
        status = path.stat()
    except FileNotFoundError:
        return "vanished since it was read"
    except (OSError, RuntimeError) as error:  # the latter for links in a circle, before Python 3.13
        return f"cannot be read: {error}"
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    # For root every file is writable, but one without a single write bit was protected on purpose.
    if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
        return "is read-only"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return "is in a read-only folder"
    if status.st_nlink > 1:
        return f"has {status.st_nlink} hard links, of which replacing it would change only this one"
    return None


def _checked(change: FileChange) -> Path:
    """Return the file to replace once it is known that nothing speaks against replacing it."""
    reason = why_locked(change.path)
    if reason is None:
        try:
            path = change.path.resolve(strict=True)
            if path.read_bytes() == change.before:
                return path
            reason = "changed since it was read"
        except OSError as error:
            reason = f"cannot be read: {_cause(error)}"
    raise WriteError(change.path, f"{reason}; nothing was written")


def _prefix(path: Path) -> str:
    return f".{path.name}.backpop-"


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of a run that was killed before it replaced this file."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(path)):
                Path(entry.path).unlink(missing_ok=True)


def _discard(steps: Iterable[_Step]) -> None:
    """Remove the temporary files of steps that were not taken."""
    for step in steps:
        with suppress(OSError):
            step.staged.unlink(missing_ok=True)


def _step(path: Path, old: bytes, new: bytes) -> _Step:
    try:
        return _Step(path, old, new, _staged(path, new))
    except OSError as error:
        raise WriteError(path, f"cannot be written: {_cause(error)}; nothing was written") from error


def _staged(path: Path, content: bytes) -> Path:
    """Put ``content`` on the disk beside ``path``, in a file that differs from it in nothing else."""
    number, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
    staged = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            original, ours = path.stat(), os.fstat(number)
            if (original.st_uid, original.st_gid) != (ours.st_uid, ours.st_gid):
                with suppress(OSError):
                    os.chown(staged, original.st_uid, original.st_gid)
            shutil.copystat(path, staged)
            # The old time of change would have Python and make take what they built from the old content.
            os.utime(staged)
            os.fsync(number)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    return staged


def _replace_all(*phases: Sequence[_Step]) -> None:
    """Take all steps of each phase, or undo those taken. Raises :class:`WriteError`."""
    begun: list[_Step] = []
    try:
        for phase in phases:
            for step in phase:
                if step.path.read_bytes() != step.old:
                    raise WriteError(step.path, "changed while changes were being written")
                begun.append(step)
                step.staged.replace(step.path)
            for folder in {step.path.parent for step in phase}:
                _sync(folder)
    except BaseException as error:
        _discard(step for phase in phases for step in phase)  # undoing needs their room on the disk
        stuck = _undo(begun)
        if not isinstance(error, (OSError, WriteError)):
            raise
        outcome = (
            f"could not be put back: {', '.join(map(str, stuck))}" if stuck else "every file is as it was"
        )
        path = error.path if isinstance(error, WriteError) else step.path
        reason = error.reason if isinstance(error, WriteError) else f"cannot be replaced: {_cause(error)}"
        raise WriteError(path, f"{reason}; {outcome}") from error


def _undo(begun: Sequence[_Step]) -> list[Path]:
    """Give files their first content again, and return those where that failed."""
    first: dict[Path, bytes] = {}
    ours: dict[Path, set[bytes]] = {}
    for step in begun:
        first.setdefault(step.path, step.old)
        ours.setdefault(step.path, set()).add(step.new)
    stuck = []
    for path, content in reversed(first.items()):
        try:
            current = path.read_bytes()
            if current == content:
                continue
            if current not in ours[path]:
                # Somebody else wrote it meanwhile, and theirs must not be lost.
                stuck.append(path)
                continue
            staged = _staged(path, content)
            try:
                staged.replace(path)
            finally:
                staged.unlink(missing_ok=True)
        except OSError:
            stuck.append(path)
    return stuck


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk before anything else gets there, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _cause(error: OSError) -> str:
    return error.strerror or str(error)
