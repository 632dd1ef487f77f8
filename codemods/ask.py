"""A process of the user's interpreter that describes their models, with files served from memory.

What runs there is :mod:`backpop.codemods.probe`, one file that needs nothing of backpop. No file of the
user's is written, no bytecode either.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods import probe
from backpop.codemods.probe import Json

Files = Mapping[str, bytes | None]
"""Absolute path -> the bytes that stand for those on disk; None for a file that is not to be found."""

_OUTPUT_LINES = 10
_OUTPUT_BYTES = 16_384


@dataclass(frozen=True)
class Subject:
    """The models to ask about, and how.

    ``python`` is a command. ``modules`` are imported with all that is below those that are packages, as far
    as it matches ``patterns`` (of ``fnmatch``; a leading ``!`` excludes). ``sys_path`` comes before the path
    that the interpreter has by itself, and ``setup`` is Python to run first. ``folder`` is the current folder
    of the process, ``environment`` its variables (those of this process if None). Each process may take
    ``timeout`` seconds. With ``alone``, each module is also imported by itself, ``jobs`` at a time.
    """

    python: tuple[str, ...]
    modules: tuple[str, ...]
    folder: Path
    patterns: tuple[str, ...] = ()
    sys_path: tuple[str, ...] = ()
    setup: str | None = None
    environment: Mapping[str, str] | None = None
    timeout: float = 300
    alone: bool = True
    jobs: int = 1


@dataclass(frozen=True)
class Failure:
    """Why there is no description of the models.

    ``side`` is "before" or "after" the change. ``stage`` is where it ended: "start" (no such interpreter),
    "setup", "import", "configure", "process" (it died), "timeout", or "repeat" (the same files are described
    differently each time). ``others`` are further modules that cannot be imported, with the reason.
    ``output`` is the end of what the process printed, ``sys_path`` where modules were looked for.
    """

    side: str
    stage: str
    module: str | None
    reason: str
    traceback: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    sys_path: tuple[str, ...] = ()


def source_roots(files: Iterable[Path], modules: Sequence[str]) -> tuple[str, ...]:
    """The folders that must be in ``sys.path`` for ``modules``, and for ``files`` that are part of packages.

    That is the folder above the outermost package of each file. The folder of a file in no package counts
    only if one of the modules is in it: others may hold what hides a module of the standard library.
    """
    tops = {module.partition(".")[0] for module in modules}
    holders: set[str] = set()
    others: set[str] = set()
    for folder in {file.parent for file in files}:
        root = folder
        while (root / "__init__.py").exists() and root.parent != root:
            root = root.parent
        if any((root / top).is_dir() or (root / f"{top}.py").is_file() for top in tops):
            holders.add(str(root))
        elif root != folder:
            others.add(str(root))
    return (*sorted(holders), *sorted(others))


def ask(
    subject: Subject, files: Files, alone: Sequence[str] | None = None, preload: Sequence[str] = ()
) -> Json:
    """Return what the probe answers about a subject with these files; see :func:`probe.run`.

    With ``alone``, it imports each of these modules by itself instead, on top of those of ``preload``, which
    are not the subject's own. What goes wrong is in the answer: an interpreter that cannot be started is an
    error of stage "start". An error also has ``"output"``, the last lines of what the process printed. The
    process, and all that it started, has ended when this returns, on Ctrl-C too.
    """
    request: Json = {
        "modules": list(subject.modules if alone is None else alone),
        "submodules": alone is None,
        "patterns": list(subject.patterns),
        "sys_path": list(subject.sys_path),
        "setup": subject.setup,
        "overrides": {
            path: None if data is None else b64encode(data).decode() for path, data in files.items()
        },
        "each_alone": alone is not None,
        "preload": list(preload),
        "jobs": subject.jobs,
        "timeout": subject.timeout if alone is not None else None,
    }
    # The probe limits the time of each module that it imports by itself; this is for the probe.
    timeout = subject.timeout * (1 + len(alone or ()))
    with tempfile.TemporaryDirectory(prefix="backpop-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        answer, output = folder / "answer.json", folder / "output"
        request["answer"] = str(answer)
        (folder / "request.json").write_text(json.dumps(request), "ascii")
        # A copy, for Python offers the modules that lie beside a script.
        script = folder / "backpop_probe.py"
        script.write_bytes(Path(probe.__file__).read_bytes())
        command = [*subject.python, "-B", str(script), str(folder / "request.json")]
        try:
            status = _run(command, subject, output, timeout)
        except OSError as error:
            reason = f"{subject.python[0]} cannot be started: {error.strerror or error}"
            return {"error": {"stage": "start", "module": None, "reason": reason}}
        if status is None:
            found: Json = {"error": {"stage": "timeout", "module": None}}
            found["error"]["reason"] = f"no answer within {timeout:g} seconds"
        elif answer.exists():
            found = json.loads(answer.read_text("utf-8"))
        else:
            reason = f"the process ended without an answer, with status {status}"
            found = {"error": {"stage": "process", "module": None, "reason": reason}}
            found["error"] |= {"type": "ProcessError", "message": reason}
        if "error" in found:
            found["error"]["output"] = _end_of(output)
        return found


def _run(command: Sequence[str], subject: Subject, output: Path, timeout: float) -> int | None:
    """Run a command to its end and return its status, None if it took too long. Raises ``OSError``."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=subject.folder,
            env=subject.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it left running."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _end_of(output: Path) -> list[str]:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _OUTPUT_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-_OUTPUT_LINES:]


def failure_of(side: str, error: Json) -> Failure:
    """Return the error of an answer as a typed value."""
    return Failure(
        side=side,
        stage=error["stage"],
        module=error["module"],
        reason=error.get("reason") or _reason(error),
        traceback=tuple(error.get("traceback", ())),
        others=tuple(f"{other['module']}: {_reason(other)}" for other in error.get("others", ())),
        output=tuple(error.get("output", ())),
        sys_path=tuple(error.get("sys_path", ())),
    )


def _reason(error: Json) -> str:
    return f"{error['type']}: {error['message']}" if error["message"] else str(error["type"])
