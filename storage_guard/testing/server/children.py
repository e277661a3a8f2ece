"""The program `python -m storage_guard.testing.server` as a child, for the length of a block."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

_STOP_S = 30.0


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

    It is stopped at the end of the block, and stops when this process dies. Raises RuntimeError if it does not start or
    does not end well; what it has to say is on standard error.
    """
    command = [sys.executable, "-m", "storage_guard.testing.server", "--until-eof", *arguments]
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(  # noqa: S603 - this program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with process:
        try:
            yield Child(_first_line(process.stdout, start_timeout_s), process.pid)
        except BaseException:
            _stop(process)
            raise
        if _stop(process):
            raise RuntimeError(f"the server ended with {process.returncode}")


def _first_line(stdout: IO[str] | None, timeout_s: float) -> str:
    assert stdout is not None
    if not select.select([stdout], [], [], timeout_s)[0]:
        raise RuntimeError(f"the server did not start in {timeout_s} s")
    line = stdout.readline().strip()
    if not line:
        raise RuntimeError("the server did not start")
    return line


def _stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
