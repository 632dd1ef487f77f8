"""The Python files of a git work tree as they were at a revision, where they differ from those on disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from backpop.codemods.discover import discover, git_root

# The modes of regular files; others are symbolic links and submodules.
_FILES = frozenset({b"100644", b"100755"})


class RevisionError(Exception):
    """What git has against a revision, for a person."""


def files_at(revision: str, path: Path) -> dict[str, bytes | None]:
    """Return absolute path -> bytes at ``revision`` of all that differ in the work tree around ``path``.

    Files that are there now but were not then are None: those that git knows, and new ones that it does not
    ignore. Files that were there then and are gone are among the rest. Raises :class:`RevisionError` if there
    is no such work tree or no such revision.
    """
    root = git_root(path.resolve())
    if root is None:
        raise RevisionError(f"{path} is in no git work tree")
    if revision.startswith("-"):  # git would take it for an option
        raise RevisionError(f"no such revision: {revision}")
    commit = _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    then = _blobs(_git(root, "ls-tree", "-r", "-z", "--full-tree", commit))
    differing = _git(root, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", commit, "--")
    changed = {name for name in differing.split(b"\0") if name in then}
    contents = _contents(root, [then[name] for name in sorted(changed)])
    found: dict[str, bytes | None] = {
        os.path.join(root, os.fsdecode(name)): data  # noqa: PTH118  not normalised: git's own spelling
        for name, data in zip(sorted(changed), contents, strict=True)
    }
    new = {file for file in discover([root]).files if os.fsencode(os.path.relpath(file, root)) not in then}
    return found | dict.fromkeys(sorted(new))


def _blobs(listing: bytes) -> dict[bytes, bytes]:
    """The Python files in what ``git ls-tree -r -z`` printed: path -> object name."""
    found = {}
    for entry in filter(None, listing.split(b"\0")):
        kind, _, path = entry.partition(b"\t")
        mode, _, name = kind.split(b" ")
        if mode in _FILES and path.endswith(b".py"):
            found[path] = name
    return found


def _contents(root: Path, names: Sequence[bytes]) -> list[bytes]:
    """The contents of objects, in their order."""
    answer = _git(root, "cat-file", "--batch", stdin=b"".join(name + b"\n" for name in names))
    found = []
    position = 0
    for _ in range(len(names)):
        end = answer.index(b"\n", position)
        name, *_, size_text = answer[position:end].split(b" ")
        if not size_text.isdigit():
            raise RevisionError(f"git has lost an object: {name.decode()}")
        size = int(size_text)
        found.append(answer[end + 1 : end + 1 + size])
        position = end + size + 2
    return found


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise RevisionError(f"git cannot be started: {error.strerror or error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RevisionError(said[0] if said else f"git {arguments[0]} failed")
    return done.stdout
