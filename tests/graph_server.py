"""The server behind ``graph.py``: ``python graph_server.py PROBE`` answers one request a line on stdin.

It runs under any interpreter that the probe knows. Each request is answered in a child process of its own,
which has SQLAlchemy imported already.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from contextlib import suppress


def main() -> None:
    """Answer requests until stdin ends."""
    del sys.path[0]  # the folder of this file, whose modules are not those of a tree
    spec = importlib.util.spec_from_file_location("probe", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    probe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(probe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sqlalchemy.ext.declarative
        import sqlalchemy.orm  # noqa: F401

        with suppress(ImportError):
            import flask_sqlalchemy  # noqa: F401

    # Children inherit stdin and stdout; what the models read and print must not come between the answers.
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for line in requests:
        print(json.dumps(probe.run_in_child(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
