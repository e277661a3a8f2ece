"""Races: many contenders let go at one moment, in threads or in processes."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

T = TypeVar("T")

# Threads of one interpreter take turns; in such short ones a gap of a few lines is met often.
_SWITCH_S = 1e-6
# A barrier wakes one thread after the other, and a fast contender is done before the next is awake.
_AWAKE_S = 2e-3


class StartingGate:
    """A barrier whose parties are all wide awake when it opens: they spin towards the same moment.

    `wait` raises threading.BrokenBarrierError when not all have come within `timeout_s`, then and ever after.
    """

    def __init__(self, parties: int, *, timeout_s: float) -> None:
        self._barrier = threading.Barrier(parties, action=self._set, timeout=timeout_s)
        self._opens_s = 0.0

    def _set(self) -> None:
        self._opens_s = time.perf_counter() + _AWAKE_S

    def wait(self) -> None:
        self._barrier.wait()
        opens_s = self._opens_s
        while time.perf_counter() < opens_s:
            pass


class RemoteError(Exception):
    """Stands for an exception of another process that cannot be pickled. `kind` is the name of its class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def race(contenders: Sequence[Callable[[], T]], *, timeout_s: float = 60.0) -> list[T | BaseException]:
    """Call all contenders at the same moment, a thread each, and return what each returned or raised, in order.

    Raises TimeoutError when one does not come back; its thread is left behind.
    """
    gate = StartingGate(len(contenders), timeout_s=timeout_s)
    results: dict[int, T | BaseException] = {}

    def run(number: int, contender: Callable[[], T]) -> None:
        try:
            gate.wait()
            results[number] = contender()
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is this contender's result
            results[number] = exc

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(contenders)]
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        deadline_s = time.monotonic() + timeout_s
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
    finally:
        sys.setswitchinterval(switch_s)
    late = [number for number, thread in enumerate(threads) if thread.is_alive()]
    if late:
        raise TimeoutError(f"contenders {late} of {len(contenders)} did not come back within {timeout_s} s")
    return [results[number] for number in range(len(contenders))]


def race_processes(
    target: Callable[..., T], argument_lists: Sequence[Sequence[object]], *, rounds: int, timeout_s: float = 120.0
) -> list[list[T | BaseException]]:
    """Call `target(*arguments, round_number)` in one process per argument list, all at the same moment, every round.

    The processes live through all rounds and unpickle their arguments once, so a driver among them is opened once.
    They are spawned, not forked: `target` must be importable. Returns, for each round, what each contender returned
    or raised. Raises RuntimeError when a process dies and TimeoutError when they take too long; none is left behind.
    """
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(len(argument_lists), timeout=timeout_s)  # the parent may be gone
    deadline_s = time.monotonic() + timeout_s
    processes: list[SpawnProcess] = []
    ears: list[Connection] = []
    try:
        for arguments in argument_lists:
            ear, mouth = context.Pipe(duplex=False)
            ears.append(ear)
            process = context.Process(
                target=_run_rounds, args=(mouth, gate, target, tuple(arguments), rounds), daemon=True
            )
            process.start()
            processes.append(process)
            mouth.close()  # so that the end of the process is the end of the pipe
        columns = _collect(ears, deadline_s)
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        for process in processes:
            _end(process)
        for ear in ears:
            ear.close()
    return [list(row) for row in zip(*columns, strict=True)]


def winners(results: Sequence[T | BaseException]) -> list[T]:
    """What the contenders returned that did not raise."""
    return [result for result in results if not isinstance(result, BaseException)]


def _collect(ears: Sequence[Connection], deadline_s: float) -> list[list[Any]]:
    columns: dict[int, list[Any]] = {}
    while len(columns) < len(ears):
        waiting = [ear for number, ear in enumerate(ears) if number not in columns]
        ready = wait(waiting, max(0.0, deadline_s - time.monotonic()))
        if not ready:
            raise TimeoutError(f"{len(waiting)} of {len(ears)} contenders did not come back in time")
        for ear in waiting:
            if ear not in ready:
                continue
            number = ears.index(ear)
            try:
                columns[number] = [pickle.loads(each) for each in ear.recv()]  # noqa: S301 - our own children
            except EOFError:
                raise RuntimeError(f"contender {number} died in the race") from None
    return [columns[number] for number in range(len(ears))]


def _run_rounds(
    mouth: Connection,
    gate: Barrier,
    target: Callable[..., object],
    arguments: tuple[object, ...],
    rounds: int,
) -> None:
    results: list[bytes] = []
    for number in range(rounds):
        gate.wait()
        try:
            results.append(pickle.dumps(target(*arguments, number)))
        except BaseException as exc:  # noqa: BLE001 - whatever it is, it is this contender's result
            results.append(pickle.dumps(_portable(exc)))
    mouth.send(results)


def _portable(exc: BaseException) -> BaseException:
    """`exc`, if it comes out of a pickle as it went in; where it happened is a note."""
    exc.add_note("".join(traceback.format_exception(exc)))
    try:
        copy: object = pickle.loads(pickle.dumps(exc))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - a class decides for itself what its pickling raises
        copy = None
    if type(copy) is type(exc):
        return exc
    remote = RemoteError(type(exc).__name__, str(exc))
    for note in exc.__notes__:
        remote.add_note(note)
    return remote


def _end(process: SpawnProcess) -> None:
    process.join(5.0)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()
