"""The laws, each of one key. Every one holds under all interleavings of what its docstring allows, and no more.

"A removal" is a request that took effect at the store, or may have: a removal is a new life of the key, and most laws
say what holds within one life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from storage_guard.testing.histories.history import Call, Told
from storage_guard.testing.histories.laws_of_copies import (
    a_copy_is_of_one_life,
    a_discarded_file_publishes_nothing,
    a_rename_loses_nothing,
)
from storage_guard.testing.histories.laws_of_uploads import (
    a_left_upload_is_reported,
    a_resumed_write_is_one_write,
    a_sweep_takes_what_is_forgotten,
    an_upload_is_listed_while_it_is_open,
)
from storage_guard.testing.histories.view import Breach, KeyHistory

Law = Callable[[KeyHistory], Iterator[Breach]]

_CLOSED = ("created", "same", "present", "exists")


def a_life_has_one_winner(key: KeyHistory) -> Iterator[Breach]:
    """Creates <= 1 + removals. Callers of one id and the same bytes are one writer: they asked for that; so is who goes
    on with what another has begun, and learns that it is done."""
    winners: dict[tuple[frozenset[str | None], tuple[bytes, ...]], Call] = {}
    for verdict in key.verdicts:
        if verdict.told.what == "created":
            shown = frozenset(seen.write_id for seen in verdict.told.seen) or frozenset(verdict.write.write_ids)
            winners.setdefault((shown, key.contents(verdict.write)), verdict.call)
    if len(winners) > 1 + len(key.removals):
        yield Breach(tuple(winners.values()), f"{len(winners)} winners and {len(key.removals)} removals")


def a_life_has_one_object(key: KeyHistory) -> Iterator[Breach]:
    """Objects that were ever seen <= 1 + removals: an etag that changes without a removal is a replaced object, even
    where all the writers were told the truth."""
    objects: dict[str, Call] = {}
    for each in key.sightings:
        if each.seen.etag is not None:
            objects.setdefault(each.seen.etag, each.call)
    if len(objects) > 1 + len(key.removals):
        yield Breach(tuple(objects.values()), f"{len(objects)} objects and {len(key.removals)} removals")


def an_object_is_a_writers_and_whole(key: KeyHistory) -> Iterator[Breach]:
    """What is seen bears the id of a create on this key and has the size that one offered."""
    for each in key.sightings:
        seen = each.seen
        writers = key.creates if seen.write_id is None else key.writers(seen.write_id)
        if not any(writer.began <= each.call.ended for writer in writers):
            yield Breach((each.call,), f"{seen.write_id} is nobody's write")
        elif seen.size_bytes is not None and not _has_size(key, writers, seen.size_bytes):
            yield Breach((each.call, *writers), f"{seen.size_bytes} bytes are no object that was offered")


def _has_size(key: KeyHistory, writers: Iterable[Call], size_bytes: int) -> bool:
    return any(len(data) == size_bytes for writer in writers for data in key.contents(writer))


def an_object_is_seen_while_it_can_be_there(key: KeyHistory) -> Iterator[Breach]:
    """Not before a request that could land it reached the store, and not when a removal behind all of these was over:
    `head` is never stale. A listing may be, unless the history says otherwise."""
    for each in key.sightings:
        stale_is_legal = each.call.asked.kind == "scan" and not key.history.fresh_listings
        if each.seen.write_id is not None and not stale_is_legal and not key.possible(each.call, each.seen.write_id):
            yield Breach((each.call,), f"{each.seen.write_id} was not there")


def a_reader_gets_one_whole_object(key: KeyHistory) -> Iterator[Breach]:
    """The bytes of a read are those of one object that may have been there meanwhile; those of a stream that was cut
    short are its beginning. So are all that a file gives, wherever it is read. A reader never sees a mixture, a prefix,
    or what never landed."""
    for call, told in key.told:
        if call.asked.kind != "read" or (told.data is None and not told.pieces):
            continue
        lives = (
            data for act in key.possible(call) for each in key.writers(act.write_id) for data in key.contents(each)
        )
        if any(key.reads(call, told, data) for data in lives):
            continue
        size_bytes = len(told.data or b"") + sum(len(data) for _, _, data in told.pieces)
        if size_bytes or told.what == "bytes":
            yield Breach((call,), f"{size_bytes} bytes that no object there had")


def ones_own_write_is_no_conflict(key: KeyHistory) -> Iterator[Breach]:
    """Who is told that another's object has the key did not write it: the object shown bears another id (or, of a
    caller's id, came with other bytes), and without a removal nothing of one's own ever landed."""
    for verdict in key.verdicts:
        write = verdict.write
        if verdict.told.what not in ("exists", "same", "present"):
            continue
        for seen in verdict.told.seen:
            writers = key.writers(seen.write_id)
            if seen.write_id in write.write_ids and all(key.contents(each) == key.contents(write) for each in writers):
                yield Breach((write, verdict.call), f"told {verdict.told.what!r} of its own {seen.write_id}")
        if not key.removals and key.alone(write) and key.landed(write):
            yield Breach((write, verdict.call), f"told {verdict.told.what!r}, and its own landed")


def not_written_is_for_good(key: KeyHistory) -> Iterator[Breach]:
    """After a definite "not written" (there is no source, for a copy) nothing of ours is there, nor will it appear,
    whatever is still under way; a removal is no excuse. Under an id that others write under too, what lands may be
    theirs: then only its own requests count."""
    for verdict in key.verdicts:
        write = verdict.write
        landed = key.landed_by(write) or (key.alone(write) and key.landed(write))
        if verdict.told.what in ("not written", "absent") and landed:
            yield Breach((write, verdict.call), "told that it was not written, and it landed")


@dataclass(slots=True)
class _Fact:
    """An object was there at some moment of `call`; `data`: its bytes, where they are known."""

    call: Call
    etag: str
    data: bytes | None = None


def _facts(key: KeyHistory) -> Iterator[_Fact]:
    told_of = {verdict.call.number: verdict for verdict in key.verdicts}
    for each in key.sightings:
        if each.call.asked.kind == "scan" or each.seen.etag is None:
            continue
        verdict = told_of.get(each.call.number)
        known = verdict is not None and verdict.told.what in ("created", "same")
        contents = key.contents(verdict.write) if verdict is not None and known else ()
        yield _Fact(each.call, each.seen.etag, contents[0] if len(contents) == 1 else None)


def _denied(key: KeyHistory, call: Call, told: Told, fact: _Fact) -> str | None:
    """How what a call was told denies that the object of `fact` was there all the time; None if it does not."""
    asked = call.asked
    if asked.kind == "scan":
        listed = [seen for seen in told.seen if seen.key == key.key]
        if told.what != "listed" or not key.history.fresh_listings:
            return None
        return "not listed" if not listed else None if listed[0].etag == fact.etag else "listed as another object"
    if told.what == "absent":
        return None if asked.source is not None else "not there"  # of a copy, it is the source that is not there
    if told.what == "changed" and asked.etag == fact.etag:
        return "changed"
    if any(seen.etag not in (None, fact.etag) for seen in told.seen):
        return "another object"
    if asked.kind == "read" and fact.data is not None and not key.reads(call, told, fact.data):
        return "other bytes"
    return None


def what_is_there_stays(key: KeyHistory) -> Iterator[Breach]:
    """Once an object was there, everybody who asks later finds this one, with its etag and bytes, until a removal that
    meant it. Later: invoked after the response. Asked of the latest fact, and of the latest about bytes."""
    facts = sorted(_facts(key), key=lambda fact: fact.call.ended)
    best: dict[bool, _Fact] = {}
    known = 0
    for call, told in sorted(key.told, key=lambda each: each[0].began):
        while known < len(facts) and facts[known].call.ended < call.began:
            fact = facts[known]
            known += 1
            for about_bytes in (False, True) if fact.data is not None else (False,):
                if about_bytes not in best or best[about_bytes].call.began < fact.call.began:
                    best[about_bytes] = fact
        for fact in best.values():
            how = _denied(key, call, told, fact)
            if how is not None and not key.removable(fact.etag, fact.call.began, call.ended):
                yield Breach((fact.call, call), f"object {fact.etag} was there, then {how}")
                break


def a_taken_key_was_taken(key: KeyHistory) -> Iterator[Breach]:
    """ "Exists", "present" and "same" are said only if the object of another write may have been at the key at some
    moment of the call."""
    for verdict in key.verdicts:
        write = verdict.write
        if verdict.told.what not in ("exists", "same", "present"):
            continue
        others = [act for act in key.possible(verdict.call) if act.write_id not in write.write_ids]
        if not others and key.alone(write):
            yield Breach((verdict.call,), f"told {verdict.told.what!r}, and nothing was there")


def same_means_equal_bytes(key: KeyHistory) -> Iterator[Breach]:
    """if_exists="same" accepts an object with the very bytes that were offered, and nothing else."""
    for verdict in key.verdicts:
        if verdict.told.what != "same":
            continue
        ours = set(key.contents(verdict.write))
        for seen in verdict.told.seen:
            if all(ours.isdisjoint(key.contents(each)) for each in key.writers(seen.write_id)):
                yield Breach((verdict.call, *key.writers(seen.write_id)), "told 'same' of other bytes")


def a_ticket_is_about_its_own_write(key: KeyHistory) -> Iterator[Breach]:
    """`settle` says "created" of an object with the id and the size of the write that got the ticket, and never
    claims what only a create can ask for."""
    for verdict in key.verdicts:
        if verdict.call is verdict.write:
            continue
        if verdict.told.what in ("same", "present"):
            yield Breach((verdict.write, verdict.call), f"a ticket was answered {verdict.told.what!r}")
        if verdict.told.what == "created":
            for seen in verdict.told.seen:
                of_it = seen.write_id in verdict.write.write_ids
                if not of_it or (seen.size_bytes is not None and not _has_size(key, [verdict.write], seen.size_bytes)):
                    yield Breach((verdict.write, verdict.call), f"settled as {seen.write_id}, {seen.size_bytes} bytes")


def a_removal_is_told_truly(key: KeyHistory) -> Iterator[Breach]:
    """ "Removed" is said only if something removed the object: without a pin, meanwhile. Who is refused removed
    nothing; "not there", and "another is there", are true even of what one's own request, sent twice, removed."""
    for call, told in key.told:
        if call.asked.kind != "remove":
            continue
        since = call.began if call.asked.etag is None else 0
        if told.what == "removed" and not key.removable(call.asked.etag, since, call.ended):
            yield Breach((call,), "told that it is removed, and nobody removed it")
        acted = [act.began for act in key.removals if act.number == call.number and act.certain]
        if not acted or told.what not in ("failed", "changed"):
            continue
        replaced = any(act.began <= call.ended and act.ended >= min(acted) for act in key.lands)
        if told.what == "failed" or not replaced:
            yield Breach((call,), f"told {told.what!r}, and its request removed the object")


def without_trouble_somebody_wins(key: KeyHistory) -> Iterator[Breach]:
    """Without faults and removals exactly one of the creates with sound data wins, everybody learns what became of
    theirs, and nobody is turned away, but by who is at work on the same resumable upload. Uploads that were thrown away
    at somebody's word are trouble too."""
    if key.history.faults or key.removals or any(call.asked.kind == "remove" for call in key.calls):
        return
    if any(told.named for _, told in key.told):
        return
    sound = [
        call
        for call in key.creates
        if call.asked.sound and call.told is not None and not _was_held(key, call, call.told)
    ]
    for call in sound:
        if call.told is not None and call.told.what not in _CLOSED:
            yield Breach((call,), f"nothing went wrong, and it was told {call.told.what!r}")
    if sound and not any(verdict.told.what == "created" for verdict in key.verdicts):
        yield Breach(tuple(sound), "nothing went wrong, and nobody won")


def _was_held(key: KeyHistory, call: Call, told: Told) -> bool:
    """Whether it was turned away while somebody else may have been at work on the resumable upload."""
    others = [each for each in key.calls if each.asked.resume or each.asked.kind == "sweep"]
    return (call.asked.resume and told.what == "not written") and any(
        each is not call and each.began <= call.ended and each.ended >= call.began for each in others
    )


def an_answer_is_one_that_is_documented(key: KeyHistory) -> Iterator[Breach]:
    """No operation ends in what its documentation does not name."""
    for call, told in key.told:
        if told.what == "wrong":
            yield Breach((call,), told.words)


LAWS: tuple[Law, ...] = (
    a_life_has_one_winner,
    a_life_has_one_object,
    an_object_is_a_writers_and_whole,
    an_object_is_seen_while_it_can_be_there,
    a_reader_gets_one_whole_object,
    ones_own_write_is_no_conflict,
    not_written_is_for_good,
    what_is_there_stays,
    a_taken_key_was_taken,
    same_means_equal_bytes,
    a_ticket_is_about_its_own_write,
    a_removal_is_told_truly,
    a_copy_is_of_one_life,
    a_rename_loses_nothing,
    a_discarded_file_publishes_nothing,
    a_left_upload_is_reported,
    a_resumed_write_is_one_write,
    a_sweep_takes_what_is_forgotten,
    an_upload_is_listed_while_it_is_open,
    without_trouble_somebody_wins,
    an_answer_is_one_that_is_documented,
)
