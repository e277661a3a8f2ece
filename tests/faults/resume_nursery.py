"""A process that bears writers with `resume=True` and kills them.

    python resume_nursery.py ROOT JOURNAL

Reads a `Job` as a line of JSON, lets a child create the object, kills it with signal 9 `delay_s` after it began, and
prints a `Death`. Without a delay the child is killed once it has its receipt.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faults.killing import end_of
from storage_guard import Store
from storage_guard.driver import Body, Part, PartSlot
from storage_guard.model import KiB
from storage_guard_local import LocalDriver

PART_BYTES = 256 * KiB


@dataclass(frozen=True)
class Job:
    """One object to create from the file `source`."""

    key: str
    source: str
    durable: bool
    delay_s: float | None = None


@dataclass(frozen=True)
class Death:
    """`receipt`: what the writer was answered before it died. `sent_bytes` is known if it was answered."""

    status: int
    elapsed_s: float
    receipt: dict[str, Any] = field(default_factory=dict[str, Any])
    trouble: str = ""


class Counting(LocalDriver):
    sent_bytes = 0

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        part = super().put_part(key, upload_id, slot, body)
        self.sent_bytes += body.size_bytes  # in several threads, in whose turns nothing is lost that matters here
        return part


def open_store(driver: LocalDriver, journal: str) -> Store:
    return Store(driver, part_bytes=PART_BYTES, multipart_from_bytes=1, in_flight=2, journal=journal)


def work(root: str, journal: str, job: Job) -> str:
    """What the child has to say."""
    driver = Counting(root, durable=job.durable)
    told: list[int] = []
    try:
        receipt = open_store(driver, journal).create(
            job.key, Path(job.source), resume=True, progress=lambda done, _: told.append(done)
        )
    except BaseException as exc:  # noqa: BLE001 - told to the parent
        return json.dumps({"trouble": repr(exc)})
    return json.dumps(
        {
            "outcome": receipt.outcome,
            "write_id": receipt.write_id,
            "notes": receipt.notes,
            "sent_bytes": driver.sent_bytes,
            "first_bytes": told[0] if told else None,
            "last_bytes": told[-1] if told else None,
        }
    )


def bear(root: str, journal: str, job: Job) -> Death:
    """One writer, from its birth to its death."""
    end = end_of(lambda: work(root, journal, job).encode(), job.delay_s)
    receipt: dict[str, Any] = json.loads(end.said) if end.said else {}
    return Death(end.status, end.elapsed_s, receipt, str(receipt.pop("trouble", "")))


def main(root: str, journal: str) -> None:
    for line in sys.stdin:
        print(json.dumps(asdict(bear(root, journal, Job(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
