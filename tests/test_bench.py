"""The benchmarks run; what they measure is for a quiet machine, by hand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "bench.py"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a cache of its own."""
    spec = importlib.util.spec_from_file_location("bench", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench", module)  # dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CACHE", tmp_path)
    return module


def test_backpop_and_the_floor_run_on_a_synthetic_tree(bench: ModuleType) -> None:
    tree = bench.synthetic(100)
    commands = {"backpop": bench.dry_run(), "floor": bench.python(str(bench.HERE / "floor.py"))}
    timings = bench.measure(commands, tree, 1)
    lines = list(bench.table("tiny", timings, "backpop"))
    assert [line.split(" | ")[0] for line in lines[4:6]] == ["| backpop", "| floor"]
    assert all(len(timing.wall) == 1 and timing.memory > 1 for timing in timings.values())


def test_a_command_that_fails_is_not_measured(bench: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="status 3"):
        bench.run_once(bench.python("-c", "raise SystemExit(3)"), tmp_path)


def test_the_synthetic_models_are_converted(bench: ModuleType) -> None:
    command, tree = bench.dry_run(), bench.synthetic(200)
    done = subprocess.run(
        command.words,
        cwd=tree,
        env=os.environ | command.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "4 backrefs can be converted in 2 files. 202 files read." in done.stderr
