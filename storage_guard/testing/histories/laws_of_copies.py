"""The laws about copies, renames, and files that were never committed."""

from __future__ import annotations

from collections.abc import Iterator

from storage_guard.testing.histories.history import Act, Call
from storage_guard.testing.histories.view import Breach, KeyHistory, source_lives


def a_copy_is_of_one_life(key: KeyHistory) -> Iterator[Breach]:
    """What a copy lands has the bytes of one object that was at the source before it ended: never of two, and of none
    that was removed before. (That its id is its own is asked of every object.)"""
    for call in key.creates:
        if call.asked.source is None:
            continue
        lives = source_lives(key.history, call)
        for act in key.landed_by(call):
            if act.content is not None and key.history.contents[act.content] not in lives:
                yield Breach((call,), "it landed bytes that no object at its source had")


def a_rename_loses_nothing(key: KeyHistory) -> Iterator[Breach]:
    """The source is removed only when its copy is there, and only that object which was copied: what replaced it stays.
    Who is told that all of it is done finds the source gone."""
    for call in key.creates:
        if not call.asked.moves or call.asked.source == key.key:
            continue
        removals = [
            act
            for act in key.history.acts
            if act.kind == "remove" and act.key == call.asked.source and act.number == call.number
        ]
        for act in removals:
            words = _how_it_lost(key, call, act)
            if words is not None:
                yield Breach((call,), words)
        done = call.told is not None and call.told.what == "created" and not call.told.incomplete
        if done and not _was_removed(key, call):
            yield Breach((call,), "told that the source was removed, and nobody removed it")


def _how_it_lost(key: KeyHistory, call: Call, removal: Act) -> str | None:
    copies = [act for act in key.landed_by(call) if act.began <= removal.began]
    if not copies:
        return "it removed its source before the copy was there"
    if removal.etag is None:
        return "it removed whatever was at its source"
    lives = source_lives(key.history, call)
    for copy in copies:
        data = None if copy.content is None else key.history.contents[copy.content]
        if data is not None and all(act.etag != removal.etag for act in lives.get(data, ())):
            return f"it removed {removal.etag}, which it had not copied"
    return None


def _was_removed(key: KeyHistory, call: Call) -> bool:
    return any(
        act.kind == "remove" and act.key == call.asked.source and act.began <= call.ended and act.ended >= call.began
        for act in key.history.acts
    )


def a_discarded_file_publishes_nothing(key: KeyHistory) -> Iterator[Breach]:
    """What was written to a file that was then discarded, dropped, or left by an exception is never published."""
    for verdict in key.verdicts:
        if verdict.told.what == "discarded" and key.landed_by(verdict.write):
            yield Breach((verdict.write, verdict.call), "told that it was discarded, and it landed")
