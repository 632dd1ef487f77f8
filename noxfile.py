"""The tests under each Python that is here; the semantic ones against each line of SQLAlchemy as well."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

SEMANTIC = ("tests/test_fixtures.py", "tests/test_probe.py", "tests/test_verify.py")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Everything, with the newest SQLAlchemy."""
    session.install("--editable", ".[dev]")
    session.run("pytest", "-n", "auto", "--maxprocesses", "8", *session.posargs)


@nox.session
@nox.parametrize("sqlalchemy", ["1.4", "2.0", "2.1"])
def semantics(session: nox.Session, sqlalchemy: str) -> None:
    """What is mapped before and after, as one line of SQLAlchemy sees it."""
    session.install("--editable", ".[dev]", f"sqlalchemy=={sqlalchemy}.*")
    session.run("pytest", "-n", "auto", "--maxprocesses", "8", *SEMANTIC, *session.posargs)
