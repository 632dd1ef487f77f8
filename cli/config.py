"""``[tool.backpop]`` of the nearest ``pyproject.toml``: the defaults that a project gives the options.

Every option is configurable but for those of a single run. Its values go through Click, which converts and
validates them as it does those of the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_args, get_origin, get_type_hints

import typer

from backpop.cli.console import printable, say, shown
from backpop.cli.exits import Exit

if TYPE_CHECKING:
    from typer.core import TyperArgument, TyperOption

    Parameter = TyperArgument | TyperOption

# What is asked for in one run is no setting of a project.
_OF_ONE_RUN = frozenset(
    {
        "against",
        "check",
        "help",
        "interactive",
        "output",
        "paths",
        "quiet",
        "stdin_filename",
        "report",
        "style",
        "verbose",
        "version",
        "write",
    }
)
_TABLES = frozenset({"per_file_ignores"})


class ConfigError(Exception):
    """What is wrong with a configuration, for a person: the file, the key, and what it should be."""


class Configuration(NamedTuple):
    """What a project says: values by the names of parameters. ``file`` is None where it says nothing."""

    file: Path | None = None
    values: Mapping[str, Any] = MappingProxyType({})


def configure(ctx: typer.Context, value: list[Any] | None) -> list[Any] | None:
    """Take the defaults of all options from the configuration around the first path (a callback of Typer)."""
    if ctx.resilient_parsing:  # completing a command line in a shell
        return value
    try:
        ctx.default_map = dict(load(ctx, _start(value)).values)
    except ConfigError as error:
        say(printable(f"error: {error}"))
        raise typer.Exit(int(Exit.ERROR)) from error
    return value


def load(ctx: typer.Context, start: Path) -> Configuration:
    """Read the configuration that holds at a path. Raises :class:`ConfigError`."""
    for file in _files_above(start):
        table = _table(file)
        if table is not None:
            return Configuration(file, _checked(ctx, file, table))
    return Configuration()


def folder_of(start: Path) -> Path | None:
    """The folder of the configuration that holds at a path: patterns are relative to it. None without any."""
    return next((file.parent for file in _files_above(start) if _table(file) is not None), None)


def configurable(ctx: typer.Context) -> dict[str, tuple[Parameter, Any]]:
    """The options that can be configured, by name: the parameter and its annotation."""
    root: Any = ctx.find_root().command
    found: dict[str, tuple[Parameter, Any]] = {}
    for command in root.commands.values():
        hints = get_type_hints(command.callback)
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name in hints.keys() - _OF_ONE_RUN:
                found.setdefault(parameter.name, (parameter, hints[parameter.name]))
    return dict(sorted(found.items()))


def is_given(ctx: typer.Context, name: str) -> bool:
    """Whether a parameter is on the command line itself."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def key_of(name: str) -> str:
    """The key of a parameter."""
    return name.replace("_", "-")


def _start(arguments: list[Any] | None) -> Path:
    paths = (Path(argument) for argument in arguments or () if str(argument) != "-")
    return next((path for path in paths if path.exists()), Path())


def _files_above(start: Path) -> Iterable[Path]:
    resolved = start.resolve()
    for folder in (resolved, *resolved.parents):
        if (folder / "pyproject.toml").is_file():
            yield folder / "pyproject.toml"
        if (folder / ".git").exists():
            return


def _table(file: Path) -> Mapping[str, Any] | None:
    import tomllib

    name = shown(str(file))
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is no TOML: {error}") from error
    tools = document.get("tool")
    table = tools.get("backpop") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{name}: tool.backpop should be a table")
    return table


def _checked(ctx: typer.Context, file: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    known = configurable(ctx)
    names = {key_of(name): name for name in known}
    values = {}
    for key, value in table.items():
        if key not in names:
            _refuse(file, key, f"there is no such key{nearest(key, names)}")
        name = names[key]
        parameter, hint = known[name]
        expected, fits = _expected(name, hint)
        if not fits(value):
            _refuse(file, key, f"should be {expected}, not {_toml_type(value)}")
        values[name] = _as_option(value) if name in _TABLES else value
        try:
            parameter.process_value(ctx, values[name])
        except typer.BadParameter as error:
            choices = [one.value for one in _enum(hint)]
            _refuse(file, key, error.message.rstrip(".") + nearest(value, choices))
    return values


def _as_option(table: Mapping[str, Sequence[str]]) -> list[str]:
    """A table of patterns as the command line gives it: ``PATTERN:CODE,CODE``."""
    return [f"{pattern}:{','.join(codes)}" for pattern, codes in table.items()]


def _refuse(file: Path, key: str, reason: str) -> NoReturn:
    raise ConfigError(f"{shown(str(file))}: [tool.backpop] {key}: {reason}")


def nearest(given: object, known: Iterable[str]) -> str:
    """A question after the one of some words that is like a mistyped one; empty if none is."""
    from rapidfuzz import fuzz, process

    found = process.extractOne(str(given), list(known), scorer=fuzz.ratio, score_cutoff=60)
    return f"; did you mean {found[0]}?" if found else ""


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_list, value.values()))


def _is(*kinds: type) -> Any:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _expected(name: str, hint: Any) -> tuple[str, Any]:
    """What TOML should give for a parameter, in words, and whether a value is that."""
    if name in _TABLES:
        return "a table of patterns, each with a list of codes", _is_table
    plain = _plain(hint)
    if get_origin(plain) is list:
        return "a list of strings", _is_list
    return {
        bool: ("true or false", _is(bool)),
        int: ("a whole number", _is(int)),
        float: ("a number", _is(int, float)),
    }.get(plain, ("a string", _is(str)))


def _plain(hint: Any) -> Any:
    """An annotation without its None."""
    if get_origin(hint) is UnionType:
        return next(one for one in get_args(hint) if one is not NoneType)
    return hint


def _enum(hint: Any) -> Iterable[Enum]:
    plain = _plain(hint)
    return plain if isinstance(plain, type) and issubclass(plain, Enum) else ()


def _toml_type(value: object) -> str:
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", dict: "a table"}
    if isinstance(value, list):
        return "a list" if _is_list(value) else "a list of other things"
    return names.get(type(value), "a date or time")


# -- what is in force


def show(ctx: typer.Context, start: Path) -> Exit:
    """Print every setting that holds at a path as TOML, each with where it comes from."""
    from backpop.cli.formatter import line_length_of

    try:
        found = load(ctx, start)
    except ConfigError as error:
        say(printable(f"error: {error}"))
        return Exit.ERROR
    rows = []
    for name, (parameter, _) in configurable(ctx).items():
        value, origin = parameter.default, "default"
        if name in found.values:
            value, origin = found.values[name], shown(str(found.file))
        elif name == "line_length" and (length := line_length_of(start)):
            value, origin = length.columns, shown(str(length.file))
        key = key_of(name)
        rows.append((f"# {key}" if value is None else f"{key} = {_toml(name, value)}", origin))
    width = max(len(text) for text, _ in rows)
    print("[tool.backpop]")
    for text, origin in rows:
        print(printable(f"{text:{width}}  # {origin}"))
    return Exit.OK


def _toml(name: str, value: Any) -> str:
    """A value of a parameter as TOML: strings, numbers and lists are spelt as in JSON."""
    import json

    if name in _TABLES:
        rules = (text.rpartition(":") for text in value)
        entries = (f"{json.dumps(path)} = {json.dumps(codes.split(','))}" for path, _, codes in rules)
        return f"{{ {', '.join(entries)} }}"
    return json.dumps(value.value if isinstance(value, Enum) else value, ensure_ascii=False)
