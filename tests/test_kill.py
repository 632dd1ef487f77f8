"""A few of the kills that ``make kill`` does by the hundred."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_the_next_run_completes_a_killed_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill.py")
    done = subprocess.run(
        [sys.executable, script, "--runs", "16", "--pairs", "10"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 runs killed and completed" in done.stdout
