"""What goes wrong outside of any command's reach: the reader of our output, the disk, Ctrl-C."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from backpop.cli.console import printable, say
from backpop.cli.exits import Exit


class Guarded(TyperGroup):
    """The commands, with an exit status and a line for people in the place of a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line, where some standard streams may be closed."""
        for name in ("stdin", "stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by whoever started this process
                setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it printed is out before it counts as done."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(int(Exit.INTERRUPTED)) from None
        except BrokenPipeError:
            # the reader of our output went away, as ``| head`` does; nothing can be flushed into it any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(int(Exit.OK)) from None
        except OSError as error:
            nameless = "the current folder" if error.errno == errno.ENOENT else "the output"
            say(printable(f"error: {error.filename or nameless}: {error.strerror or error}"))
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(int(Exit.ERROR)) from error
        except RecursionError:
            say(
                "error: the code is nested too deeply for this interpreter; leave the file out with --exclude"
            )
            raise typer.Exit(int(Exit.ERROR)) from None
