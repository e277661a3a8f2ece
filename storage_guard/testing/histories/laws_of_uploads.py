"""The laws about open uploads: those that are left, gone on with, swept and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from storage_guard.testing.histories.history import Call, Touch
from storage_guard.testing.histories.view import Breach, KeyHistory, uses


def a_left_upload_is_reported(key: KeyHistory) -> Iterator[Breach]:
    """An upload that is open when all is over was named to its writer, in a note or a ticket; where opening it was
    not answered nobody knows its name, and a note says that one may be left."""
    unnamed: Counter[int] = Counter()
    calls = {call.number: call for call in key.creates}
    for upload in key.history.left:
        call = calls.get(upload.number if upload.number is not None else -1)
        if upload.key != key.key or call is None or call.told is None:
            continue
        if call.told.upload_id != upload.upload_id and not any(upload.upload_id in note for note in call.told.notes):
            unnamed[call.number] += 1
    for number, count in unnamed.items():
        told = calls[number].told
        notes = sum(note.count("opening an upload") for note in told.notes) if told else 0
        if notes < count:
            yield Breach((calls[number],), f"{count} uploads are left open and {notes} notes say that one may be")


def a_resumed_write_is_one_write(key: KeyHistory) -> Iterator[Breach]:
    """Whoever works on an upload that another call has begun writes under that call's id, and offers the same bytes:
    the two are one write."""
    began = {touch.upload_id: touch.number for touch in key.touches if touch.what == "begin"}
    for touch in key.touches:
        first = key.by_number.get(began.get(touch.upload_id, -1))
        call = key.by_number.get(touch.number)
        if first is None or call is None or call is first or touch.what not in ("part", "finish"):
            continue
        if not call.asked.resume or not first.asked.resume:
            yield Breach((first, call), f"sent to upload {touch.upload_id} of another")
        elif key.contents(call) != key.contents(first):
            yield Breach((first, call), "went on with an upload of other bytes")
        elif touch.what == "finish" and not set(call.write_ids) <= set(first.write_ids):
            yield Breach((first, call), f"went on with the upload as {call.write_ids}, not as {first.write_ids}")


def a_sweep_takes_what_is_forgotten(key: KeyHistory) -> Iterator[Breach]:
    """A sweep aborts no upload that a living writer is at work on, unless it was named; none that is too young; and
    what it says is removed is gone."""
    left = {upload.upload_id for upload in key.history.left}
    for call, told in key.told:
        if call.asked.kind != "sweep":
            continue
        aborted = [touch for touch in uses(key.touches, call.number) if touch.what == "abort"]
        if aborted and call.asked.older_than_s > 0:
            yield Breach((call,), f"upload {aborted[0].upload_id} is not {call.asked.older_than_s:g} s old")
        if left & set(told.swept) & {touch.upload_id for touch in key.touches}:
            yield Breach((call,), "told that uploads were removed, and they are open")
        for touch in aborted:
            writer = _at_work(key, touch)
            if touch.upload_id not in told.named and writer is not None:
                yield Breach((writer, call), f"upload {touch.upload_id} was swept while its writer was at work")


def _at_work(key: KeyHistory, abort: Touch) -> Call | None:
    """The write that worked on the upload before and after it was aborted."""
    for call in key.creates:
        own = [touch for touch in uses(key.touches, call.number) if touch.upload_id == abort.upload_id]
        if call.number != abort.number and own:
            before = min(touch.began for touch in own) < abort.began
            if before and max(touch.began for touch in own) > abort.ended:
                return call
    return None


def an_upload_is_listed_while_it_is_open(key: KeyHistory) -> Iterator[Breach]:
    """A listing shows uploads that somebody has begun, and none that was finished or aborted before it was asked for,
    where listings are never stale."""
    if not key.history.fresh_listings:
        return
    open_from: dict[str, int] = {}
    over: dict[str, int] = {}
    for touch in key.touches:
        if touch.what == "begin":
            open_from[touch.upload_id] = touch.began
        elif touch.what == "abort":
            over[touch.upload_id] = touch.ended
    for call, told in key.told:
        for upload_id in told.uploads:
            if upload_id in open_from and open_from[upload_id] > call.ended:
                yield Breach((call,), f"upload {upload_id} was not open yet")
            if upload_id in over and over[upload_id] < call.began:
                yield Breach((call,), f"upload {upload_id} was aborted before")
