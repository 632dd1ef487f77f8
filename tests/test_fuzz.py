"""A few of the inputs that ``make fuzz`` tries by the hundred thousand: others each day, in CI the same."""

from __future__ import annotations

import datetime
import os
import signal
from pathlib import Path

import fuzz
import pytest

NUMBER = 400


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer to end a hang with")
def test_mutated_models(tmp_path: Path) -> None:
    corpus = fuzz.load([])
    first = 0 if "CI" in os.environ else datetime.date.today().toordinal() * NUMBER
    for seed in range(first, first + NUMBER):
        _, trouble = fuzz.attempt(corpus, seed, tmp_path / "project")
        assert not trouble, f"python tests/fuzz.py --only {seed}\n{trouble}"
