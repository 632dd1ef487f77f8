"""Which files to read: the Python files below the folders that were asked for.

In a git work tree git is asked, which knows every kind of ignore rule; elsewhere the folders are walked.
Files are strings, not ``Path`` objects: for a hundred thousand of them, making those would take longer than
finding them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Folders that hold no source of the project. Where git is asked, files in them that are tracked are taken.
# fmt: off
_NEVER_SOURCE = frozenset({
    ".bzr", ".direnv", ".eggs", ".git", ".git-rewrite", ".hg", ".hypothesis", ".ipynb_checkpoints",
    ".mypy_cache", ".nox", ".pyenv", ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__",
    "__pypackages__", "buck-out", "build", "dist", "node_modules", "site-packages", "venv",
})
# fmt: on


class Discovery(NamedTuple):
    """What a search found.

    ``files`` are absolute paths without symbolic links, sorted, each once. ``missing`` are those of the given
    paths that do not exist. ``unreadable`` are folders whose content could not be listed,
    and given paths that are neither file nor folder.
    """

    files: tuple[str, ...]
    missing: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def discover(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    exclude_from: Path | None = None,
    gitignore: bool = True,
) -> Discovery:
    """Find the files that ``paths`` stand for.

    A path of a file stands for that file, whatever its name and whatever ignores it. A folder stands for
    every ``*.py`` file below it except for what git ignores (unless ``gitignore`` is false), for folders that
    never hold source (virtual environments, caches, build output) and for what matches ``exclude``: patterns
    as in a ``.gitignore`` that stands in that folder, or in ``exclude_from`` where that is above. A folder
    that is itself ignored or of such a name is searched all the same when it is named. Symbolic links that
    are met in a search are left alone: what they lead to is found by itself, or is no part of what was asked
    for. Nor are git submodules entered, as one patch cannot reach into them: name them.

    Raises ``ValueError`` for a malformed ``exclude`` pattern.
    """
    excluded = matcher(exclude) if exclude else None
    above = os.path.join(os.path.realpath(exclude_from), "") if exclude_from is not None else None
    files: set[str] = set()
    missing: list[Path] = []
    unreadable: list[Path] = []
    for path in paths:
        real = os.path.realpath(path)
        if os.path.isdir(real):
            found = _search(real, gitignore, unreadable)
            if excluded:
                inner = os.path.join(real, "")
                start = len(above if above is not None and inner.startswith(above) else inner)
                files.update(file for file in found if not excluded.match_file(file[start:]))
            else:
                files.update(found)
        elif os.path.isfile(real):
            files.add(real)
        elif os.path.exists(real):  # reading a device or a pipe may never end
            unreadable.append(Path(real))
        else:
            missing.append(path)
    return Discovery(tuple(sorted(files)), tuple(missing), tuple(sorted(set(unreadable))))


def git_root(path: Path) -> Path | None:
    """Return the top folder of the git work tree that holds ``path``, or None outside of any.

    ``path`` is an absolute file or folder without symbolic links. No process is started for it.
    """
    for folder in (path, *path.parents):
        mark = folder / ".git"
        # A file in linked work trees and submodules. A folder without HEAD is none that git would accept.
        if mark.is_file() or (mark / "HEAD").exists():
            return folder
    return None


def patch_root(files: Iterable[str], current: Path) -> Path:
    """Return the folder that the paths in a patch of ``files`` are relative to.

    It is the git work tree's top folder when all files are in the same one; else ``current`` (the current
    folder, absolute) when it holds them all, else the deepest folder that does.
    """
    folders = {Path(file).parent for file in files}
    if not folders:
        return git_root(current) or current
    roots = {git_root(folder) for folder in folders}
    if len(roots) == 1 and (root := roots.pop()):
        return root
    if all(folder.is_relative_to(current) for folder in folders):
        return current
    return Path(os.path.commonpath(folders))


def _search(folder: str, gitignore: bool, unreadable: list[Path]) -> Iterable[str]:
    root = git_root(Path(folder)) if gitignore else None
    names = _git_names(folder, is_root=folder == str(root)) if root else None
    if names is not None:
        return _present(folder, names, unreadable)
    return _walk(folder, root, gitignore, unreadable)


def _git_names(folder: str, is_root: bool) -> list[str] | None:
    """Ask git for the Python files below a folder, with "/" and relative to it.

    None if git cannot tell: it is not installed, it does not trust the repository's owner, it could not read
    something, or it ignores the folder itself, so that it would hide the files that were asked for.
    """
    never = [f"--exclude={name}/" for name in sorted(_NEVER_SOURCE)]
    try:
        if not is_root and _git(folder, "check-ignore", "--quiet", "--no-index", ".").returncode != 1:
            return None
        listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", *never)
    except OSError:
        return None
    if listed.returncode or listed.stderr:
        return None
    return [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name.endswith(b".py")]


def _git(folder: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask git, so that the repository's settings, which whoever made it wrote, cannot have it run anything.

    Those can name a file system monitor, hooks, and a transport to fetch what a partial clone lacks.
    """
    settings = ("-c", "core.fsmonitor=", "-c", f"core.hooksPath={os.devnull}")
    return subprocess.run(
        ["git", "-C", folder, *settings, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, "GIT_ALLOW_PROTOCOL": ""},
    )


def _present(folder: str, names: Iterable[str], unreadable: list[Path]) -> Iterator[str]:
    """Yield the regular files among the names that git listed: not those deleted since, nor links.

    One listing of a folder tells this for all its files; that is several times faster than to ask for each.
    """
    by_folder: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        head, _, tail = name.rpartition("/")
        by_folder[head].add(tail)
    inside = {"": True}
    for head, tails in by_folder.items():
        if not _is_inside(folder, head, inside):
            continue
        current = os.path.join(folder, *filter(None, head.split("/")))
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.name in tails:
                        tails.remove(entry.name)
                        if entry.is_file(follow_symlinks=False):
                            yield entry.path
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            unreadable.append(Path(current))
            continue
        # What is left was deleted, or the file system spells it otherwise (case, Unicode normal form).
        for tail in tails:
            path = os.path.join(current, tail)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def _is_inside(folder: str, head: str, known: dict[str, bool]) -> bool:
    """Whether what git lists below ``head`` is below ``folder``: not where a folder became a link since.

    Nor where the index was made by hand: git does not check the names that it reads from it.
    """
    if head not in known:
        parent, _, name = head.rpartition("/")
        known[head] = (
            name != os.pardir
            and _is_inside(folder, parent, known)
            and not os.path.islink(os.path.join(folder, *filter(None, head.split("/"))))
        )
    return known[head]


# The length of the path of a .gitignore's folder, "/" included, and its patterns.
_Rule = tuple[int, "GitIgnoreSpec"]


def _walk(folder: str, root: Path | None, gitignore: bool, unreadable: list[Path]) -> Iterator[str]:
    stack = [(folder, _rules_above(folder, root))]
    while stack:
        current, rules = stack.pop()
        try:
            with os.scandir(current) as listing:
                entries = list(listing)
        except OSError:
            unreadable.append(Path(current))
            continue
        if gitignore and any(entry.name == ".gitignore" for entry in entries):
            rules = [*rules, *_rules_in(current)]
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NEVER_SOURCE and not _ignored(rules, os.path.join(entry.path, "")):
                    stack.append((entry.path, rules))
            elif (
                entry.name.endswith(".py")
                and entry.is_file(follow_symlinks=False)
                and not _ignored(rules, entry.path)
            ):
                yield entry.path


def _rules_above(folder: str, root: Path | None) -> list[_Rule]:
    """The rules from above that hold in a folder, without those that ignore the folder itself."""
    path = Path(folder)
    if root is None or path == root:
        return []
    # The folder and those between it and the root: a rule for any of them is one for the folder.
    inner = [part for part in (path, *path.parents) if part.is_relative_to(root) and part != root]
    rules = []
    for parent in [root, *reversed(inner[1:])]:
        for start, spec in _rules_in(str(parent)):
            below = [os.path.join(part, "")[start:] for part in inner if part.is_relative_to(parent)]
            if not any(spec.match_file(part) for part in below if part):
                rules.append((start, spec))
    return rules


def _rules_in(folder: str) -> list[_Rule]:
    try:
        with open(os.path.join(folder, ".gitignore"), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return []
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error):
        # Git skips a pattern that it cannot read, and holds on to the others.
        spec = GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))
    return [(len(os.path.join(folder, "")), spec)]


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _ignored(rules: Sequence[_Rule], path: str) -> bool:
    """Whether rules, the outermost first, ignore an absolute path; one of a folder ends in a separator."""
    for start, spec in reversed(rules):
        verdict = spec.check_file(path[start:]).include
        if verdict is not None:
            return verdict
    return False


def matcher(patterns: Sequence[str]) -> GitIgnoreSpec:
    """What tells which relative paths gitignore patterns match. Raises ``ValueError`` for a malformed one."""
    from pathspec import GitIgnoreSpec

    for pattern in patterns:
        if not _is_pattern(pattern):
            raise ValueError(f"malformed pattern: {pattern!r}")
    return GitIgnoreSpec.from_lines(patterns)
