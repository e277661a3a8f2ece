"""One key's part of a history, sorted for the laws."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate

from storage_guard.testing.histories.history import Act, Call, History, Seen, Told


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
        self.creates = [call for call in self.calls if call.asked.content is not None]
        self.lands = [act for act in history.acts if act.key == key and act.kind == "land"]
        self.removals = [act for act in history.acts if act.key == key and act.kind == "remove"]
        self.sightings = [Sighting(call, seen) for call, told in self.told for seen in told.seen if seen.key == key]
        by_number = {call.number: call for call in self.creates}
        self.verdicts = [
            Verdict(by_number[number], call, told)
            for call, told in self.told
            if (number := call.asked.about if call.asked.about is not None else call.number) in by_number
        ]
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

    def content(self, write: Call) -> bytes:
        return self.history.contents[write.asked.content or ""]

    def landed(self, write: Call) -> list[Act]:
        """What certainly landed under an id of this create."""
        return [act for write_id in write.write_ids for act in self._lands_of.get(write_id, ()) if act.certain]

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
