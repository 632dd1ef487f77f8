"""The tests under each Python that is here; the semantic ones against each line of SQLAlchemy as well."""

from __future__ import annotations

import sys

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

# Those that ask SQLAlchemy, and need little else.
SEMANTIC = ("fixtures", "probe", "properties", "to_backref", "verify", "verify_wrong")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Everything, with the newest SQLAlchemy."""
    session.install("--editable", ".[dev]")
    session.run("pytest", "-n", "auto", "--maxprocesses", "8", *session.posargs)


@nox.session
@nox.parametrize("sqlalchemy", ["1.4", "2.0", "2.1"])
def semantics(session: nox.Session, sqlalchemy: str) -> None:
    """What is mapped before and after, as one line of SQLAlchemy sees it.

    The tests run where nox does, in ``.venv``; the interpreter of the session only says what is mapped. Some
    of the development tools need SQLAlchemy 2.
    """
    beside = [] if sqlalchemy == "1.4" else ["sqlmodel"]
    session.install(f"SQLAlchemy=={sqlalchemy}.*", "Flask-SQLAlchemy", *beside)
    files = [f"tests/test_{name}.py" for name in SEMANTIC]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "auto",
        "--maxprocesses",
        "8",
        "-k",
        "not test_conversion",
    ]
    asked = f"{session.bin}/python"
    session.run(*command, *files, *session.posargs, external=True, env={"PROBE_PYTHONS": asked})
