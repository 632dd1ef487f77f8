"""The interpreters that the probe is tested with: one for each line of SQLAlchemy.

``make environments`` builds them. Without it there is only the one that runs the tests. To try others, name
them: ``PROBE_PYTHONS=/path/one/python:/path/two/python pytest ...``. The first of those is then asked what
the fixtures and the generated models map, too; ``make matrix`` does so.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "venvs"
_GIVEN = list(filter(None, os.environ.get("PROBE_PYTHONS", "").split(os.pathsep)))
_BUILT = sorted(str(path) for path in _FOLDER.glob("*/bin/python"))

PYTHONS = [
    pytest.param(python, id=Path(python).parent.parent.name)
    for python in (_GIVEN or _BUILT or [sys.executable])
]
"""Parameters for tests that take a ``python``."""

ASKED = (_GIVEN or [sys.executable])[0]
"""The interpreter that says what models map, in tests that take no ``python``."""
