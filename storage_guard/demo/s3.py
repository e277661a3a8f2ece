"""The same on S3, as the loopback server speaks it, and on stores that only claim to speak it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from storage_guard import GuaranteeMissing, ObjectExists, Store
from storage_guard.demo import cut, engine, scenarios
from storage_guard.demo.account import Account, is_at_the_key, look, nothing_is_visible, short, told
from storage_guard.demo.s3_service import S3Service, claiming
from storage_guard.demo.samples import Sample
from storage_guard.demo.service import Watched
from storage_guard.demo.show import Show
from storage_guard.doctor import examine
from storage_guard.testing.server import Cue, Hold, held, refused_after_acting

_OWN_AREA = ".storage-guard/"
_ROUNDS = 2
BAD = {
    "ignores the condition": "ignored",
    "lets several win": "raced",
    "refuses, and overwrites all the same": "overwritten",
    "does not know it (501)": "unsupported",
}


def scenarios_of(score: Show, service: S3Service, samples: Sequence[Sample]) -> None:
    large = [sample for sample in samples if sample.size_bytes >= scenarios.MULTIPART_FROM_BYTES]
    few = samples[:1]
    with service.open() as store:
        print(f"\n=== {store.url}, {service.server.url} checks every signature: {store.check().reason}")
        score.race("Eight threads create one key at once", scenarios.race_of_threads, store, samples)
        score.each("The server acts, and the line is cut", partial(cut.but_ours, service), store, samples)
        score.each("A rival comes first, and the line is cut", partial(cut.to_a_rival, service), store, samples)
        score.each("The answer is lost, and so is every later one", scenarios.lost_and_cut_off, store, few)
        score.each("A rival comes and goes meanwhile: a 409", partial(conflict, service), store, samples)
        score.each("An error inside a 200, and the object is there", partial(error_in_a_200, service), store, large)
        score.each("A large upload is killed midway, and gone on with", engine.gone_on_with, store, large)
        score.each("A second attempt", scenarios.second_attempt, store, samples)
        score.each("A copy, and a rename", engine.copied_and_renamed, store, samples)
        print("\n=== stores that claim to speak S3, and are examined before the first write")
        for title, way in BAD.items():
            score.each(f"A store that {title}", partial(refused, way=way), store, samples[1:2])
        score.each("A store whose uploads take no notice of it", no_guarded_finish, store, large)
        score.each("A store whose copies take no notice of it", no_guarded_copy, store, samples[1:2])
        score.each("What the doctor says of that store", doctor, store, few)


def conflict(service: Watched, store: Store, sample: Sample, account: Account) -> None:
    """While the commit waits at the server a rival creates the key, and removes it. The service answers that nobody
    wrote; that is neither our object nor another's, and the write goes on."""
    key = f"conflict/{sample.number}"
    hold = Hold()
    member = scenarios.commit_of(sample)
    before = len(service.server.requests)
    with service.struck(Cue(held(hold), member=member), account), service.watched(account):
        with ThreadPoolExecutor(1) as pool:
            ours = pool.submit(store.create, key, sample.path)
            try:
                hold.wait_for(1, cut.WAIT_S)
                rival = store.create(key, b"what the rival wrote")
                store.remove(key)
            finally:
                hold.release()
            receipt = ours.result()
    account.saw(f"the rival: {rival.outcome}, and removed; ours: {receipt.outcome}, write {short(receipt.write_id)}")
    statuses = [seen.status for seen in service.server.requests[before:] if seen.asked.member == member]
    account.must(409 in statuses, f"nobody was in conflict: {statuses}")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what was said to be created is not at the key")
    account.must(not list(store.uploads()), "an upload was left open")


def error_in_a_200(service: Watched, store: Store, sample: Sample, account: Account) -> None:
    """A complete is carried out, and its answer says 200, and then that something went wrong."""
    key = f"in-a-200/{sample.number}"
    cue = Cue(refused_after_acting(200, "InternalError"), member=scenarios.commit_of(sample))
    with service.struck(cue, account), service.watched(account):
        receipt = store.create(key, sample.path)
    account.saw(f"{receipt.outcome}, resolved={receipt.resolved}, write {short(receipt.write_id)}")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(receipt.resolved, "the error was not seen")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what was said to be created is not at the key")


# Stores that do otherwise


def refused(_: Store, sample: Sample, account: Account, *, way: str) -> None:
    """Nothing of the caller's is sent where puts are not guarded, nor read."""
    taken = 0

    def data() -> Iterator[bytes]:
        nonlocal taken
        for piece in sample.pieces():
            taken += 1
            yield piece

    with claiming(put=way) as (service, store):
        try:
            receipt = store.create("key", data())
        except GuaranteeMissing as exc:
            account.saw(told(exc))
        else:
            account.saw(f"{receipt.outcome}, write {short(receipt.write_id)}")
            account.broke("a write went out although this store does not keep the condition")
        _asked(service, account, allowed=())
        account.must(taken == 0, "the caller's data was read")
        nothing_is_visible(store, "key", set(), account)
        _left(store, account)


def no_guarded_finish(_: Store, sample: Sample, account: Account) -> None:
    """Puts are guarded there: a large object goes in one."""
    with claiming(complete="ignored") as (service, store):
        receipt = store.create("key", sample.path)
        account.saw(f"{receipt.outcome} in one request, guarantee: {receipt.guarantee}")
        account.must((receipt.parts, receipt.guarantee) == (0, "raced"), "it was sent in parts, or nobody examined")
        try:
            store.create("key", sample.pieces(1))
        except ObjectExists as exc:
            account.saw(told(exc))
        else:
            account.broke("the second create was not refused")
        _asked(service, account, allowed=("put_new", "head"))
        seen = look(store, "key")
        account.saw(f"at the key: {seen or 'nothing'}")
        account.must(is_at_the_key(seen, sample, receipt.write_id), "what is at the key is not what was written")


def no_guarded_copy(_: Store, sample: Sample, account: Account) -> None:
    """Uploads are guarded there: the service copies the parts of one."""
    with claiming(copy="ignored") as (service, store):
        store.create("source", sample.path)
        receipt = store.copy("source", "copy")
        account.saw(f"{receipt.outcome}, {receipt.parts} parts copied, guarantee: {receipt.guarantee}")
        try:
            store.copy("source", "copy")
        except ObjectExists as exc:
            account.saw(told(exc))
        else:
            account.broke("a second copy replaced the first")
        _asked(service, account, allowed=("put_new", "head", "begin", "copy_part", "finish_new", "abort"))
        seen = look(store, "copy")
        account.saw(f"at the key: {seen or 'nothing'}")
        account.must(is_at_the_key(seen, sample, receipt.write_id), "what is at the key is not what was copied")


def doctor(_: Store, __: Sample, account: Account) -> None:
    """All laws of all operations, in a table; it cleans up after itself."""
    with claiming(copy="ignored") as (_other, store):
        report = examine(store, rounds=_ROUNDS)
        for line in str(report).splitlines():
            account.saw(line)
        broken = {row.operation for row in report.rows if row.holds is False}
        account.must(broken == {"copy"}, f"copies ignore the condition, and the doctor found fault with {broken}")
        account.must(not report.left, f"something was left: {report.left}")
        account.must(not list(store.driver.scan("", "", "")), "objects were left behind")


def _asked(service: Watched, account: Account, *, allowed: Sequence[str]) -> None:
    """Of the caller's own keys only what is allowed."""
    everything = [seen.asked for seen in service.server.requests]
    own = [asked for asked in everything if asked.key and not asked.key.startswith(_OWN_AREA)]
    members = sorted({asked.member for asked in own})
    account.saw(f"{len(everything)} requests; of the caller's own keys: {', '.join(members) or 'none'}")
    account.must(set(members) <= set(allowed), f"more was asked about the caller's own keys: {members}")


def _left(store: Store, account: Account) -> None:
    """Nothing but the verdict."""
    left = [each.key for each in store.driver.scan("", "", "")]
    account.saw(f"left in the bucket: {', '.join(left) or 'nothing'}")
    account.must(set(left) <= {f"{_OWN_AREA}guarantee.json"}, f"left in the bucket: {left}")
