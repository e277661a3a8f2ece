"""The program `python -m storage_guard.testing.server` as a child, for the length of a block."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

_STOP_S = 30.0
_LAST_LINES = 10


@dataclass(frozen=True)
class Child:
    """A server in a process of its own."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


@contextlib.contextmanager
def subprocess_running(*arguments: str, start_timeout_s: float = 30.0) -> Generator[Child]:
    """A server with the program's arguments: `subprocess_running("--dialect", "oss", "--bucket", "b", "--discard")`.

    It is stopped at the end of the block, and stops when this process dies. What it says on standard error goes to ours
    when it has ended. Raises RuntimeError, with the end of that, if it does not start or does not end well.
    """
    command = [sys.executable, "-m", "storage_guard.testing.server", "--until-eof", *arguments]
    paths = os.pathsep.join(path for path in sys.path if path)
    # A file, and no pipe: one that nobody reads would stop the child, and a thread that reads is in the way of a fork.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - this program
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        trouble = ""
        with process:
            try:
                url, trouble = _first_line(process.stdout, start_timeout_s)
                if url:
                    yield Child(url, process.pid)
            finally:
                status = _stop(process)
                said.seek(0)
                words = said.read().decode(errors="replace")
                sys.stderr.write(words)
        if status and not trouble:
            trouble = f"the server ended with {status}"
        if trouble:
            last = "\n".join(words.rstrip().splitlines()[-_LAST_LINES:])
            raise RuntimeError(f"{trouble}; it said:\n{last}" if last else trouble)


def _first_line(stdout: IO[str] | None, timeout_s: float) -> tuple[str, str]:
    """It, and what is wrong if there is none."""
    assert stdout is not None
    if not select.select([stdout], [], [], timeout_s)[0]:
        return "", f"the server did not start in {timeout_s} s"
    line = stdout.readline().strip()
    return line, "" if line else "the server did not start"


def _stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
