"""The project's own formatter settings, as far as new lines should follow them."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

# What each tool takes where its section of the settings names no number.
_DEFAULTS = {"ruff": 88, "black": 88, "flake8": 79, "pycodestyle": 79}


class LineLength(NamedTuple):
    """The columns that a line may have, and the file that says so."""

    columns: int
    file: Path


def line_length_of(path: Path) -> LineLength | None:
    """The line length that the project around a path is formatted to; None where nothing says.

    It is ruff's or black's, else flake8's or pycodestyle's, of the nearest folder that has settings of one.
    Unreadable files say nothing.
    """
    resolved = path.resolve()
    for folder in (resolved, *resolved.parents):
        for name, read in _FILES.items():
            columns = read(folder / name)
            if isinstance(columns, int) and columns > 0:
                return LineLength(columns, folder / name)
        if (folder / ".git").exists():
            break
    return None


def _ruff(file: Path) -> Any:
    document = _toml(file)
    return None if document is None else document.get("line-length", _DEFAULTS["ruff"])


def _pyproject(file: Path) -> Any:
    tools = (_toml(file) or {}).get("tool")
    for tool in ("ruff", "black"):
        if isinstance(tools, dict) and isinstance(tools.get(tool), dict):
            return tools[tool].get("line-length", _DEFAULTS[tool])
    return None


def _toml(file: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _ini(file: Path) -> Any:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, "utf-8")
    except (configparser.Error, OSError, ValueError):
        return None
    for section in ("flake8", "pycodestyle"):
        if parser.has_section(section):
            options = {key.replace("_", "-"): value for key, value in parser.items(section)}
            value = options.get("max-line-length", "")
            return int(value) if value.isdigit() and int(value) > 0 else _DEFAULTS[section]
    return None


_FILES = {
    ".ruff.toml": _ruff,
    "ruff.toml": _ruff,
    "pyproject.toml": _pyproject,
    "setup.cfg": _ini,
    "tox.ini": _ini,
    ".flake8": _ini,
}
