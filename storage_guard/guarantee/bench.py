"""What an examination works with: objects and uploads under a prefix of its own, and cleaning up behind it."""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from storage_guard import names, signals
from storage_guard.answers import asked_s
from storage_guard.body import Body, BytesBody
from storage_guard.driver import Driver
from storage_guard.guarantee.findings import Seen, Told, has_landed, may_have_landed
from storage_guard.guarantee.racing import HeldBody, Holding
from storage_guard.model import ObjectInfo, ObjectRef, Part, PartSlot, WriteMeta
from storage_guard.retry import Patience

T = TypeVar("T")

AREA = f"{names.RESERVED}/examination"
SMALL_BYTES = 256
LARGE_BYTES = 1_200_000
"""More than a driver reads before it begins to send: such a body is held on its way, and not before."""
_TRIES = 4  # of cleaning up
_There = Literal["nothing", "doubt", "object"]


class UndecidedError(Exception):
    """It cannot be told. `lasting`: nor will it be, as long as nobody changes anything. `unavailable`: the store does
    not answer at all, which says nothing of what it would keep."""

    def __init__(
        self, reason: str, signal: signals.Signal | None = None, *, lasting: bool = False, unavailable: bool = False
    ) -> None:
        super().__init__(reason)
        self.signal = signal
        self.lasting = lasting
        self.unavailable = unavailable or isinstance(signal, signals.Busy)


class UnusableError(Exception):
    """The operation cannot be had here at all."""

    def __init__(self, signal: signals.Signal) -> None:
        super().__init__(said(signal))
        self.signal = signal


def said(signal: signals.Signal) -> str:
    """What the store said, for people."""
    codes = " ".join(str(each) for each in (signal.status, signal.code) if each is not None)
    return f"{signal} ({codes})" if codes and codes not in str(signal) else str(signal)


def _at_once() -> None:
    """Nobody is waited for."""


class Attempt(ABC):
    """One write, prepared up to the request that commits it. `data` is what will be at the key."""

    def __init__(self, bench: Bench, key: str, data: bytes, write_id: str) -> None:
        self.bench = bench
        self.key = key
        self.data = data
        self.write_id = write_id
        self._wait = _at_once

    @property
    def meta(self) -> WriteMeta:
        return WriteMeta(self.write_id)

    @abstractmethod
    def commit(self) -> ObjectInfo:
        """The one request. Raises a Signal."""

    def hold(self, holding: Holding, who: int, stages: int) -> None:
        """Let `run` wait for the others: before the request where others wait with their last byte, `stages` times."""

        def wait() -> None:
            for stage in range(1, stages + 1):
                holding.come(who, stage)

        self._wait = wait

    def run(self) -> ObjectInfo:
        self._wait()
        return self.send()

    def send(self) -> ObjectInfo:
        """`commit`, and the bench knows what may be at the key then."""
        try:
            info = self.commit()
        except signals.Signal as signal:
            self.bench.heard(self.key, signal)
            raise
        except BaseException:  # on its way
            self.bench.heard(self.key, None)
            raise
        self.bench.heard(self.key, info)
        return info

    def drop(self) -> None:  # noqa: B027 - most prepare nothing
        """Throw away what was prepared. Raises a Signal, and may be called again then."""


class Put(Attempt):
    _body: Body | None = None

    def commit(self) -> ObjectInfo:
        return self.bench.driver.put_new(self.key, self._body or BytesBody(self.data), self.meta)

    def hold(self, holding: Holding, who: int, stages: int) -> None:  # noqa: ARG002 - the body is asked as often as it is read
        self._body = HeldBody(self.data, partial(holding.come, who))


class Finish(Attempt):
    """An upload of one part."""

    upload_id = ""
    _part: Part | None = None

    def begin(self) -> None:
        """Raises UndecidedError, UnusableError."""
        bench, driver = self.bench, self.bench.driver

        def ask() -> str:
            try:
                return driver.begin(self.key, self.meta)
            except signals.Lost:
                bench.may_have_strays = True
                raise

        self.upload_id = bench.patiently(ask, "an upload could not be begun")
        bench.opened(self)
        slot = PartSlot(1, 0, len(self.data))
        self._part = bench.patiently(
            lambda: driver.put_part(self.key, self.upload_id, slot, BytesBody(self.data)), "a part could not be sent"
        )

    def commit(self) -> ObjectInfo:
        if self._part is None:
            raise AssertionError("it was not begun")
        return self.bench.driver.finish_new(self.key, self.upload_id, [self._part], self.meta)

    def drop(self) -> None:
        try:
            self.bench.driver.abort(self.key, self.upload_id)
        except signals.Gone:
            pass
        self.bench.closed(self)


class Copy(Attempt):
    def __init__(self, bench: Bench, key: str, data: bytes, write_id: str, source: ObjectRef) -> None:
        super().__init__(bench, key, data, write_id)
        self._source = source

    def commit(self) -> ObjectInfo:
        return self.bench.driver.copy_new(self._source, self.key, self.meta)


class Bench:
    """`area` ends with a slash: nobody else writes below it. `patience` gives the patience of one question."""

    def __init__(self, driver: Driver, area: str, patience: Callable[[], Patience]) -> None:
        self.driver = driver
        self._area = area
        self._patience = patience
        self._lock = threading.Lock()
        self._count = 0
        self._keys: dict[str, _There] = {}
        self._uploads: dict[str, Finish] = {}
        self.may_have_strays = False
        self.small_bytes = min(SMALL_BYTES, driver.limits.max_put_bytes, driver.limits.max_part_bytes)
        self.large_bytes = min(LARGE_BYTES, driver.limits.max_put_bytes)

    # Writes

    def key(self) -> str:
        """A key that nobody has used."""
        with self._lock:
            self._count += 1
            key = f"{self._area}{self._count}"
            self._keys[key] = "nothing"
            return key

    def put(self, key: str, size_bytes: int | None = None) -> Put:
        return Put(self, key, *self._content(self.small_bytes if size_bytes is None else size_bytes))

    def upload(self, key: str) -> Finish:
        """Not begun yet."""
        return Finish(self, key, *self._content(self.small_bytes))

    def copy(self, key: str, source: Seen) -> Copy:
        _, write_id = self._content(0)
        pinned = ObjectRef(self.driver.location, source.info.key, source.info.version_id, source.info.etag)
        return Copy(self, key, source.data, write_id, pinned)

    def _content(self, size_bytes: int) -> tuple[bytes, str]:
        write_id = secrets.token_hex(8)  # beyond this examination nobody has to tell it from others
        words = f"{write_id}: storage-guard asks whether create-only holds here\n".encode()
        return (words * (size_bytes // len(words) + 1))[:size_bytes], write_id

    # Questions

    def patiently(self, question: Callable[[], T], what: str, *, writes: bool = True) -> T:
        """Ask until there is an answer. Raises UndecidedError (no answer, or no access), UnusableError."""
        patience = self._patience()
        while True:
            try:
                return question()
            except (signals.Busy, signals.Lost, signals.Conflict) as signal:
                if not patience.wait(asked_s(signal)):
                    raise UndecidedError(f"{what}: {said(signal)}", signal, unavailable=not writes) from signal
            except signals.Refused as signal:
                if signal.why == "access":
                    raise UndecidedError(f"{what}: {said(signal)}", signal, lasting=True) from signal
                raise UnusableError(signal) from signal
            except signals.Signal as signal:
                raise UnusableError(signal) from signal

    def look(self, key: str) -> Seen | None:
        """What is at a key, bytes and all, however it came there."""

        def ask() -> Seen | None:
            info = self.driver.head(key)
            if info is None:
                return None
            try:
                # One byte more than anything here has.
                return Seen(info, self.driver.read(key, 0, self.large_bytes + self.small_bytes + 1, None))
            except (signals.Absent, signals.Changed):
                return Seen(info, b"")  # head and read do not agree

        return self.patiently(ask, "what was written could not be looked at", writes=False)

    def told(self, attempt: Attempt) -> Told:
        """What one write, with nobody beside it, is told in the end. Raises UndecidedError.

        A write whose answer was lost is told what is seen, or sent again.
        """
        patience = self._patience()
        lost: signals.Signal | None = None
        while True:
            try:
                return attempt.send()
            except (signals.Busy, signals.Conflict) as signal:
                trouble: signals.Signal = signal
            except signals.Definite as signal:
                resent = isinstance(signal, signals.Exists | signals.Gone) and not signal.sole
                if lost is None and not resent:
                    return signal
                seen = self.look(attempt.key)
                return seen.info if seen is not None and seen.data == attempt.data else signal
            except (signals.Unsynced, signals.Damaged, signals.Broken) as signal:
                return signal
            except signals.Signal as signal:
                trouble = lost = signal
                seen = self.look(attempt.key)
                if seen is not None and seen.data == attempt.data:
                    return seen.info
            if not patience.wait(asked_s(trouble)):
                raise UndecidedError(f"every answer was lost or put off: {said(trouble)}", trouble) from trouble

    def remove(self, key: str) -> None:
        """Raises UndecidedError, UnusableError."""

        def ask() -> None:
            try:
                self.driver.remove(key, None)
            except signals.Absent:
                pass

        self.patiently(ask, "what was written could not be removed")
        with self._lock:
            if self._keys.get(key) == "object":
                self._keys[key] = "doubt"  # until somebody has looked

    def heard(self, key: str, told: Told | None) -> None:
        """What the store said of one write, None if nothing was heard."""
        with self._lock:
            if told is not None and has_landed(told):
                self._keys[key] = "object"
            elif (told is None or may_have_landed(told)) and self._keys.get(key) != "object":
                self._keys[key] = "doubt"

    def forget(self, key: str) -> None:
        """Nothing is there any more."""
        with self._lock:
            self._keys.pop(key, None)

    def opened(self, upload: Finish) -> None:
        with self._lock:
            self._uploads[upload.upload_id] = upload

    def closed(self, upload: Finish) -> None:
        with self._lock:
            self._uploads.pop(upload.upload_id, None)

    def clean(self) -> list[str]:
        """Throw away whatever is left; what cannot be is said."""
        left: list[str] = []
        with self._lock:
            uploads, keys = list(self._uploads.values()), list(self._keys.items())
        for upload in uploads:
            trouble = self._try(upload.drop)
            if trouble:
                left.append(f"upload {upload.upload_id} of {upload.key!r} is left open: {trouble}")
        if self.may_have_strays:
            left += self._abort_strays()
        for key, there in keys:
            trouble = self._try(partial(self._wipe, key))
            if trouble and there != "nothing":
                how = "is left behind" if there == "object" else "may be left behind, and could not be looked for"
                left.append(f"{key!r} {how}: {trouble}")
        return left

    def _abort_strays(self) -> list[str]:
        """Uploads of which nobody knows the id, as the answer to their begin was lost."""
        try:
            for stray in list(self.driver.scan_uploads(self._area)):
                self.driver.abort(stray.key, stray.upload_id)
        except signals.Gone:
            pass
        except signals.Signal as signal:
            return [f"uploads below {self._area!r} may be left open: {said(signal)}"]
        return []

    def _wipe(self, key: str) -> None:
        try:
            self.driver.remove(key, None)
        except signals.Absent:
            pass
        self.forget(key)

    def _try(self, act: Callable[[], None]) -> str:
        patience = self._patience()
        trouble = ""
        for _ in range(_TRIES):
            try:
                act()
            except signals.Signal as signal:
                trouble = said(signal)
                if not (isinstance(signal, signals.Busy | signals.Lost) and patience.wait(asked_s(signal))):
                    break
            else:
                return ""
        return trouble


def sweep(driver: Driver, area: str, before: datetime) -> None:
    """Throw away what examinations before that time have left, whose processes were killed. No trouble is told: who
    may not list, or is not answered, leaves it to others."""
    try:
        for each in list(driver.scan(area, "", "")):
            if isinstance(each, ObjectInfo) and each.modified < before:
                driver.remove(each.key, each.etag)
        for upload in list(driver.scan_uploads(area)):
            if upload.started < before:
                driver.abort(upload.key, upload.upload_id)
    except signals.Signal:
        return
