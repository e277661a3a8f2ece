"""python -m storage_guard.demo [FILE ...]

Creates objects from files of its own making, and from each FILE, in a folder on a disk, in memory, and on Alibaba OSS
and Amazon S3 as servers on the loopback speak them, while everything happens to them that may happen. Without oss2, or
boto3, it says so, and leaves OSS, or S3, out. Exit code 0 if every promise was kept, 1 if one was broken, 2 if a FILE
cannot be used.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from storage_guard import __version__, open_store
from storage_guard.demo import engine, oss, s3, scenarios
from storage_guard.demo.s3_service import loopback_s3
from storage_guard.demo.samples import Sample, made_in, named
from storage_guard.demo.service import environment, loopback
from storage_guard.demo.show import Show
from storage_guard.model import MiB

_IN_MEMORY_BYTES = 64 * MiB
_ROOM = 12  # times the largest file: eight contenders, what is there before them, and what comes after


def main(arguments: Sequence[str]) -> int:
    if any(each in ("-h", "--help") for each in arguments):
        print(__doc__)
        return 0
    started_s = time.monotonic()
    try:
        theirs = [named(Path(each), number) for number, each in enumerate(arguments, start=100)]
    except OSError as exc:
        print(f"storage_guard.demo: {exc.filename} cannot be used: {exc.strerror}", file=sys.stderr)
        return 2
    where = a_real_disk()
    for each in theirs:
        if each.size_bytes * _ROOM > shutil.disk_usage(where).free:
            print(f"storage_guard.demo: {where} has no room for {_ROOM} times {each.path}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="storage-guard-demo-", dir=where) as folder:
        print(f"storage-guard {__version__}, Python {platform.python_version()}, {platform.system()}")
        score = Show()
        samples = [*made_in(Path(folder)), *theirs]
        # What is left open on purpose is not this user's to sweep.
        with environment({"STORAGE_GUARD_JOURNAL": os.path.join(folder, "journal")}):
            on_a_disk(score, os.path.join(folder, "store"), samples)
            in_memory(score, samples)
            on_oss(score, samples)
            on_s3(score, samples)
    print(f"\n{score.count} scenarios in {time.monotonic() - started_s:.1f} s: ", end="")
    print(f"{len(score.broken)} BROKEN: {'; '.join(score.broken)}" if score.broken else "all held")
    return 1 if score.broken else 0


def on_a_disk(score: Show, folder: str, samples: Sequence[Sample]) -> None:
    with open_store(folder) as store:
        print(f"\n=== {store.url}, {kind_of_disk(folder)}: {store.check().reason}")
        large = [sample for sample in samples if sample.size_bytes >= scenarios.MULTIPART_FROM_BYTES]
        in_one = functools.partial(scenarios.killed, in_parts=False)
        in_parts = functools.partial(scenarios.killed, in_parts=True)
        score.race("Eight processes create one key at once", scenarios.race_of_processes, store, samples)
        score.each("A writer is killed midway, in one request", in_one, store, samples)
        score.each("A writer is killed midway, in parts", in_parts, store, large)
        score.each("A large upload is killed midway, and gone on with", engine.gone_on_with, store, large)
        score.everywhere(store, samples)


def in_memory(score: Show, samples: Sequence[Sample]) -> None:
    with open_store(f"memory://demo-{os.getpid()}") as store:
        print(f"\n=== {store.url}: {store.check().reason}")
        small = [sample for sample in samples if sample.size_bytes <= _IN_MEMORY_BYTES]
        score.race("Eight threads create one key at once", scenarios.race_of_threads, store, small)
        score.everywhere(store, small)


def on_oss(score: Show, samples: Sequence[Sample]) -> None:
    with loopback() as service:
        try:
            service.open().close()
        except ModuleNotFoundError as exc:
            print(f"\n=== Alibaba OSS is left out: {exc}")
            return
        oss.scenarios_of(score, service, [sample for sample in samples if sample.size_bytes <= _IN_MEMORY_BYTES])


def on_s3(score: Show, samples: Sequence[Sample]) -> None:
    with contextlib.ExitStack() as until:
        try:
            service = until.enter_context(loopback_s3())
            service.open().close()
        except ModuleNotFoundError as exc:
            print(f"\n=== Amazon S3 is left out: {exc}")
            return
        s3.scenarios_of(score, service, [sample for sample in samples if sample.size_bytes <= _IN_MEMORY_BYTES])


def a_real_disk() -> str:
    """The folder for temporary files; another one if that is in memory."""
    folders = [tempfile.gettempdir(), "/var/tmp", os.getcwd()]  # noqa: S108 - a folder of a random name is made there
    usable = [each for each in folders if os.access(each, os.W_OK)]
    return next((each for each in usable if kind_of_disk(each) not in ("tmpfs", "ramfs")), folders[0])


def kind_of_disk(path: str) -> str:
    """The type of the file system that a path is on."""
    kind, at = "a disk of unknown kind", ""
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return kind
    for mount in mounts:
        _, point, found = mount.split(" ")[:3]
        inside = f"{os.path.realpath(path)}/".startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= len(at):  # a later mount lies on top
            kind, at = found, point
    return kind


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
