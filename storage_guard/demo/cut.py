"""Answers that are cut on the wire, on any service of the loopback."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from storage_guard import ObjectExists, Store
from storage_guard.demo import scenarios
from storage_guard.demo.account import Account, is_at_the_key, look, short, told
from storage_guard.demo.samples import Sample
from storage_guard.demo.service import Watched
from storage_guard.testing.server import Cue, Hold, cut_after_acting, held

WAIT_S = 60.0


def but_ours(service: Watched, store: Store, sample: Sample, account: Account) -> None:
    """The server carries the commit out, and resets the connection instead of answering."""
    key = f"cut/{sample.number}-ours"
    cue = Cue(cut_after_acting(), member=scenarios.commit_of(sample))
    with service.struck(cue, account), service.watched(account):
        receipt = store.create(key, sample.path)
    account.saw(f"{receipt.outcome}, resolved={receipt.resolved}, write {short(receipt.write_id)}")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(receipt.outcome == "created" and receipt.resolved, "our own object was not recognised")
    account.must(is_at_the_key(seen, sample, receipt.write_id), "what was said to be created is not at the key")


def to_a_rival(service: Watched, store: Store, sample: Sample, account: Account) -> None:
    """The commit waits at the server until a rival has the key; then it is judged, and its answer is cut off."""
    key = f"cut/{sample.number}-rival"
    hold = Hold()
    cue = Cue(held(hold, cut_after_acting()), member=scenarios.commit_of(sample))
    with service.struck(cue, account), service.watched(account), ThreadPoolExecutor(1) as pool:
        ours = pool.submit(store.create, key, sample.path)
        try:
            hold.wait_for(1, WAIT_S)
            rival = store.create(key, b"what the rival wrote")
        finally:
            hold.release()
        failure = ours.exception()
    account.saw(f"the rival: {rival.outcome}, write {short(rival.write_id)}")
    if isinstance(failure, ObjectExists):
        holder = failure.existing.write_id if failure.existing else None
        account.saw(f"ours: ObjectExists, write {short(holder)} has the key")
        account.must(holder == rival.write_id, "the rival was not named in the error")
    else:
        account.saw(f"ours: {told(failure) if failure else ours.result().outcome}")
        account.broke("the write was not refused, and a rival had the key before")
    seen = look(store, key)
    account.saw(f"at the key: {seen or 'nothing'}")
    account.must(seen is not None and seen.write_id == rival.write_id, "the rival's object is not at the key")
