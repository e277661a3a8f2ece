"""What may go wrong around a create: a file that is written into, an upload that is gone on with, copies, renames."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading

from storage_guard import ObjectChanged, ObjectExists, Receipt, Store
from storage_guard.demo.account import Account, files_below, is_at_the_key, look, nothing_is_visible, short, told
from storage_guard.demo.others import PROGRAM
from storage_guard.demo.samples import Sample
from storage_guard.testing import faulty

_TIMEOUT_S = 60.0


class ProducerFailed(Exception):
    """What a producer raises here, in the middle of its work."""


def file_written_into(store: Store, sample: Sample, account: Account) -> None:
    """A producer fails while it writes into a file: nothing is published. It tries again, and then all of it is."""
    key = f"file/{sample.number}"
    before = files_below(store)
    file = store.open(key, "xb")
    try:
        with file:
            for piece in sample.pieces():
                file.write(piece)
            raise ProducerFailed("the producer fails")
    except ProducerFailed as exc:
        account.saw(f"{told(exc)}; the file is {'closed' if file.closed else 'open'}, its receipt: {file.receipt}")
        account.must(file.receipt is None, "a file that failed has a receipt")
    nothing_is_visible(store, key, before, account)
    with store.open(key, "xb") as file:
        for piece in sample.pieces():
            file.write(piece)
        account.must(store.head(key) is None, "the object was there before its file was closed")
    _is_there(store, key, sample, file.receipt, account)


def copied_and_renamed(store: Store, sample: Sample, account: Account) -> None:
    """A copy has a write of its own and replaces nothing; a renamed object is at one key only."""
    source, copy, renamed = (f"copy/{sample.number}-{each}" for each in ("source", "copy", "renamed"))
    original = store.create(source, sample.path)
    receipt = store.copy(source, copy)
    _is_there(store, copy, sample, receipt, account)
    account.must(receipt.write_id != original.write_id, "the copy passes for the write of its source")
    try:
        store.copy(source, copy)
    except ObjectExists as exc:
        account.saw(told(exc))
    else:
        account.broke("a second copy replaced the first")
    receipt = store.rename(copy, renamed)
    _is_there(store, renamed, sample, receipt, account)
    account.must(store.head(copy) is None, "the renamed object is still at its old key")


def read_while_replaced(store: Store, sample: Sample, account: Account) -> None:
    """An object is replaced while it is read: the reader is told, and never gets a mix."""
    key = f"replaced/{sample.number}"
    store.create(key, sample.path)
    with store.open(key, "rb") as file:
        first = file.read(1)
        store.remove(key)
        store.create(key, sample.pieces(1))
        try:
            rest = file.read()
        except ObjectChanged as exc:
            account.saw(told(exc))
        else:
            account.saw(f"{len(first) + len(rest):,} bytes were read")
            # What was read ahead is of the first object; more than that would be of the other.
            account.must(first + rest == b"".join(sample.pieces()), "the reader got a mix of two objects")


def gone_on_with(store: Store, sample: Sample, account: Account) -> None:
    """A process that uploads a large file is killed midway; another goes on with its upload and sends the rest."""
    key = f"resume/{sample.number}"
    with tempfile.TemporaryDirectory(prefix="storage-guard-demo-journal-") as journal:
        taken_bytes, status = _stopped_upload(store, sample, key, journal)
        account.saw(
            f"a process had sent {taken_bytes:,} of {sample.size_bytes:,} bytes, and ended with status {status}"
        )
        account.must(status == -9 and 0 < taken_bytes < sample.size_bytes, "the writer was not killed midway")
        account.must(store.head(key) is None, "a part of the object is visible")
        driver = faulty(store.driver, {})
        receipt = Store(driver, journal=journal).create(key, sample.path, resume=True)
        sent = driver.calls["put_part"]
        account.saw(f"the second sent {sent} of {receipt.parts} parts")
        account.must(sent < receipt.parts, "everything was sent again")
        _is_there(store, key, sample, receipt, account)
        account.must(not list(store.uploads()) and not os.listdir(journal), "an upload or its record was left behind")


def _stopped_upload(store: Store, sample: Sample, key: str, journal: str) -> tuple[int, int]:
    """How much it had sent when it was killed, and how it ended."""
    arguments = ["resume", store.url, key, str(sample.path), str(sample.size_bytes // 2), journal]
    with subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603
        assert writer.stdout is not None  # noqa: S101 - for the type checkers
        in_time = threading.Timer(_TIMEOUT_S, writer.kill)
        in_time.start()
        try:
            said = writer.stdout.readline().strip()
        finally:
            in_time.cancel()
            writer.kill()
        return int(said) if said.isdecimal() else 0, writer.wait()


def _is_there(store: Store, key: str, sample: Sample, receipt: Receipt | None, account: Account) -> None:
    seen = look(store, key)
    write_id = receipt.write_id if receipt is not None else None
    account.saw(f"write {short(write_id)} created; at {key}: {seen or 'nothing'}")
    account.must(is_at_the_key(seen, sample, write_id), f"what is at {key!r} is not what was written")
