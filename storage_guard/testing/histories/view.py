"""One key's part of a history, sorted for the laws."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import accumulate

from storage_guard.testing.histories.history import Act, Asked, Call, History, Seen, Told, Touch


@dataclass(frozen=True, slots=True)
class Breach:
    """What a law yields: the calls that contradict each other, and the contradiction."""

    calls: tuple[Call, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody was shown an object while `call` lasted."""

    call: Call
    seen: Seen


@dataclass(frozen=True, slots=True)
class Verdict:
    """Somebody was told about `write`, a create: its own caller, or who settled its ticket (then `call` is that)."""

    write: Call
    call: Call
    told: Told


class KeyHistory:
    """What happened at one key, sorted for the laws."""

    def __init__(self, history: History, key: str) -> None:
        self.history = history
        self.key = key
        self.calls = [call for call in history.calls if call.asked.key in (key, None)]
        self.told = [(call, call.told) for call in self.calls if call.told is not None]
        self.told += [(replace(call, asked=Asked("head", key)), Told("absent")) for call in _missed(history, key)]
        self.creates = [call for call in self.calls if call.asked.kind == "create"]
        self.lands = [act for act in history.acts if act.key == key and act.kind == "land"]
        self.removals = [act for act in history.acts if act.key == key and act.kind == "remove"]
        self.sightings = [Sighting(call, seen) for call, told in self.told for seen in told.seen if seen.key == key]
        self.touches = [touch for touch in history.touches if touch.key == key]
        self.by_number = by_number = {call.number: call for call in self.creates}
        self.verdicts = [
            Verdict(by_number[number], call, told)
            for call, told in self.told
            if (number := call.asked.about if call.asked.about is not None else call.number) in by_number
        ]
        self._copied: dict[int, tuple[bytes, ...]] = {}
        self._writers: defaultdict[str, list[Call]] = defaultdict(list)
        for call in self.creates:
            for write_id in call.write_ids:
                self._writers[write_id].append(call)
        self._lands_of: defaultdict[str | None, list[Act]] = defaultdict(list)
        for act in self.lands:
            self._lands_of[act.write_id].append(act)
        over = sorted((act for act in self.removals if act.certain), key=lambda act: act.ended)
        self._over_at = [act.ended for act in over]
        self._last_began = list(accumulate((act.began for act in over), max))

    def writers(self, write_id: str | None) -> list[Call]:
        """The creates that bore this id."""
        return [] if write_id is None else self._writers.get(write_id, [])

    def alone(self, write: Call) -> bool:
        """Whether nobody else wrote under an id of this create, so that what bears it is its own."""
        return all(len(self._writers[write_id]) == 1 for write_id in write.write_ids)

    def contents(self, write: Call) -> tuple[bytes, ...]:
        """What a write may have offered: its bytes; of a copy those that it landed, and if it landed nothing, those of
        each life of its source that had begun by then."""
        contents = self.history.contents
        if write.asked.source is None:
            return (contents[write.asked.content or ""],)
        if write.number not in self._copied:
            landed = {act.content for act in self.landed_by(write) if act.content is not None}
            lives = source_lives(self.history, write)
            self._copied[write.number] = tuple(contents[each] for each in sorted(landed)) or tuple(lives)
        return self._copied[write.number]

    def landed(self, write: Call) -> list[Act]:
        """What certainly landed under an id of this create."""
        return [act for write_id in write.write_ids for act in self._lands_of.get(write_id, ()) if act.certain]

    def landed_by(self, write: Call) -> list[Act]:
        """What certainly landed of the requests of this very call."""
        return [act for act in self.lands if act.number == write.number and act.certain]

    def reads(self, call: Call, told: Told, data: bytes) -> bool:
        """Whether what was read may be of an object with these bytes; of a stream that was cut short, its beginning."""
        if any(data[at : at + size] != piece for at, size, piece in told.pieces):
            return False
        wanted = data[call.asked.start : call.asked.stop]
        return told.data is None or (wanted == told.data if told.what == "bytes" else wanted.startswith(told.data))

    def possible(self, call: Call, write_id: str | None = None) -> list[Act]:
        """The landings (of one id, or all) whose object may have been there at some moment of `call`."""
        known = bisect_right(self._over_at, call.began)
        removed_from = self._last_began[known - 1] if known else -1
        lands = self.lands if write_id is None else self._lands_of.get(write_id, ())
        return [act for act in lands if act.began <= call.ended and act.ended >= removed_from]

    def removable(self, etag: str | None, began: int, ended: int) -> bool:
        """Whether a removal of that object may have taken effect between two moments."""
        return any(
            act.began <= ended and act.ended >= began and (act.etag is None or etag is None or act.etag == etag)
            for act in self.removals
        )


def source_lives(history: History, write: Call, behind: frozenset[int] = frozenset()) -> dict[bytes, list[Act]]:
    """The objects that were at the source of a copy before it ended, by their bytes. One that was certainly removed
    before it began is none of them; where etags are made of the bytes, several have one, and order tells them apart.

    What a copy landed there may be gone before anybody could look: its bytes are then of any life of its own source.
    `behind` are the copies that this one may be a copy of such copies of."""
    source = write.asked.source
    calls = {call.number: call for call in history.calls}
    behind |= {write.number}
    landed = [act for act in history.acts if act.key == source and act.kind == "land"]
    over = [act for act in history.acts if act.key == source and act.kind == "remove" and act.ended < write.began]
    twins = Counter(act.etag for act in landed)
    lives: dict[bytes, list[Act]] = {}
    for act in landed:
        removed = act.etag and any(
            gone.etag == act.etag and (twins[act.etag] == 1 or act.ended <= gone.began) for gone in over
        )
        if act.began > write.ended or removed:
            continue
        lander = calls.get(act.number)
        name = act.content or (lander.asked.content if lander is not None else None)
        if name is not None:
            lives.setdefault(history.contents[name], []).append(act)
        elif lander is not None and lander.asked.source is not None and lander.number not in behind:
            for data in source_lives(history, lander, behind):
                lives.setdefault(data, []).append(act)
    return lives


def uses(touches: list[Touch], number: int) -> list[Touch]:
    """The requests about uploads that a call sent and waited for."""
    return [touch for touch in touches if touch.number == number and not touch.late]


def _missed(history: History, key: str) -> list[Call]:
    """The copies that were told that nothing is at this key, their source."""
    copies = [call for call in history.calls if call.asked.source == key]
    return [call for call in copies if call.told is not None and call.told.what == "absent"]
