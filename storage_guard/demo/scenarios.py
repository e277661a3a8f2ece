"""What may go wrong with a create, one function each: it lets it happen, looks, and says what it saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeVar

from storage_guard import ObjectExists, OutcomeUnknown, Receipt, Store
from storage_guard.demo.account import Account, files_below, is_at_the_key, look, nothing_is_visible, short, told
from storage_guard.demo.child import Results, contend, race_key
from storage_guard.demo.others import settled_elsewhere, stopped_writer
from storage_guard.demo.samples import Sample
from storage_guard.model import MiB
from storage_guard.testing import (
    LOST_AFTER,
    LOST_BEFORE,
    Fault,
    FaultyDriver,
    Member,
    Request,
    faulty,
    race,
    race_processes,
)

T = TypeVar("T")

CONTENDERS = 8
MULTIPART_FROM_BYTES = 16 * MiB  # what a Store does unless it is told otherwise
_OFTEN = 1000
_PATIENCE_S = 0.3


class Interrupted(Exception):
    """What a caller's own data raises here."""


# Eight writers, one key


def race_of_processes(store: Store, samples: Sequence[Sample]) -> list[Results]:
    """For each sample, what each of eight processes got that created its key at the same moment."""
    everyone = [(store, samples, contender) for contender in range(CONTENDERS)]
    return [list(each) for each in race_processes(contend, everyone, rounds=len(samples))]


def race_of_threads(store: Store, samples: Sequence[Sample]) -> list[Results]:
    """The same for eight threads of this process."""
    everyone = range(CONTENDERS)
    return [race([partial(contend, store, samples, each, n) for each in everyone]) for n in range(len(samples))]


def judge_race(store: Store, sample: Sample, results: Results, account: Account) -> None:
    """One won, the others were told who, and the bytes at the key are the winner's."""
    seen = look(store, race_key(sample))
    winners: list[tuple[int, Receipt]] = []
    for contender, result in enumerate(results):
        if isinstance(result, ObjectExists):
            holder = result.existing.write_id if result.existing else None
            account.saw(f"writer {contender}: ObjectExists, write {short(holder)} has the key")
            right = seen is not None and holder == seen.write_id
            account.must(right, f"writer {contender} was told of write {short(holder)}, which is not at the key")
        elif isinstance(result, BaseException):
            account.saw(f"writer {contender}: {told(result)}")
            account.broke(f"writer {contender} got {type(result).__name__}")
        else:
            pid, receipt = result
            account.saw(f"writer {contender}: {receipt.outcome}, write {short(receipt.write_id)}, by process {pid}")
            winners.append((contender, receipt))
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(len(winners) == 1, f"{len(winners)} of {len(results)} writers were told that they had created it")
    for contender, receipt in winners:
        right = is_at_the_key(seen, sample, receipt.write_id, version=contender)
        account.must(right, f"what is at the key is not what writer {contender} wrote")


# A writer that is killed


def killed(store: Store, sample: Sample, account: Account, *, in_parts: bool, program: Sequence[str] = ()) -> None:
    """Kill a writing process midway: nothing is to be seen of it, and the key is free. `program` replaces ours."""
    key = f"killed/{sample.number}-{'parts' if in_parts else 'put'}"
    before = files_below(store)
    stopped = stopped_writer(store, sample, key, in_parts=in_parts, program=program)
    where = "" if stopped.unpublished_bytes is None else f", {stopped.unpublished_bytes:,} in an open file of its own"
    account.saw(f"the store had taken {stopped.taken_bytes:,} of {sample.size_bytes:,} bytes{where}")
    account.saw(f"the writer, process {stopped.pid}, was sent signal 9 and ended with status {stopped.status}")
    account.must(stopped.midway, "the writer was not killed midway")
    account.must(stopped.status == -9, f"the writer was not killed, it ended with status {stopped.status}")
    nothing_is_visible(store, key, before, account)
    _key_is_free(store, key, sample, account)


def _key_is_free(store: Store, key: str, sample: Sample, account: Account) -> None:
    receipt = store.create(key, sample.path)
    seen = look(store, key)
    account.saw(f"a second writer: {receipt.outcome}; at the key: {seen or 'nothing'}")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what the second writer wrote is not at the key")


# An answer that is lost


class RivalFirst(Fault):
    """A rival creates the object just before the request arrives, and the answer to the request is lost."""

    def __init__(self, rival: Store, key: str, data: bytes) -> None:
        self.rival = rival
        self._key = key
        self._data = data
        self.receipt: Receipt | None = None

    def strike(self, request: Request[T], /) -> T:
        self.receipt = self.rival.create(self._key, self._data)
        return LOST_AFTER.strike(request)


def lost_but_ours(store: Store, sample: Sample, account: Account) -> None:
    """The store writes, and its answer is lost."""
    key = f"lost/{sample.number}-ours"
    driver = faulty(store.driver, commit_of(sample), [LOST_AFTER])
    receipt = Store(driver).create(key, sample.path)
    account.saw(f"{receipt.outcome}, resolved={receipt.resolved}, write {short(receipt.write_id)}")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    _all_struck(driver, account)
    account.must(receipt.outcome == "created" and receipt.resolved, "our own object was not recognised")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what was said to be created is not at the key")


def lost_to_a_rival(store: Store, sample: Sample, account: Account) -> None:
    """A rival has the key, and the store's answer is lost."""
    key = f"lost/{sample.number}-rival"
    rival = RivalFirst(store, key, b"what the rival wrote")
    driver = faulty(store.driver, commit_of(sample), [rival])
    try:
        receipt = Store(driver).create(key, sample.path)
    except ObjectExists as exc:
        holder = exc.existing.write_id if exc.existing else None
        account.saw(f"ObjectExists, write {short(holder)} has the key")
        account.must(
            rival.receipt is not None and holder == rival.receipt.write_id, "the rival was not named in the error"
        )
    else:
        account.saw(f"{receipt.outcome}, write {short(receipt.write_id)}")
        account.broke("the write was said to be created, and a rival had the key before")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    _all_struck(driver, account)
    right = seen is not None and rival.receipt is not None and seen.write_id == rival.receipt.write_id
    account.must(right, "the rival's object is not at the key")


def lost_and_cut_off(store: Store, sample: Sample, account: Account) -> None:
    """The answer is lost, and so is every later one: the truth is that nobody knows. A ticket asks again."""
    key = f"lost/{sample.number}-unknown"
    lost: Sequence[Fault | None] = [LOST_BEFORE] * _OFTEN
    look_before: Sequence[Fault | None] = [None] if sample.size_bytes >= MULTIPART_FROM_BYTES else []  # of an upload
    dark: dict[Member, Sequence[Fault | None]] = {
        commit_of(sample): [LOST_AFTER, *lost],
        "head": [*look_before, *lost],
        "abort": lost,
        "scan_parts": lost,
    }
    try:
        receipt = Store(faulty(store.driver, dark)).create(key, sample.path, deadline_s=_PATIENCE_S)
    except OutcomeUnknown as exc:
        account.saw(f"OutcomeUnknown, write {short(exc.write_id)}, ticket {exc.ticket}")
        unknown = exc
    else:
        account.saw(f"{receipt.outcome}, write {short(receipt.write_id)}")
        account.broke("something was said for certain while no answer came")
        return
    by, outcome, write_id = settled_elsewhere(store, unknown.ticket or "")
    account.saw(f"the ticket, settled {by}: {outcome}, write {short(write_id)}")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must((outcome, write_id) == ("created", unknown.write_id), "the ticket did not lead to our own object")
    account.must(is_at_the_key(seen, sample, unknown.write_id), "what was settled is not at the key")


def commit_of(sample: Sample) -> Member:
    """The request by which a sample is published."""
    return "finish_new" if sample.size_bytes >= MULTIPART_FROM_BYTES else "put_new"


def _all_struck(driver: FaultyDriver, account: Account) -> None:
    account.must(not driver.left, "the answer was not lost after all")


# A second attempt


def second_attempt(store: Store, sample: Sample, account: Account) -> None:
    """Create twice, with other bytes: the second is refused, and changes nothing."""
    key = f"second/{sample.number}"
    store.create(key, sample.path)
    before = look(store, key)
    account.saw(f"at the key: {before or 'nothing'}")
    try:
        receipt = store.create(key, sample.pieces(1))
    except FileExistsError as exc:
        account.saw(told(exc))
    else:
        account.saw(f"{receipt.outcome}, write {short(receipt.write_id)}")
        account.broke("the second create was not refused")
    after = look(store, key)
    account.saw(f"at the key: {after or 'nothing'}")
    account.must(before is not None and after == before, "the object has changed")
    account.must(is_at_the_key(after, sample, before.write_id if before else None), "the first bytes are not there")


# A source that fails


def failing_source(store: Store, sample: Sample, account: Account) -> None:
    """The caller's own data raises midway: nothing is published, and the caller's own exception comes back."""
    key = f"failing/{sample.number}"
    before = files_below(store)
    given = 0

    def data() -> Iterator[bytes]:
        nonlocal given
        for piece in sample.pieces():
            half = piece if given + len(piece) <= sample.size_bytes * 2 // 3 else piece[: len(piece) // 2]
            given += len(half)
            yield half
            if half is not piece:
                break
        raise Interrupted("the source broke off")

    try:
        receipt = store.create(key, data())
    except Interrupted as exc:
        account.saw(f"after {given:,} of {sample.size_bytes:,} bytes: {told(exc)}")
        account.saw(f"with the notes: {' / '.join(getattr(exc, '__notes__', []))}")
    else:
        account.saw(f"{receipt.outcome}, {receipt.size_bytes} bytes, write {short(receipt.write_id)}")
        account.broke("a part of the data was published as if it were the whole")
    nothing_is_visible(store, key, before, account)
    _key_is_free(store, key, sample, account)
