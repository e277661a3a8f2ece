"""A client of a history: it does its steps, meets its faults, and writes down what it was told."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

from storage_guard import Store
from storage_guard.driver import Driver, Signal, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing.bodies import BytesBody
from storage_guard.testing.clock import FakeClock
from storage_guard.testing.faults import Member
from storage_guard.testing.histories.edge import ClientEnd, Elsewhere, StoreEnd, Trouble
from storage_guard.testing.histories.history import NEVER, Act, Arrival, Call, LeftUpload, Told, Touch
from storage_guard.testing.histories.operations import Operation
from storage_guard.testing.histories.script import SIZES, TAGS, Script, Step, Turn
from storage_guard.testing.histories.troubles import SUITED, TROUBLES
from storage_guard.testing.histories.warned import heard
from storage_guard.ticket import parse

MakeStore = Callable[..., Store]

DELIVERY_RATE = 0.15
_LEAST_PART_BYTES = 64
_PARTS_FROM = 1 << 20  # the numbers of the parts of operations that are several
_MOST_PARTS = 16


def part_bytes_of(driver: Driver) -> int:
    """The size of the parts of a history: the smallest that the store takes, so that many are cheap."""
    return max(driver.limits.min_part_bytes, _LEAST_PART_BYTES)


@lru_cache(maxsize=8)
def contents_of(part_bytes: int) -> Mapping[str, bytes]:
    """The bytes that histories write, by name. Those of one size and another tag differ; `.gz`: compressed."""
    sizes = dict(zip(SIZES, (0, part_bytes // 2, 2 * part_bytes + part_bytes // 2, 2 * part_bytes), strict=True))
    plain = {
        f"{size}-{tag}": random.Random(f"{tag}/{size_bytes}").randbytes(size_bytes)
        for size, size_bytes in sizes.items()
        for tag in TAGS
    }
    return plain | {f"{name}.gz": _packed(data) for name, data in plain.items()}


def _packed(data: bytes) -> bytes:
    store = Store(MemoryDriver())
    with store.open("key", "xb", compression="gzip") as file:
        file.write(data)
    return store.read("key")


@dataclass
class Record:
    """What is written down while a script is played. Every change of it is one step of the interpreter."""

    prefix: str
    tick: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)
    calls: list[Call] = field(default_factory=list[Call])
    acts: list[Act] = field(default_factory=list[Act])
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    tickets: list[tuple[int, str | None, str]] = field(default_factory=list[tuple[int, str | None, str]])
    struck: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    turns: list[Turn] = field(default_factory=list[Turn])
    left: list[LeftUpload] = field(default_factory=list[LeftUpload])
    touches: list[Touch] = field(default_factory=list[Touch])
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def acted(self, act: Act, /) -> None:
        self.acts.append(replace(act, key=act.key.removeprefix(f"{self.prefix}/")))

    def touched(self, touch: Touch, /) -> None:
        self.touches.append(replace(touch, key=touch.key.removeprefix(f"{self.prefix}/")))

    def name_of(self, data: bytes, /) -> str:
        """The name of these bytes. Some that nobody has offered are given one."""
        found = next((name for name, each in self.contents.items() if each == data), None)
        if found is None:
            found = f"odd-{hashlib.sha256(data).hexdigest()[:8]}"
            self.contents[found] = data
        return found

    def look_for_uploads(self, drivers: Sequence[Driver], wanted: Callable[[str], bool] | None = None) -> None:
        """Write down the uploads that are open, and whose they are; `wanted`: those of these ids only."""
        begun = {touch.upload_id: touch.number for touch in self.touches if touch.what == "begin"}
        known = {each.upload_id for each in self.left}
        for driver in drivers:
            for upload in driver.scan_uploads(f"{self.prefix}/"):
                if upload.upload_id not in known and (wanted is None or wanted(upload.upload_id)):
                    key = upload.key.removeprefix(f"{self.prefix}/")
                    self.left.append(LeftUpload(key, upload.upload_id, begun.get(upload.upload_id)))
                    known.add(upload.upload_id)


class Player:
    """One client: does its steps, meets its faults, and writes down what it was told.

    `machine` is the folder that all clients have in common: files to send, and journals of open uploads. A journal for
    each key makes the order known in which a sweep finds uploads; where clients run freely there is one for all.
    """

    def __init__(
        self,
        name: str,
        script: Script,
        driver: Driver,
        record: Record,
        *,
        make_store: MakeStore,
        machine: Path,
        freely: bool,
    ) -> None:
        self._name = name
        self._script = script
        self._record = record
        self._machine = machine
        self._make_store = make_store
        self._freely = freely
        self.gate: Callable[[int], None] | None = None  # none: the client runs freely
        self.late: dict[Turn, tuple[str, Callable[[], object]]] = {}
        part_bytes = part_bytes_of(driver)
        self._contents = contents_of(part_bytes)
        if not record.contents:
            record.contents.update(self._contents)
        self._options = {
            "part_bytes": part_bytes,
            "multipart_from_bytes": part_bytes,
            "prefix": record.prefix,
            "in_flight": script.in_flight if freely else 1,
        }
        self._end = StoreEnd(driver, record)
        self._driver = ClientEnd(self._end, self, forgetful=freely and script.forgetful)
        self._stores: dict[str, Store] = {}
        self._far: dict[bool, Store] = {}
        self._store = self.another_store()
        self._etags: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._thread = 0
        self._number = -1
        self._requests = 0
        self._examinations = 0
        self._trace: list[str] = []
        self._write_ids: dict[tuple[str, str], None] = {}
        self._spilt = itertools.count()
        self._chance = random.Random(f"{script.seed}/{name}")

    # For operations

    @property
    def contents(self) -> Mapping[str, bytes]:
        return self._contents

    @property
    def tickets(self) -> Sequence[tuple[int, str | None, str]]:
        return self._record.tickets

    @property
    def etags(self) -> Mapping[str, Sequence[str]]:
        return self._etags

    def another_store(self) -> Store:
        return self._make_store(self._driver, clock=FakeClock(), journal=self._machine / "journal", **self._options)

    def machine_store(self, key: str) -> Store:
        place = "journal" if self._freely else f"journal-{key.replace('/', '-')}"
        if place not in self._stores:
            self._stores[place] = self._make_store(
                self._driver, clock=FakeClock(), journal=self._machine / place, **self._options
            )
        return self._stores[place]

    def elsewhere(self, content: str, *, far: bool) -> tuple[Store, str]:
        if far not in self._far:
            driver = (Elsewhere if far else ClientEnd)(MemoryDriver(), self)
            self._far[far] = Store(driver, clock=FakeClock(), in_flight=1)
        store = self._far[far]
        inner = cast("ClientEnd", store.driver).inner
        if inner.head(content) is None:
            inner.put_new(content, BytesBody(self._contents[content]), WriteMeta("elsewhere"))
        return store, content

    def spill(self, data: bytes) -> Path:
        path = self._machine / f"{self._name}-{self._number}-{next(self._spilt)}"
        path.write_bytes(data)
        return path

    def shared_file(self, content: str) -> Path:
        path = self._machine / content
        if not path.exists():
            whole = self.spill(self._contents[content])
            with suppress(FileExistsError):
                path.hardlink_to(whole)
            whole.unlink()
        return path

    def turn(self) -> None:
        self._pause()

    # For the client's end of the driver

    def arrive(self, member: Member, /) -> Trouble | None:
        self._pause()
        with self._lock:
            if member == "capabilities":  # only the first operation of a Store asks: others' requests count from 0
                self._examinations += 1
                request = -self._examinations
            else:
                request = self._requests
                self._requests += 1
            name = self._trouble(member, request)
            self._trace.append(f"{member}@{self._record.tick()}" + (f"!{name}" if name else ""))
            if name is None:
                return None
            self._record.struck[self._number, request] = name
            turn = Turn(self._number, request)
        return Trouble(TROUBLES[name], lambda perform: self.late.__setitem__(turn, (member, perform)))

    def pause_in_body(self) -> None:
        if self._script.pauses:
            self._pause()

    def _pause(self) -> None:
        if self.gate is not None:
            self.gate(self._number)
            return
        with self._lock:
            strikes = self.late and self._chance.random() < DELIVERY_RATE
            turn = self._chance.choice(list(self.late)) if strikes else None
            late = None if turn is None else self.late.pop(turn)
        if turn is not None and late is not None:
            self._deliver(turn, *late)

    def bears(self, write_id: str, key: str, /) -> None:
        self._write_ids[write_id, key.removeprefix(f"{self._record.prefix}/")] = None

    def _trouble(self, member: Member, request: int) -> str | None:
        name = self._drawn(member, request)
        if name is not None and name.startswith("INTERRUPT") and threading.get_ident() != self._thread:
            return None  # Ctrl-C reaches the thread that is at work for the caller, and none of its helpers
        return name

    def _drawn(self, member: Member, request: int) -> str | None:
        script = self._script
        if script.faults is not None:
            name = script.faults.get((self._number, request))
            return name if name in SUITED[member] else None
        if not script.fault_rate:
            return None
        chance = random.Random(f"{script.seed}/{self._number}/{request}")
        name = chance.choice(SUITED[member]) if chance.random() < script.fault_rate else None
        return None if (member, name) in script.spared else name

    # For whoever plays the script

    def deliver(self, turn: Turn) -> None:
        """Let a late request of this client reach the store."""
        self._deliver(turn, *self.late.pop(turn))

    def _deliver(self, turn: Turn, words: str, perform: Callable[[], object]) -> None:
        self._record.arrivals.append(Arrival(self._record.tick(), turn.number, words))
        with suppress(Signal), self._end.as_late(turn.number):
            perform()

    def live(self, steps: Sequence[Step]) -> None:
        for place, step in enumerate(steps):
            if place and self.gate is not None:
                self.gate(step.number)
            self.do(step.number, step.operation)

    def do(self, number: int, operation: Operation) -> None:
        """Do one operation, and write it down."""
        ready = operation.ready(self)
        if ready is None:
            return
        parts = ready.several()
        numbers = [number] if len(parts) == 1 else [_PARTS_FROM + _MOST_PARTS * number + at for at in range(len(parts))]
        self._number, self._requests, self._examinations = number, 0, 0
        self._trace, self._write_ids = [], {}
        self._thread = threading.get_ident()
        self._end.number = number
        for own, part in zip(numbers, parts, strict=True):
            asked = part.asked
            if asked.source is not None:
                self._end.copies.add(own)
            if own != number:
                self._end.parts[number, f"{self._record.prefix}/{asked.key}"] = own
            write_id = getattr(part, "write_id", None)
            if write_id is not None and asked.key is not None:
                self.bears(write_id, asked.key)
        began = self._record.tick()
        told: dict[int, tuple[Told, int]] = {}

        def hear(place: int, what: Told) -> None:
            told[place] = (what, self._record.tick())

        with heard() as warned:
            try:
                ready.perform_each(self._store, self, hear)
            except BaseException as exc:  # noqa: BLE001 - whatever it is, it is what the client was told
                for place in range(len(parts)):
                    if place not in told:
                        hear(place, ready.told_of_each(exc, place))
        for place, (own, part) in enumerate(zip(numbers, parts, strict=True)):
            what, ended = told.get(place, (None, NEVER))
            self._write_down(own, part, began, ended, what and replace(what, notes=(*what.notes, *warned)))
            self._trace = []  # that of all of them stands at the first

    def _write_down(self, number: int, operation: Operation, began: int, ended: int, told: Told | None) -> None:
        asked = operation.asked
        if told is not None and told.ticket is not None:
            told = replace(told, upload_id=parse(told.ticket).upload_id)
        own = dict.fromkeys(write_id for write_id, key in self._write_ids if key == asked.key or number < _PARTS_FROM)
        self._record.calls.append(Call(number, self._name, asked, began, ended, told, tuple(own), tuple(self._trace)))
        if told is None:
            return
        if told.ticket is not None and asked.about is None:
            self._record.tickets.append((number, asked.key, told.ticket))
        for seen in told.seen:
            if seen.etag is not None:
                self._etags.setdefault(seen.key, []).append(seen.etag)
