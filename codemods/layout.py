"""Where files stand among the modules of a project: which file an import names, by paths alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

# Found outside of the project, whatever folder of that name the project has.
_ALWAYS_EXTERNAL = {"sqlalchemy", "flask_sqlalchemy", "sqlmodel", "peewee"}
_INIT = f"{os.sep}__init__.py"


class Layout(NamedTuple):
    """The place of one file: the folders that lead to it from the common root, and its name."""

    path: str
    package: tuple[str, ...]
    name: str


class Tree:
    """The paths of all files below ``root``, the folder from which module names are counted."""

    def __init__(self, paths: Sequence[str], root: str) -> None:
        self.root = root.rstrip(os.sep)
        self._paths = frozenset(paths)
        self._found: dict[tuple[str, int, tuple[str, ...]], str | None] = {}
        self._parts: dict[str, bool] = {}

    def layout(self, path: str) -> Layout:
        """The place of a file."""
        *package, file = path[len(self.root) :].lstrip(os.sep).split(os.sep)
        return Layout(path, tuple(package), file.removesuffix(".py"))

    def find(self, name: str, level: int, package: tuple[str, ...]) -> str | None:
        """The file that an import in a module of ``package`` names; None for one outside of the project.

        ``level`` is the number of dots before ``name``.
        """
        key = name, level, package
        if key not in self._found:
            self._found[key] = self._relative(*key) if level else self._absolute(name, package)
        return self._found[key]

    def find_all(self, name: str, level: int, package: tuple[str, ...]) -> list[str]:
        """The file that an import names, and those of the packages that are imported with it."""
        path = self.find(name, level, package)
        return [] if path is None else [*self.packages_around(path), path]

    def packages_around(self, path: str) -> list[str]:
        """The ``__init__`` files of the folders that hold a file, from the inside out."""
        found = []
        folder = os.path.dirname(path)
        while len(folder) > len(self.root):
            if folder in self._packages:
                found.append(folder + _INIT)
            folder = os.path.dirname(folder)
        return found

    def outside(self, package: tuple[str, ...]) -> int:
        """How many of the folders that lead to a module are outside of its outermost package."""
        size = len(package)
        while size and self._folder(package[:size]) in self._packages:
            size -= 1
        return size

    def has_part(self, name: str) -> bool:
        """Whether a module of the project, or a folder around one, has this name."""
        if name not in self._parts:
            file, folder = f"{os.sep}{name}.py", f"{os.sep}{name}{os.sep}"
            start = len(self.root)
            self._parts[name] = any(
                path.endswith(file) or path.find(folder, start) >= 0 for path in self._paths
            )
        return self._parts[name]

    @cached_property
    def _packages(self) -> set[str]:
        return {path.removesuffix(_INIT) for path in self._paths if path.endswith(_INIT)} - {self.root}

    @cached_property
    def _tops(self) -> dict[str, list[str]]:
        """Folders by the names that an import may begin with to find something in them."""
        found: dict[str, list[str]] = {}
        seen = {self.root}
        for path in sorted(self._paths):
            folder, _, file = path.rpartition(os.sep)
            if folder not in self._packages:
                found.setdefault(file.removesuffix(".py"), []).append(folder)
            while folder not in seen:
                seen.add(folder)
                above, _, name = folder.rpartition(os.sep)
                if above not in self._packages:
                    found.setdefault(name, []).append(above)
                folder = above
        return found

    def _relative(self, name: str, level: int, package: tuple[str, ...]) -> str | None:
        if level > len(package) + 1:
            return None
        parts = (*package[: len(package) - (level - 1)], *filter(None, name.split(".")))
        return self._file(self._folder(parts)) if parts else None

    def _absolute(self, name: str, package: tuple[str, ...]) -> str | None:
        top, _, rest = name.partition(".")
        if top in _ALWAYS_EXTERNAL or (not rest and top in sys.stdlib_module_names):
            return None
        inner = name.replace(".", os.sep)
        folders = self._tops.get(top, ())
        found = [path for folder in folders if (path := self._file(f"{folder}{os.sep}{inner}"))]
        if len(found) < 2:
            return found[0] if found else None
        # several checkouts or examples side by side: the one that shares most folders with the importer
        here = self._folder(package) + os.sep
        return min(found, key=lambda path: (-len(_shared(path, here)), path))

    def _file(self, stem: str) -> str | None:
        """The file of a package or module, by its path without suffix."""
        if stem in self._packages:
            return stem + _INIT
        path = f"{stem}.py"
        return path if path in self._paths else None

    def _folder(self, parts: tuple[str, ...]) -> str:
        return os.sep.join((self.root, *parts))


def _shared(one: str, other: str) -> list[str]:
    """The folders that two paths have in common."""
    return os.path.commonpath([one, other]).split(os.sep)
