"""What do durable 4 KiB creates cost, compared with the system calls alone?

    python benchmarks/local_creates.py [--root FOLDER] [--blocks 40] [--block 25] [--profile]

Four sides take turns in small blocks, so that a disk that slows down slows down all of them: `bare` makes the very
system calls that the driver makes (as strace shows them), `least` only those without which there is no durable,
exclusive create (its folder is open already and nothing is looked at first), `driver` is `LocalDriver.put_new`, `store`
is `Store.create`. JSON lines; `ratio` is of the medians, to `bare`.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable

from storage_guard import Store
from storage_guard.driver import ObjectOptions, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard_local import LocalDriver

DATA = os.urandom(4096)
WRITE_ID = "0123456789abcdef0123456789abcdef"
ATTRIBUTE = b'{"id":"0123456789abcdef0123456789abcdef","crc64xz":"0123456789abcdef","mtime_ns":1790000000000000000}'


def bare(folder: str) -> Callable[[str], object]:
    def create(name: str) -> None:
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fstat(folder_fd)
        try:
            os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            pass
        fd = os.open(".", os.O_RDWR | os.O_TMPFILE, 0o666, dir_fd=folder_fd)
        os.pwrite(fd, DATA, 0)
        os.fstat(fd)
        os.setxattr(fd, "user.storage_guard", ATTRIBUTE)
        os.fsync(fd)
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder_fd)
        os.fsync(folder_fd)
        os.setxattr(fd, "user.storage_guard.synced", b"")
        os.close(fd)
        os.close(folder_fd)

    return create


def least(folder: str) -> Callable[[str], object]:
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def create(name: str) -> None:
        fd = os.open(".", os.O_RDWR | os.O_TMPFILE, 0o666, dir_fd=folder_fd)
        os.write(fd, DATA)
        os.setxattr(fd, "user.storage_guard", ATTRIBUTE)
        os.fsync(fd)
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder_fd)
        os.fsync(folder_fd)
        os.close(fd)

    return create


def through_driver(folder: str) -> Callable[[str], object]:
    driver = LocalDriver(folder)
    meta = WriteMeta(WRITE_ID, ObjectOptions())
    return lambda name: driver.put_new(name, BytesBody(DATA), meta)


def through_store(folder: str) -> Callable[[str], object]:
    store = Store(LocalDriver(folder))
    return lambda name: store.create(name, DATA)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=os.path.dirname(os.path.abspath(__file__)), help="where to make a folder")
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--block", type=int, default=25)
    parser.add_argument("--profile", action="store_true", help="print where the Store spends its time")
    asked = parser.parse_args()
    root = tempfile.mkdtemp(prefix="local-creates-", dir=asked.root)
    try:
        measure(root, asked)
    finally:
        shutil.rmtree(root)


def measure(root: str, asked: argparse.Namespace) -> None:
    makers = {"bare": bare, "least": least, "driver": through_driver, "store": through_store}
    sides: dict[str, Callable[[str], object]] = {}
    for side, maker in makers.items():
        os.mkdir(folder := os.path.join(root, side))
        sides[side] = maker(folder)
        sides[side]("warm")
    profile = cProfile.Profile() if asked.profile else None
    wall_s: dict[str, list[float]] = {side: [] for side in sides}
    cpu_s = dict.fromkeys(sides, 0.0)
    for block in range(asked.blocks):
        for side, create in sides.items():
            began_cpu_s = time.process_time()
            for number in range(asked.block):
                name = f"object-{block}-{number}"
                if profile and side == "store":
                    profile.enable()
                began_s = time.perf_counter()
                create(name)
                wall_s[side].append(time.perf_counter() - began_s)
                if profile and side == "store":
                    profile.disable()
            cpu_s[side] += time.process_time() - began_cpu_s
    medians = {side: statistics.median(times) for side, times in wall_s.items()}
    for side, times in wall_s.items():
        line = {
            "side": side,
            "creates": len(times),
            "median_us": round(medians[side] * 1e6, 1),
            "p90_us": round(statistics.quantiles(times, n=10)[-1] * 1e6, 1),
            "cpu_us": round(cpu_s[side] / len(times) * 1e6, 1),
            "ratio": round(medians[side] / medians["bare"], 3),
        }
        print(json.dumps(line))
    if profile:
        profile.print_stats("tottime")


if __name__ == "__main__":
    main()
