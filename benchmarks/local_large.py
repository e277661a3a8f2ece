"""What does a large durable create on a disk cost, compared with `cp` and `sync -d`? And how much memory?

    python benchmarks/local_large.py [--root FOLDER] [--mib 1024] [--rounds 5] [--in-flight N] [--part-mib N]

Rounds of `cp source copy && sync -d copy` and `Store.create(key, path)`, by turns, each behind a `sync`, so that a disk
that slows down slows down both. Memory is the growth of the highest resident size over an idle Store (Linux only), each
in a process of its own: of a file, and of a stream of unknown length, beside the bound that the Store's documentation
gives for it. JSON lines; `ratio` is of the medians, to `cp`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage_guard import Store
from storage_guard_local import LocalDriver

MIB = 1 << 20
STREAM_PART_BYTES, MEMORY_BYTES = 8 * MIB, 128 * MIB  # the Store's own
_MEASURE = """
import sys
sys.path.insert(0, {here!r})
import local_large
print(local_large.growth({kind!r}, {root!r}, {source!r}, {options!r}))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=os.path.dirname(os.path.abspath(__file__)), help="where to make a folder")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=None)
    parser.add_argument("--part-mib", type=int, default=None)
    asked = parser.parse_args()
    options: dict[str, Any] = {"in_flight": asked.in_flight}
    if asked.part_mib:
        options["part_bytes"] = asked.part_mib * MIB
    root = Path(tempfile.mkdtemp(prefix="local-large-", dir=asked.root))
    try:
        source = root / "source"
        with source.open("wb") as file:
            for _ in range(asked.mib):
                file.write(os.urandom(MIB))
        compare(root, source, asked.rounds, options)
        for kind, in_flight in (("file", None), ("stream", None), ("stream", 4), ("stream", 1)):
            remember(kind, root, source, options | {"in_flight": in_flight})
    finally:
        shutil.rmtree(root)


def compare(root: Path, source: Path, rounds: int, options: dict[str, Any]) -> None:
    store = Store(LocalDriver(root / "store"), **options)
    wall_s: dict[str, list[float]] = {"cp": [], "store": []}
    cpu_s = 0.0
    for number in range(rounds):
        os.sync()
        began_s = time.perf_counter()
        copy(source, root / "copy")
        wall_s["cp"].append(time.perf_counter() - began_s)
        (root / "copy").unlink()
        os.sync()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        store.create(f"object-{number}", source)
        wall_s["store"].append(time.perf_counter() - began_s)
        cpu_s += time.process_time() - began_cpu_s
        store.remove(f"object-{number}")
    medians = {side: statistics.median(times) for side, times in wall_s.items()}
    for side, times in wall_s.items():
        line = {
            "side": side,
            "bytes": source.stat().st_size,
            "rounds": rounds,
            "median_s": round(medians[side], 3),
            "all_s": [round(each, 3) for each in times],
            "ratio": round(medians[side] / medians["cp"], 3),
        }
        print(json.dumps(line | ({"cpu_s": round(cpu_s / rounds, 3)} if side == "store" else {})), flush=True)


def copy(source: Path, to: Path) -> None:
    subprocess.run(["cp", str(source), str(to)], check=True)
    subprocess.run(["sync", "-d", str(to)], check=True)


def remember(kind: str, root: Path, source: Path, options: dict[str, Any]) -> None:
    """Print how much memory one create takes, in a process that has done nothing else."""
    program = _MEASURE.format(
        here=os.path.dirname(os.path.abspath(__file__)), kind=kind, root=str(root), source=str(source), options=options
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    line = {"memory_of": kind, "in_flight": options["in_flight"], "growth_mib": round(float(printed) / MIB, 1)}
    if kind == "stream":
        part_bytes = options.get("part_bytes", STREAM_PART_BYTES)
        line["bound_mib"] = min((options["in_flight"] or 64) * part_bytes, MEMORY_BYTES) / MIB
    print(json.dumps(line), flush=True)


def growth(kind: str, root: str, source: str, options: dict[str, Any]) -> int:
    """By how many bytes the highest resident size grows over an idle Store."""

    store = Store(LocalDriver(os.path.join(root, "memory")), **options)
    store.create("warm", b"x")
    store.remove("warm")
    idle_bytes = peak_bytes()
    store.create("k", Path(source) if kind == "file" else _pieces(source))
    grown_bytes = peak_bytes() - idle_bytes
    store.remove("k")
    return grown_bytes


def peak_bytes() -> int:
    # Not ru_maxrss, which a process inherits from who started it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _pieces(source: str) -> Iterator[bytes]:
    with open(source, "rb") as file:
        while piece := file.read(256 << 10):
            yield piece


if __name__ == "__main__":
    main()
