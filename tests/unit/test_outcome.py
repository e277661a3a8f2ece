"""The state machine, a law at a time. tests/properties/test_outcome_worlds.py shows that together they are enough."""

from __future__ import annotations

import itertools

import pytest

from storage_guard.outcome import (
    MAX_ABORTS,
    MAX_MIRAGES,
    MAX_RESTARTS,
    Answer,
    Doing,
    Verdict,
    Write,
    go_on,
    resume,
    start,
    step,
)

PUT = start(multipart=False)
PARTS = start(multipart=True)
UP = (Answer.DONE, Answer.DONE)  # begun, and all parts sent


def after(write: Write, *answers: Answer) -> Write:
    for answer in answers:
        write = step(write, answer)
    return write


def said(write: Write, *answers: Answer) -> Verdict | Doing:
    """The verdict, or what is to be done next."""
    write = after(write, *answers)
    assert (write.verdict is not None) == (write.doing is Doing.NOTHING) == write.decided
    assert not (write.decided and write.pause)
    return write.verdict or write.doing


def test_a_write_begins_with_what_it_sends() -> None:
    assert said(PUT) is Doing.COMMIT
    assert said(PARTS) is Doing.BEGIN
    assert said(PARTS, Answer.DONE) is Doing.PARTS
    assert said(PARTS, *UP) is Doing.COMMIT
    assert not any((PUT.suspect, PUT.fenced, PUT.pause, PUT.late, PUT.sole, PUT.named, PUT.begun))


def test_a_clear_yes_is_believed() -> None:
    assert said(PUT, Answer.DONE) is Verdict.CREATED
    assert said(PARTS, *UP, Answer.DONE) is Verdict.CREATED


def test_a_clear_no_is_believed_of_a_write_that_never_was_in_doubt() -> None:
    assert said(PUT, Answer.REFUSED) is Verdict.NOT_WRITTEN
    assert said(PARTS, Answer.REFUSED) is Verdict.NOT_WRITTEN
    for failed in (Answer.REFUSED, Answer.GONE, Answer.GONE_SOLE):
        assert said(PARTS, Answer.DONE, failed) is Verdict.NOT_WRITTEN
    assert said(PARTS, *UP, Answer.REFUSED) is Verdict.NOT_WRITTEN


def test_what_the_store_did_wrong_is_told_as_that() -> None:
    for write in (PUT, after(PARTS, *UP)):
        assert said(write, Answer.UNSYNCED) is Verdict.UNSYNCED
        assert said(write, Answer.BROKEN) is Verdict.BROKEN
        assert said(write, Answer.DAMAGED) is Verdict.DAMAGED
        assert said(write, Answer.EXISTS, Answer.DAMAGED) is Verdict.DAMAGED


@pytest.mark.parametrize("exists", [Answer.EXISTS, Answer.EXISTS_SOLE])
@pytest.mark.parametrize("sent", [(), UP], ids=["put", "finish"])
def test_exists_is_asked_about(exists: Answer, sent: tuple[Answer, ...]) -> None:
    write = PARTS if sent else PUT
    assert said(write, *sent, exists) is Doing.HEAD
    assert said(write, *sent, exists, Answer.OURS) is Verdict.CREATED
    assert said(write, *sent, exists, Answer.THEIRS) is Verdict.EXISTS


def test_exists_at_begin_is_asked_about_and_begun_again_when_it_was_a_mirage() -> None:
    assert said(PARTS, Answer.EXISTS_SOLE) is Doing.HEAD
    again = after(PARTS, Answer.EXISTS_SOLE, Answer.ABSENT)
    assert (again.doing, again.pause, again.begun) == (Doing.BEGIN, True, False)


def test_skip_believes_exists_unasked_only_where_it_cannot_be_ours() -> None:
    skip = start(multipart=False, if_exists="skip")
    assert said(skip, Answer.EXISTS_SOLE) is Verdict.PRESENT
    assert said(skip, Answer.EXISTS) is Doing.HEAD
    assert said(skip, Answer.EXISTS, Answer.THEIRS) is Verdict.PRESENT
    assert said(skip, Answer.LOST, Answer.ABSENT, Answer.EXISTS_SOLE) is Doing.HEAD
    assert said(PUT, Answer.EXISTS_SOLE) is Doing.HEAD
    named = start(multipart=False, if_exists="skip", named=True)
    assert said(named, Answer.EXISTS_SOLE) is Doing.HEAD


def test_without_leave_to_look_only_a_sole_answer_is_a_conflict() -> None:
    assert said(PUT, Answer.EXISTS_SOLE, Answer.FORBIDDEN) is Verdict.EXISTS
    assert said(PUT, Answer.EXISTS, Answer.FORBIDDEN) is Verdict.UNKNOWN
    assert said(PUT, Answer.LOST, Answer.FORBIDDEN) is Verdict.UNKNOWN
    assert said(PUT, Answer.LOST, Answer.ABSENT, Answer.EXISTS_SOLE, Answer.FORBIDDEN) is Verdict.UNKNOWN
    named = start(multipart=False, named=True)
    assert said(named, Answer.EXISTS_SOLE, Answer.FORBIDDEN) is Verdict.UNKNOWN
    assert said(PARTS, *UP, Answer.GONE_SOLE, Answer.FORBIDDEN) is Verdict.UNKNOWN


def test_a_sole_exists_that_was_a_mirage_does_not_vouch_for_a_later_one() -> None:
    mirage = after(PUT, Answer.EXISTS_SOLE, Answer.ABSENT)
    assert said(mirage, Answer.EXISTS, Answer.FORBIDDEN) is Verdict.UNKNOWN


def test_a_mirage_sends_again_so_many_times_and_no_more() -> None:
    for exists in (Answer.EXISTS, Answer.EXISTS_SOLE):
        write = PUT
        for _ in range(MAX_MIRAGES):
            write = after(write, exists, Answer.ABSENT)
            assert (write.doing, write.pause) == (Doing.COMMIT, True)
        assert said(write, exists, Answer.ABSENT) is Verdict.UNKNOWN
    assert MAX_MIRAGES == 3


def test_a_mirage_at_finish_is_finished_again_and_called_back_in_the_end() -> None:
    write = after(PARTS, *UP)
    for _ in range(MAX_MIRAGES):
        write = after(write, Answer.EXISTS, Answer.ABSENT)
        assert (write.doing, write.pause) == (Doing.COMMIT, True)
    write = after(write, Answer.EXISTS, Answer.ABSENT)
    assert write.doing is Doing.ABORT
    assert said(write, Answer.DONE, Answer.GONE, Answer.ABSENT) is Verdict.NOT_WRITTEN
    assert said(write, Answer.DONE, Answer.GONE, Answer.OURS) is Verdict.CREATED
    assert said(write, Answer.GONE, Answer.ABSENT) is Verdict.UNKNOWN


def test_a_mirage_that_is_called_back_too_late_is_looked_at_once_more_and_given_up() -> None:
    write = after(PARTS, *UP)
    for _ in range(MAX_MIRAGES + 1):
        write = after(write, Answer.EXISTS, Answer.ABSENT)
    late = after(write, Answer.LOST, Answer.LATE)
    assert late.doing is Doing.HEAD
    assert said(late, Answer.ABSENT) is Verdict.UNKNOWN


def test_a_loss_behind_a_mirage_is_a_loss() -> None:
    write = after(PUT, Answer.EXISTS, Answer.ABSENT)
    for _ in range(2 * MAX_MIRAGES):
        write = after(write, Answer.LOST, Answer.ABSENT)
        assert write.doing is Doing.COMMIT


def test_somebody_at_the_key_makes_the_rest_of_the_parts_useless() -> None:
    sending = after(PARTS, Answer.DONE)
    assert said(sending, Answer.THEIRS) is Verdict.EXISTS
    assert said(sending, Answer.OURS) is Verdict.CREATED
    assert said(start(multipart=True, if_exists="skip"), Answer.DONE, Answer.THEIRS) is Verdict.PRESENT
    same = after(start(multipart=True, if_exists="same"), Answer.DONE, Answer.THEIRS)
    assert (same.doing, same.ours) == (Doing.COMPARE, False)
    named = after(start(multipart=True, named=True), Answer.DONE, Answer.OURS)
    assert (named.doing, named.ours) == (Doing.COMPARE, True)


def test_who_was_seen_beside_the_parts_and_is_gone_lets_them_go_on() -> None:
    same = start(multipart=True, if_exists="same")
    again = after(same, Answer.DONE, Answer.THEIRS, Answer.ABSENT, Answer.ABSENT)
    assert (again.doing, again.pause, again.mirages) == (Doing.PARTS, True, 1)
    assert said(again, Answer.LATE) is Verdict.NOT_WRITTEN
    assert said(again, Answer.DONE) is Doing.COMMIT
    for _ in range(MAX_MIRAGES - 1):
        again = after(again, Answer.THEIRS, Answer.ABSENT, Answer.ABSENT)
        assert again.doing is Doing.PARTS
    assert said(again, Answer.THEIRS, Answer.ABSENT, Answer.ABSENT) is Doing.ABORT


def test_a_glance_does_not_make_a_refusal_that_came_before_it_a_proof() -> None:
    refused = after(start(multipart=True, if_exists="same"), Answer.EXISTS_SOLE, Answer.ABSENT)
    assert refused.sole
    seen = after(refused, Answer.DONE, Answer.THEIRS, Answer.ABSENT)
    assert (seen.doing, seen.sole) == (Doing.HEAD, False)
    assert said(seen, Answer.FORBIDDEN) is Verdict.UNKNOWN


def test_what_was_refused_is_what_is_sent_again() -> None:
    assert said(PARTS, Answer.EXISTS, Answer.ABSENT) is Doing.BEGIN
    assert said(PARTS, *UP, Answer.EXISTS, Answer.ABSENT) is Doing.COMMIT
    anew = after(PARTS, *UP, Answer.LOST, Answer.DONE, Answer.GONE, Answer.ABSENT)
    assert (anew.doing, anew.sent) == (Doing.BEGIN, False)
    assert said(anew, Answer.EXISTS, Answer.ABSENT) is Doing.BEGIN, "the new upload has no parts yet"
    assert not after(anew, Answer.DONE).sent


def test_an_upload_that_was_left_goes_on_with_its_parts() -> None:
    left = go_on(committing=False)
    assert (left.doing, left.begun, left.suspect, left.in_doubt) == (Doing.PARTS, True, False, False)
    assert left.rewindable
    assert said(left, Answer.DONE, Answer.DONE) is Verdict.CREATED
    for failed in (Answer.REFUSED, Answer.GONE, Answer.GONE_SOLE, Answer.LATE):
        assert said(left, failed) is Verdict.NOT_WRITTEN
    assert said(go_on(committing=False, if_exists="skip"), Answer.THEIRS) is Verdict.PRESENT
    assert said(go_on(committing=False, named=True), Answer.OURS) is Doing.COMPARE


def test_behind_a_finish_that_may_be_on_its_way_nothing_is_not_written_and_no_yes_is_believed() -> None:
    left = go_on(committing=True)
    assert (left.suspect, left.in_doubt) == (True, True)
    assert said(left, Answer.LATE) is Verdict.UNKNOWN
    assert said(left, Answer.REFUSED) is Doing.HEAD
    assert said(left, Answer.REFUSED, Answer.ABSENT) is Verdict.UNKNOWN
    assert said(left, Answer.DONE, Answer.DONE) is Doing.HEAD, "it may be a replay"
    assert said(left, Answer.DONE, Answer.DONE, Answer.OURS) is Verdict.CREATED
    for gone in (Answer.GONE, Answer.GONE_SOLE):
        looking = after(left, gone, Answer.ABSENT)
        assert (looking.doing, looking.pause) == (Doing.HEAD, True), "the finish may still be at work"
        assert said(looking, Answer.OURS) is Verdict.CREATED
        assert said(looking, Answer.THEIRS) is Verdict.EXISTS
        assert said(looking, Answer.LATE) is Verdict.UNKNOWN
    fenced = after(left, Answer.DONE, Answer.CONFLICT, Answer.DONE, Answer.GONE, Answer.ABSENT)
    assert (fenced.doing, fenced.suspect, fenced.sent) == (Doing.BEGIN, False, False)


def test_only_what_was_committed_and_not_answered_is_in_doubt() -> None:
    assert PUT.in_doubt
    assert not PARTS.in_doubt
    assert not after(PARTS, Answer.DONE).in_doubt
    assert after(PARTS, *UP).in_doubt
    assert not after(PARTS, Answer.EXISTS).in_doubt
    assert after(PARTS, *UP, Answer.CONFLICT).in_doubt
    for write in (PUT, after(PARTS, *UP)):
        assert not after(write, Answer.REFUSED).in_doubt
        assert not after(write, Answer.EXISTS_SOLE, Answer.THEIRS).in_doubt
        assert not after(write, Answer.LOST, *(() if write is PUT else (Answer.GONE,)), Answer.THEIRS).in_doubt
        assert after(write, Answer.DONE).in_doubt
        assert after(write, Answer.UNSYNCED).in_doubt
    assert not after(PARTS, *UP, Answer.LOST, Answer.DONE, Answer.GONE, Answer.ABSENT).in_doubt


def test_a_lost_put_is_looked_for_and_sent_again_with_the_same_id() -> None:
    lost = after(PUT, Answer.LOST)
    assert (lost.doing, lost.suspect, lost.pause) == (Doing.HEAD, True, False)
    assert said(lost, Answer.OURS) is Verdict.CREATED
    assert said(lost, Answer.THEIRS) is Verdict.EXISTS
    again = after(lost, Answer.ABSENT)
    assert (again.doing, again.pause, again.suspect) == (Doing.COMMIT, True, True)
    assert said(again, Answer.DONE) is Verdict.CREATED
    for _ in range(50):
        again = after(again, Answer.LOST, Answer.ABSENT)
    assert again.doing is Doing.COMMIT


@pytest.mark.parametrize("answer", [Answer.GONE, Answer.GONE_SOLE])
def test_gone_makes_no_sense_for_a_put_and_so_it_is_lost(answer: Answer) -> None:
    lost = after(PUT, answer)
    assert (lost.doing, lost.suspect) == (Doing.HEAD, True)


def test_a_suspect_put_never_ends_in_not_written() -> None:
    lost = after(PUT, Answer.LOST, Answer.ABSENT)
    assert said(lost, Answer.REFUSED) is Doing.HEAD
    assert said(lost, Answer.REFUSED, Answer.OURS) is Verdict.CREATED
    assert said(lost, Answer.REFUSED, Answer.THEIRS) is Verdict.EXISTS
    assert said(lost, Answer.REFUSED, Answer.ABSENT) is Verdict.UNKNOWN
    assert said(lost, Answer.LATE) is Verdict.UNKNOWN
    assert said(lost, Answer.BUSY, Answer.LATE) is Verdict.UNKNOWN


@pytest.mark.parametrize("answer", [Answer.BUSY, Answer.CONFLICT])
def test_a_store_that_asks_to_come_back_is_asked_again_after_a_pause(answer: Answer) -> None:
    busy = after(PUT, answer)
    assert (busy.doing, busy.pause, busy.suspect) == (Doing.COMMIT, True, False)
    assert said(busy, Answer.DONE) is Verdict.CREATED
    assert said(busy, Answer.LATE) is Verdict.NOT_WRITTEN
    for early in (Answer.BUSY, Answer.CONFLICT, Answer.LOST):
        begun = after(PARTS, early)
        assert (begun.doing, begun.pause, begun.suspect) == (Doing.BEGIN, True, False)
        assert said(begun, Answer.LATE) is Verdict.NOT_WRITTEN
    finish = after(PARTS, *UP, Answer.BUSY)
    assert (finish.doing, finish.pause) == (Doing.COMMIT, True)
    assert not after(busy, Answer.LOST).pause


def test_a_lost_finish_is_called_back_before_the_verdict() -> None:
    lost = after(PARTS, *UP, Answer.LOST)
    assert (lost.doing, lost.suspect) == (Doing.ABORT, True)
    assert said(lost, Answer.DONE) is Doing.LIST
    for gone in (Answer.GONE, Answer.GONE_SOLE):
        fenced = after(lost, Answer.DONE, gone)
        assert (fenced.doing, fenced.fenced) == (Doing.HEAD, True)
        assert said(fenced, Answer.OURS) is Verdict.CREATED
        assert said(fenced, Answer.THEIRS) is Verdict.EXISTS
        assert said(fenced, Answer.FORBIDDEN) is Verdict.UNKNOWN


@pytest.mark.parametrize("nothing", [Answer.GONE, Answer.GONE_SOLE, Answer.REFUSED])
def test_an_abort_that_finds_nothing_proves_nothing(nothing: Answer) -> None:
    found = after(PARTS, *UP, Answer.LOST, nothing)
    assert (found.doing, found.fenced) == (Doing.HEAD, False)
    looking = after(found, Answer.ABSENT)
    assert (looking.doing, looking.pause) == (Doing.HEAD, True), "the finish may still be at work"
    assert said(looking, Answer.OURS) is Verdict.CREATED
    assert said(looking, Answer.LATE) is Verdict.UNKNOWN


@pytest.mark.parametrize("trouble", [Answer.LOST, Answer.BUSY, Answer.CONFLICT, Answer.FAILED])
def test_an_abort_without_an_answer_is_repeated(trouble: Answer) -> None:
    again = after(PARTS, *UP, Answer.LOST, trouble)
    assert (again.doing, again.pause) == (Doing.ABORT, True)
    assert said(again, Answer.LATE) is Doing.HEAD
    assert said(again, Answer.LATE, Answer.OURS) is Verdict.CREATED
    assert said(again, Answer.LATE, Answer.ABSENT) is Verdict.UNKNOWN


def test_an_upload_that_outlives_its_abort_is_aborted_again_so_many_times() -> None:
    write = after(PARTS, *UP, Answer.LOST, Answer.DONE)
    for _ in range(MAX_ABORTS - 1):
        write = after(write, Answer.OPEN)
        assert (write.doing, write.pause) == (Doing.ABORT, True)
        write = after(write, Answer.DONE)
    assert said(write, Answer.GONE) is Doing.HEAD
    write = after(write, Answer.OPEN)
    assert (write.doing, write.fenced) == (Doing.HEAD, False)
    assert MAX_ABORTS == 3


def test_a_listing_without_an_answer_is_repeated_and_one_that_is_forbidden_fences_nothing() -> None:
    listing = after(PARTS, *UP, Answer.LOST, Answer.DONE)
    again = after(listing, Answer.FAILED)
    assert (again.doing, again.pause) == (Doing.LIST, True)
    assert said(again, Answer.LATE) is Doing.HEAD
    assert not after(again, Answer.LATE).fenced
    assert said(listing, Answer.FORBIDDEN) is Doing.HEAD
    assert not after(listing, Answer.FORBIDDEN).fenced


@pytest.mark.parametrize("failed", [Answer.LOST, Answer.CONFLICT])
def test_what_was_called_back_in_time_is_sent_anew_if_it_can_be(failed: Answer) -> None:
    def called_back(write: Write) -> Write:
        return after(write, *UP, failed, Answer.DONE, Answer.GONE, Answer.ABSENT)

    write = PARTS
    for turn in range(1, MAX_RESTARTS + 1):
        write = called_back(write)
        assert (write.doing, write.pause, write.restarts) == (Doing.BEGIN, True, turn)
        assert (write.suspect, write.fenced, write.begun, write.aborts) == (False, False, False, 0)
        assert said(write, Answer.LATE) is Verdict.NOT_WRITTEN
    assert called_back(write).verdict is Verdict.NOT_WRITTEN
    assert called_back(start(multipart=True, rewindable=False)).verdict is Verdict.NOT_WRITTEN
    assert MAX_RESTARTS == 3


def test_a_conflict_at_finish_spoils_the_upload() -> None:
    conflict = after(PARTS, *UP, Answer.CONFLICT)
    assert (conflict.doing, conflict.suspect) == (Doing.ABORT, False)
    assert said(conflict, Answer.GONE, Answer.ABSENT) is Doing.HEAD
    assert said(conflict, Answer.GONE, Answer.ABSENT, Answer.LATE) is Verdict.UNKNOWN


def test_an_upload_that_is_gone_at_finish_may_have_been_finished() -> None:
    for gone in (Answer.GONE, Answer.GONE_SOLE):
        assert said(PARTS, *UP, gone) is Doing.HEAD
        assert said(PARTS, *UP, gone, Answer.OURS) is Verdict.CREATED
    assert said(PARTS, *UP, Answer.GONE_SOLE, Answer.ABSENT) is Verdict.NOT_WRITTEN
    doubt = after(PARTS, *UP, Answer.GONE, Answer.ABSENT)
    assert (doubt.doing, doubt.pause) == (Doing.HEAD, True)
    assert said(doubt, Answer.LATE) is Verdict.UNKNOWN


def test_a_yes_behind_a_lost_finish_is_asked_about() -> None:
    replay = Write(Doing.COMMIT, multipart=True, suspect=True, begun=True)
    assert said(replay, Answer.DONE) is Doing.HEAD
    assert said(replay, Answer.DONE, Answer.THEIRS) is Verdict.EXISTS
    assert said(replay, Answer.DONE, Answer.ABSENT) is Doing.HEAD
    assert said(replay, Answer.GONE_SOLE, Answer.ABSENT) is Doing.HEAD


def test_a_look_that_fails_is_repeated_and_never_a_guess() -> None:
    for write in (after(PUT, Answer.EXISTS_SOLE), after(PUT, Answer.LOST)):
        again = after(write, Answer.FAILED)
        assert (again.doing, again.pause) == (Doing.HEAD, True)
        assert said(again, Answer.LATE) is Verdict.UNKNOWN
        assert said(again, Answer.OURS) is Verdict.CREATED


def test_under_a_callers_id_equal_bytes_are_asked_for() -> None:
    named = start(multipart=False, named=True)
    ours = after(named, Answer.EXISTS, Answer.OURS)
    assert (ours.doing, ours.ours) == (Doing.COMPARE, True)
    assert said(ours, Answer.EQUAL) is Verdict.CREATED
    assert said(ours, Answer.UNEQUAL) is Verdict.EXISTS
    assert said(ours, Answer.FORBIDDEN) is Verdict.UNKNOWN
    assert said(ours, Answer.FAILED, Answer.LATE) is Verdict.UNKNOWN
    assert said(named, Answer.EXISTS, Answer.THEIRS) is Verdict.EXISTS


def test_same_compares_what_is_anothers() -> None:
    same = start(multipart=False, if_exists="same")
    theirs = after(same, Answer.EXISTS_SOLE, Answer.THEIRS)
    assert (theirs.doing, theirs.ours) == (Doing.COMPARE, False)
    assert said(theirs, Answer.EQUAL) is Verdict.SAME
    assert said(theirs, Answer.UNEQUAL) is Verdict.EXISTS
    assert said(theirs, Answer.FORBIDDEN) is Verdict.EXISTS
    assert said(theirs, Answer.FAILED, Answer.LATE) is Verdict.EXISTS
    assert said(same, Answer.EXISTS_SOLE, Answer.OURS) is Verdict.CREATED
    both = start(multipart=False, if_exists="same", named=True)
    changed = after(both, Answer.EXISTS, Answer.OURS, Answer.ABSENT, Answer.THEIRS)
    assert (changed.doing, changed.ours) == (Doing.COMPARE, False)


def test_what_vanishes_or_fails_while_it_is_compared_is_looked_at_again() -> None:
    theirs = after(start(multipart=False, if_exists="same"), Answer.EXISTS, Answer.THEIRS)
    looked = after(theirs, Answer.ABSENT)
    assert (looked.doing, looked.pause) == (Doing.HEAD, True)
    again = after(theirs, Answer.FAILED)
    assert (again.doing, again.pause) == (Doing.COMPARE, True)


def test_settle_looks_once_and_sends_nothing() -> None:
    put = resume(multipart=False, named=False)
    assert said(put) is Doing.HEAD
    assert said(put, Answer.OURS) is Verdict.CREATED
    assert said(put, Answer.THEIRS) is Verdict.EXISTS
    assert said(put, Answer.ABSENT) is Verdict.UNKNOWN
    assert said(put, Answer.FORBIDDEN) is Verdict.UNKNOWN
    assert said(resume(multipart=False, named=True), Answer.OURS) is Doing.COMPARE
    upload = resume(multipart=True, named=False)
    assert said(upload) is Doing.ABORT
    assert said(upload, Answer.DONE, Answer.GONE, Answer.ABSENT) is Verdict.NOT_WRITTEN
    assert said(upload, Answer.GONE, Answer.ABSENT) is Verdict.UNKNOWN
    assert put.suspect
    assert upload.suspect
    assert not upload.rewindable


def test_once_it_is_late_nothing_waits_any_more() -> None:
    late = after(PARTS, *UP, Answer.LOST, Answer.BUSY, Answer.LATE)
    assert late.late
    assert said(late, Answer.FAILED) is Verdict.UNKNOWN
    assert said(late, Answer.ABSENT) is Verdict.UNKNOWN


def test_behind_the_verdict_nothing_is_answered() -> None:
    done = after(PUT, Answer.DONE)
    with pytest.raises(ValueError, match="verdict"):
        step(done, Answer.DONE)


SENSE: dict[Doing, set[Answer]] = {
    Doing.BEGIN: {
        Answer.DONE,
        Answer.EXISTS,
        Answer.EXISTS_SOLE,
        Answer.LOST,
        Answer.BUSY,
        Answer.CONFLICT,
        Answer.REFUSED,
    },
    Doing.PARTS: {Answer.DONE, Answer.REFUSED, Answer.GONE, Answer.GONE_SOLE, Answer.OURS, Answer.THEIRS},
    Doing.COMMIT: {
        Answer.DONE,
        Answer.EXISTS,
        Answer.EXISTS_SOLE,
        Answer.LOST,
        Answer.BUSY,
        Answer.CONFLICT,
        Answer.GONE,
        Answer.GONE_SOLE,
        Answer.REFUSED,
        Answer.UNSYNCED,
        Answer.BROKEN,
        Answer.DAMAGED,
    },
    Doing.ABORT: {
        Answer.DONE,
        Answer.GONE,
        Answer.GONE_SOLE,
        Answer.REFUSED,
        Answer.LOST,
        Answer.BUSY,
        Answer.CONFLICT,
        Answer.FAILED,
    },
    Doing.LIST: {Answer.GONE, Answer.GONE_SOLE, Answer.OPEN, Answer.FORBIDDEN, Answer.FAILED},
    Doing.HEAD: {Answer.OURS, Answer.DAMAGED, Answer.THEIRS, Answer.ABSENT, Answer.FORBIDDEN, Answer.FAILED},
    Doing.COMPARE: {Answer.EQUAL, Answer.UNEQUAL, Answer.ABSENT, Answer.FORBIDDEN, Answer.FAILED},
}


@pytest.mark.parametrize("doing", SENSE)
def test_an_answer_that_makes_no_sense_is_a_bug_and_not_a_guess(doing: Doing) -> None:
    for multipart, answer in itertools.product((False, True), set(Answer) - {Answer.LATE}):
        write = Write(doing, multipart)
        if answer in SENSE[doing]:
            step(write, answer)
        else:
            with pytest.raises(AssertionError, match="no answer"):
                step(write, answer)


@pytest.mark.parametrize("start_of", [(), (Answer.DONE, Answer.DONE)], ids=["put", "finish"])
def test_a_refusal_that_may_be_the_answer_to_our_double_is_no_proof_that_nothing_landed(
    start_of: tuple[Answer, ...],
) -> None:
    begun = after(PARTS, *start_of) if start_of else PUT
    assert begun.doing is Doing.COMMIT
    # The double landed, somebody removed it, HEAD sees nothing, and there is no time for another try.
    assert said(begun, Answer.EXISTS, Answer.ABSENT, Answer.LATE) is Verdict.UNKNOWN
    assert said(begun, Answer.EXISTS, Answer.ABSENT, Answer.REFUSED, Answer.ABSENT) is Verdict.UNKNOWN
    assert said(begun, Answer.EXISTS_SOLE, Answer.ABSENT, Answer.LATE) is Verdict.NOT_WRITTEN
    assert said(begun, Answer.EXISTS, Answer.THEIRS) is Verdict.EXISTS
