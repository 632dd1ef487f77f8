"""Settings that hold for all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tool import FIXTURES

# Most examples start processes, and how long those take is the machine's affair. The examples are the same in
# each run, so that a change is judged by what it changes; HYPOTHESIS_PROFILE=long looks for new ones.
settings.register_profile(
    "backpop", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("long", settings.get_profile("backpop"), max_examples=5000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "backpop"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of its own with one backref, from one module to another."""
    shutil.copytree(FIXTURES / "across-modules" / "before", tmp_path / "tree")
    return tmp_path / "tree"
