"""A process that bears writers and kills them.

    python nursery.py ROOT

Reads a `Job` as a line of JSON, lets a child create the object, kills it with signal 9 `delay_s` after it began, and
prints a `Death`. Without a delay the child is killed once it has its receipt.
"""

from __future__ import annotations

import json
import os
import random
import sys
from dataclasses import asdict, dataclass
from typing import Any

from faults.killing import end_of
from faults.local_systems import Without
from storage_guard import Store
from storage_guard.checksum import RunningCrc64
from storage_guard.driver import Body, ObjectInfo, WriteMeta
from storage_guard.model import KiB, MiB
from storage_guard_local import LocalDriver, System
from storage_guard_local.attributes import ATTRIBUTE, encode

_NOISE = random.Random(0).randbytes(4 * MiB)


@dataclass(frozen=True)
class Job:
    """One object to create. `lacks`: what the disk is to be without."""

    number: int
    size_bytes: int
    in_parts: bool
    lacks: tuple[str, ...] = ()
    delay_s: float | None = None

    @property
    def key(self) -> str:
        return f"folder-{self.number % 5}/{self.number}"

    @property
    def write_id(self) -> str:
        return f"w-{self.number}"

    @property
    def data(self) -> bytes:
        return (self.number.to_bytes(8, "big") + _NOISE)[: self.size_bytes]


@dataclass(frozen=True)
class Death:
    """`answered`: the writer had its receipt before it died. `elapsed_s`: from its beginning to then, or to its end."""

    status: int
    answered: bool
    elapsed_s: float
    trouble: str = ""


class Careless(LocalDriver):
    """Writes under the name itself, and sets the attribute at the end: what the killing must find out."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        path = os.path.join(self.location.container, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        crc = RunningCrc64()
        with open(path, "xb", buffering=0) as file:
            file.writelines(crc.over(body.windows()))
            value = encode(meta, crc.checksum(), os.fstat(file.fileno()).st_mtime_ns)
            os.setxattr(path, ATTRIBUTE, value)
        info = self.head(key)
        assert info is not None
        return info


def store_for(root: str, lacks: tuple[str, ...], *, in_parts: bool = False) -> Store:
    if lacks == ("care",):
        return Store(Careless(root), multipart_from_bytes=1 << 40)
    driver = LocalDriver(root, system=Without(*lacks) if lacks else System())
    return Store(driver, part_bytes=256 * KiB, multipart_from_bytes=1 if in_parts else 1 << 40)


def bear(root: str, job: Job) -> Death:
    """One writer, from its birth to its death."""
    store, data = store_for(root, job.lacks, in_parts=job.in_parts), job.data

    def work() -> bytes:
        try:
            store.create(job.key, data, write_id=job.write_id)
        except BaseException as exc:  # noqa: BLE001 - told to the parent
            return repr(exc).encode()
        return b"r"  # has the receipt

    end = end_of(work, job.delay_s)
    trouble = "" if end.said in (b"", b"r") else end.said.decode()
    return Death(end.status, end.said == b"r", end.elapsed_s, trouble)


def main(root: str) -> None:
    for line in sys.stdin:
        fields: dict[str, Any] = json.loads(line)
        fields["lacks"] = tuple(fields["lacks"])
        print(json.dumps(asdict(bear(root, Job(**fields)))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
