"""Children that are killed with signal 9: when their time is up, or at each of their system calls in turn.

They are forked from a warm interpreter, so that a thousand take a minute.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.local_systems import Killing

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class End:
    """`said`: what the child's work returned, b"" if it was killed before. `elapsed_s`: from its beginning to then, or
    to its end."""

    status: int
    said: bytes
    elapsed_s: float


def end_of(work: Callable[[], bytes], delay_s: float | None) -> End:
    """Of one child, killed `delay_s` after it began; without a delay, once its work is done."""
    ear, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ear)
        os.write(mouth, b"b")  # began
        os.write(mouth, work())
        while True:
            signal.pause()
    os.close(mouth)
    os.read(ear, 1)
    began_s = time.perf_counter()
    select.select([ear], [], [], delay_s)
    elapsed_s = time.perf_counter() - began_s
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    said = b"".join(iter(lambda: os.read(ear, 4096), b""))
    os.close(ear)
    return End(os.waitstatus_to_exitcode(status), said, elapsed_s)


def kill_at_each_call(
    folder: str,
    lacks: list[str],
    work: Callable[[str, Killing], object],
    prepare: Callable[[str], object] | None = None,
) -> None:
    """One child for each call that `work` makes of its disk, and for before and after it, each with a root of its own
    that `prepare` was given first. Prints a line of JSON for each: its root, and the call in which it died, "" for the
    last one, which came to its end."""
    gc.freeze()
    for at, moment in itertools.product(range(1000), ("before", "after")):
        root = os.path.join(folder, f"{at}-{moment}")
        if prepare is not None:
            prepare(root)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(root, Killing(at, moment, writing, *lacks))
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        os.close(writing)
        name = os.read(reading, 100).decode()
        os.close(reading)
        assert status == (signal.SIGKILL if name else 0), (status, name)
        print(json.dumps([root, name]), flush=True)
        if not name:
            break


def killed(helper: str, *args: str) -> list[tuple[str, str]]:
    """What `kill_at_each_call` prints in an interpreter that runs this code."""
    done = subprocess.run(
        [sys.executable, "-c", helper, *args],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]
