"""The mapper graphs of source trees, for tests: what SQLAlchemy makes of the models in a folder.

Every tree is imported in a process of its own, by the probe which ``backpop verify`` uses. The processes are
forked from one server that has imported SQLAlchemy already, so that a graph costs some milliseconds. Where
processes cannot be forked, each is started afresh.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from environments import ASKED

from backpop.codemods import probe

Graph = dict[str, Any]


def graph_of(tree: Path, modules: list[str] | None = None, python: str = ASKED, **request: Any) -> Graph:
    """Return what the probe says of the models below ``tree``, an error included.

    ``modules`` are the import names, all below ``tree`` if not given. ``python`` is the interpreter; more
    keywords go into the request. ``tree`` comes first in the path.
    """
    request["modules"] = modules_of(tree) if modules is None else modules
    request["sys_path"] = [str(tree)]
    return _server(python).ask(request)


def assert_same_graph(before: Path, after: Path, python: str = ASKED) -> None:
    """Raise ``AssertionError`` unless both trees can be imported and map the same, warnings included.

    Where another interpreter than that of the tests is asked, one that has not what ``before`` needs skips.
    """
    graph = graph_of(before, python=python)
    if python == ASKED != sys.executable and "error" in graph:
        pytest.skip(f"{sqlalchemy_of(python)} cannot load it: {graph['error']['message']}")
    differences = probe.compare(graph, graph_of(after, python=python))
    assert not differences, "\n".join(["the mapper graphs differ:", *differences])


@cache
def sqlalchemy_of(python: str) -> str:
    """Return the version of SQLAlchemy that an interpreter has."""
    with TemporaryDirectory() as folder:
        return str(graph_of(Path(folder), python=python)["sqlalchemy"])


def modules_of(tree: Path) -> list[str]:
    """Return the import names of all Python files below ``tree``, sorted."""
    paths = [path.relative_to(tree).with_suffix("") for path in tree.rglob("*.py")]
    names = [path.parent if path.name == "__init__" else path for path in paths]
    return sorted(".".join(name.parts) for name in names)


@cache
def _server(python: str) -> _Server:
    return _Server(python)


class _Server:
    """A process of ``python`` that answers one request after the other, each in a child."""

    def __init__(self, python: str) -> None:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("graph_server.py")), probe.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        atexit.register(self.stop)

    def ask(self, request: Graph) -> Graph:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer: Graph = json.loads(self._process.stdout.readline())
        return answer

    def stop(self) -> None:
        self._process.communicate()
