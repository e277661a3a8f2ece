"""The same on OSS, as the loopback server speaks it: here answers are cut on the wire, and buckets have versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from storage_guard import ChecksumMismatch, GuaranteeMissing, Store
from storage_guard.demo import cut, engine, scenarios
from storage_guard.demo.account import Account, is_at_the_key, look, nothing_is_visible, short, told
from storage_guard.demo.samples import Sample
from storage_guard.demo.service import Service
from storage_guard.demo.show import Show
from storage_guard.testing.server import Answer, Cue, altered
from storage_guard.testing.server.versions import Versioning

_CRC = "x-oss-hash-crc64ecma"
_STATES: tuple[Versioning, ...] = ("enabled", "suspended")


def scenarios_of(score: Show, service: Service, samples: Sequence[Sample]) -> None:
    with service.open() as store:
        print(f"\n=== {store.url}, {service.server.url} checks every signature: {store.check().reason}")
        large = [sample for sample in samples if sample.size_bytes >= scenarios.MULTIPART_FROM_BYTES]
        score.race("Eight processes create one key at once", scenarios.race_of_processes, store, samples)
        score.each("The server acts, and the line is cut", partial(cut.but_ours, service), store, samples)
        score.each("A rival comes first, and the line is cut", partial(cut.to_a_rival, service), store, samples)
        score.each("In parts, and one of them is damaged", partial(in_parts, service), store, large)
        score.each("A large upload is killed midway, and gone on with", engine.gone_on_with, store, large)
        score.each("A bucket that has, or had, versions", partial(versioned, service), store, large[:1])
        score.everywhere(store, samples)


def in_parts(service: Service, store: Store, sample: Sample, account: Account) -> None:
    """Of one part the server says every time that other bytes arrived: nothing is published. Then it says so once: that
    part is sent again, and the whole is compared."""
    key = f"parts/{sample.number}"
    damaged = Cue(altered(_with_another_crc), member="put_part", times=1000)
    with service.struck(damaged, account), service.watched(account):
        try:
            receipt = store.create(key, sample.path)
        except ChecksumMismatch as exc:
            account.saw(told(exc))
        else:
            account.broke(f"other bytes arrived, and the write was said to be {receipt.outcome}")
    nothing_is_visible(store, key, set(), account)
    account.must(not list(store.uploads()), "an upload was left open")
    damaged = Cue(altered(_with_another_crc), member="put_part")
    with service.struck(damaged, account), service.watched(account) as asked:
        receipt = store.create(key, sample.path)
    crc = receipt.checksum.value if receipt.checksum else None
    account.saw(f"{receipt.parts} parts, CRC-64 {crc}, compared by the {receipt.verified_by}")
    account.must(receipt.parts > 1, "it was not sent in parts")
    account.must(asked.count("put_part") == receipt.parts + 1, "not one part more was sent than there are")
    account.must(receipt.verified_by == "client", "nobody says that the checksums were compared")
    seen, info = look(store, key), store.head(key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what is at the key is not what was sent")
    account.must(info is not None and info.checksum == receipt.checksum, "the object has another checksum")


def _with_another_crc(answer: Answer) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name.lower() != _CRC}
    return replace(answer, headers={**headers, _CRC: "1"})


def versioned(service: Service, _: Store, sample: Sample, account: Account) -> None:
    """Where versioning is on, or was, the service takes no notice of the condition: nothing is sent there."""
    for state in _STATES:
        name = f"versions-{state}-{sample.number}"
        bucket = service.state.add_bucket(name)
        with service.open(name) as store:
            old = store.create("key", b"what was there")
        bucket.versioning = state
        with service.open(name) as store:
            _refused(service, store, sample, account, state)
            seen = look(store, "key")
            account.saw(f"at the key: {seen or 'nothing'}")
            account.must(seen is not None and seen.write_id == old.write_id, "the object has changed")


def _refused(service: Service, store: Store, sample: Sample, account: Account, state: str) -> None:
    taken = 0

    def data() -> Iterator[bytes]:
        nonlocal taken
        for piece in sample.pieces():
            taken += 1
            yield piece

    with service.watched(account) as asked:
        try:
            receipt = store.create("key", data())
        except GuaranteeMissing as exc:
            account.saw(f"{state}: {told(exc)}")
        else:
            account.saw(f"{state}: {receipt.outcome}, write {short(receipt.write_id)}")
            account.broke(f"a write went out although versioning is {state}")
    account.must(set(asked) <= {"versioning"}, f"more was asked than whether there are versions: {sorted(set(asked))}")
    account.must(taken == 0, "the caller's data was read")
