"""A client under measurement, in a process of its own: `python -m benchmarks.harness.worker`.

One JSON object a line: the first on standard input says which client is wanted, and each further one is a job; the
answers go to standard output. It runs in the peer's environment, so nothing but the standard library is imported here.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from benchmarks.harness.clients.base import Client, FileSystem, Many, Settable, Target

_FAILURES = 5  # told of a job
_PIECE_BYTES = 256 * 1024  # of a stream


def main() -> None:
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    wanted = json.loads(sys.stdin.readline())
    client = _client(wanted["client"], Target(**wanted["target"]), wanted["options"])
    worker = _Worker(client)
    print(json.dumps({"facts": client.facts}), file=answers)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(worker.carry_out(job)), file=answers)


def _client(name: str, target: Target, options: dict[str, Any]) -> Client:
    if name == "ours":
        from benchmarks.harness.clients.ours import Ours  # noqa: PLC0415 - each in its own environment

        return Ours(target, options)
    if name == "oss2":
        from benchmarks.harness.clients.by_oss2 import Oss2  # noqa: PLC0415

        return Oss2(target, options)
    if name == "oss_v2":
        from benchmarks.harness.clients.by_oss_v2 import OssV2  # noqa: PLC0415

        return OssV2(target, options)
    if name == "opendal":
        from benchmarks.harness.clients.by_opendal import Opendal  # noqa: PLC0415

        return Opendal(target, options)
    if name == "boto3":
        from benchmarks.harness.clients.by_boto3 import Boto3  # noqa: PLC0415

        return Boto3(target, options)
    if name == "obstore":
        from benchmarks.harness.clients.by_obstore import Obstore  # noqa: PLC0415

        return Obstore(target, options)
    if name == "s3fs":
        from benchmarks.harness.clients.by_s3fs import S3fs  # noqa: PLC0415

        return S3fs(target, options)
    if name == "ossfs":
        from benchmarks.harness.clients.by_ossfs import Ossfs  # noqa: PLC0415

        return Ossfs(target, options)
    if name == "filesystem":
        from benchmarks.harness.clients.our_filesystem import OurFileSystem  # noqa: PLC0415

        return OurFileSystem(target, options)
    raise ValueError(f"no client {name!r}")


class _Tally:
    """What came of creates. Any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.created = self.sent_bytes = 0
        self.failed = 0
        self.failures: list[str] = []

    def add(self, created: int, size_bytes: int, failures: list[Exception]) -> None:
        """`created` objects of this size."""
        with self._lock:
            self.created += created
            self.sent_bytes += created * size_bytes
            self.failed += len(failures)
            for each in failures[: _FAILURES - len(self.failures)]:
                self.failures.append(f"{type(each).__name__}: {each}"[:500])


class _Worker:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = b""
        self._idle_bytes = 0

    def carry_out(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["do"] == "settle":
            return self._settle(job["key"], job["hold_bytes"])
        if job["do"] == "warm":
            return self._warm(job["key"], job["settings"])
        does: dict[str, Callable[[dict[str, Any], _Tally], None]] = {
            "file": self._file,
            "stream": self._stream,
            "held": self._from_memory,
            "threads": self._threads,
            "many": self._many,
            "count": self._count,
            "copy": self._copy,
            "pipe": self._pipe,
        }
        return self._measured(does[job["do"]], job)

    def _settle(self, key: str, hold_bytes: int) -> dict[str, Any]:
        """Data to send, one small create, and from here on the client is idle."""
        self._held = os.urandom(hold_bytes)
        self._client.create(key, b"x" * 4096)
        gc.collect()
        self._idle_bytes = _status_bytes("VmRSS")
        return {"idle_bytes": self._idle_bytes}

    def _warm(self, key: str, settings: dict[str, Any]) -> dict[str, Any]:
        """From here on with these settings; connections are at rest, as in a program that has written before."""
        settable = self._settable()
        settable.set(settings)
        settable.warm(f"{key}-{secrets.token_hex(4)}")
        return {}

    def _measured(self, does: Callable[[dict[str, Any], _Tally], None], job: dict[str, Any]) -> dict[str, Any]:
        gc.collect()
        _forget_peak()
        tally = _Tally()
        cpu_s = _cpu_s()
        began_s = time.perf_counter()
        does(job, tally)
        wall_s = time.perf_counter() - began_s
        return {
            "wall_s": wall_s,
            "cpu_s": _cpu_s() - cpu_s,
            "growth_bytes": _status_bytes("VmHWM") - self._idle_bytes if self._idle_bytes else None,
            "created": tally.created,
            "sent_bytes": tally.sent_bytes,
            "failed": tally.failed,
            "failures": tally.failures,
        }

    def _file(self, job: dict[str, Any], tally: _Tally) -> None:
        size_bytes = os.stat(job["path"]).st_size
        self._one(lambda: self._client.create_file(job["key"], job["path"]), size_bytes, tally)

    def _stream(self, job: dict[str, Any], tally: _Tally) -> None:
        settable = self._settable()
        with open(job["path"], "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
            self._one(lambda: settable.create_stream(job["key"], pieces), size_bytes, tally)

    def _settable(self) -> Settable:
        # Not by its type: a Protocol whose members are properties cannot be asked that.
        if not hasattr(self._client, "set"):
            raise TypeError("this client is as it was made")
        return cast("Settable", self._client)

    def _from_memory(self, job: dict[str, Any], tally: _Tally) -> None:
        self._one(lambda: self._client.create(job["key"], self._held), len(self._held), tally)

    def _one(self, create: Callable[[], None], size_bytes: int, tally: _Tally) -> None:
        try:
            create()
        except Exception as exc:  # noqa: BLE001 - told, and the run counts for nothing
            tally.add(0, size_bytes, [exc])
        else:
            tally.add(1, size_bytes, [])

    def _threads(self, job: dict[str, Any], tally: _Tally) -> None:
        """For some seconds, or until there are so many "objects"."""
        data = os.urandom(job["bytes"])
        until_s = time.perf_counter() + job.get("seconds", math.inf)
        share, more = divmod(job.get("objects", sys.maxsize), job["threads"])

        def creates(thread: int) -> None:
            created = 0
            failures: list[Exception] = []
            most = share + (thread < more)
            while created < most and time.perf_counter() < until_s and len(failures) < _FAILURES:
                try:
                    self._client.create(f"{job['key']}/{thread}-{created}", data)
                except Exception as exc:  # noqa: BLE001 - told
                    failures.append(exc)
                else:
                    created += 1
            tally.add(created, len(data), failures)

        threads = [threading.Thread(target=creates, args=(number,)) for number in range(job["threads"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _many(self, job: dict[str, Any], tally: _Tally) -> None:
        """For some seconds."""
        data = os.urandom(job["bytes"])
        until_s = time.perf_counter() + job["seconds"]

        def items() -> Iterator[tuple[str, bytes]]:
            number = 0
            while time.perf_counter() < until_s:
                yield f"{job['key']}/{number}", data
                number += 1

        self._in_one_call(items(), len(data), tally)

    def _count(self, job: dict[str, Any], tally: _Tally) -> None:
        """So many of them."""
        data = os.urandom(job["bytes"])
        self._in_one_call(((f"{job['key']}/{number}", data) for number in range(job["objects"])), len(data), tally)

    def _in_one_call(self, items: Iterator[tuple[str, bytes]], size_bytes: int, tally: _Tally) -> None:
        if not hasattr(self._client, "create_many"):
            raise TypeError("this client has no call for many objects")
        created = 0
        failures: list[Exception] = []
        for failure in cast("Many", self._client).create_many(items):
            if failure is None:
                created += 1
            else:
                failures.append(failure)
        tally.add(created, size_bytes, failures)

    def _copy(self, job: dict[str, Any], tally: _Tally) -> None:
        self._one(lambda: self._settable().copy(job["source"], job["key"]), job["bytes"], tally)

    def _pipe(self, job: dict[str, Any], tally: _Tally) -> None:
        if not hasattr(self._client, "pipe"):
            raise TypeError("this client is no filesystem")
        system = cast("FileSystem", self._client)
        size_bytes = job["bytes"]
        pieces = (self._held[at : at + size_bytes] for at in range(0, job["objects"] * size_bytes, size_bytes))
        objects = {f"{job['key']}/{number}": piece for number, piece in enumerate(pieces)}
        try:
            system.pipe(objects)
        except Exception as exc:  # noqa: BLE001 - told, and the run counts for nothing
            tally.add(0, size_bytes, [exc])
        else:
            tally.add(len(objects), size_bytes, [])


def _cpu_s() -> float:
    """User and system time of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _status_bytes(field: str) -> int:
    """0 where the system has no such file (it is Linux's)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def _forget_peak() -> None:
    """From here on VmHWM counts anew: proc_pid_clear_refs(5)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


if __name__ == "__main__":
    main()
