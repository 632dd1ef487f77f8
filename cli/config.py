"""The project's own formatter settings, as far as new lines should follow them."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

# What each tool takes where its section of the settings names no number.
_DEFAULTS = {"ruff": 88, "black": 88, "flake8": 79, "pycodestyle": 79}


def line_length_of(path: Path) -> int | None:
    """The line length that the project around a path is formatted to, in columns.

    From ``[tool.backpop]``, ``[tool.ruff]`` or ``[tool.black]`` of the nearest ``pyproject.toml``, else from
    flake8's or pycodestyle's settings; None where nothing says. Unreadable files say nothing.
    """
    for folder in (path.absolute(), *path.absolute().parents):
        found = _from_toml(folder / "pyproject.toml") or _from_ini(folder)
        if found:
            return found
        if (folder / ".git").exists():
            break
    return None


def _from_toml(file: Path) -> int | None:
    try:
        tools = tomllib.loads(file.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError):
        return None
    for tool in ("backpop", "ruff", "black"):
        if tool in tools:
            value = tools[tool].get("line-length", _DEFAULTS.get(tool))
            if isinstance(value, int) and value > 0:
                return value
    return None


def _from_ini(folder: Path) -> int | None:
    for name in ("setup.cfg", "tox.ini", ".flake8"):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(folder / name, "utf-8")
        except (configparser.Error, OSError, ValueError):
            continue
        for section in ("flake8", "pycodestyle"):
            if parser.has_section(section):
                options = {key.replace("_", "-"): value for key, value in parser.items(section)}
                value = options.get("max-line-length", "")
                return int(value) if value.isdigit() and int(value) > 0 else _DEFAULTS[section]
    return None
