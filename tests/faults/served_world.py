"""A bucket of a service over real sockets: what befalls its requests is told by plots, and what took place is known."""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from storage_guard.driver import Driver, Limits
from storage_guard.names import WRITE_ID
from storage_guard.testing.server import (
    Action,
    Answer,
    Asked,
    Hold,
    Receiving,
    Request,
    Server,
    altered,
    cut_after_acting,
    cut_before_acting,
    cut_in_answer,
    cut_in_request,
    delayed,
    held,
    refused,
    refused_after_acting,
)
from storage_guard.testing.server.blobs import Arriving, Content
from storage_guard.testing.server.buckets import AlreadyExists, Bucket, Buckets, NoSuchKey
from storage_guard.testing.server.exchange import Dialect
from storage_guard.testing.server.versions import Attributes

BUCKET = "faults"
HASTY_S = 0.2  # how long those wait whose requests are held; what is only slow may strike them too, and does no harm
RIVAL, RIVAL_ID = b"another's", "rival"

# Small enough that a few hundred bytes are parts, and a copy of them too.
LIMITS = Limits(max_put_bytes=320, min_part_bytes=64, max_part_bytes=128, max_parts=100, max_object_bytes=1 << 30)

PUBLISHING = ("put_new", "copy_new", "finish_new")


@dataclass(frozen=True)
class There:
    """What the server holds at a key."""

    data: bytes
    write_id: str | None
    etag: str


@dataclass(frozen=True)
class Landing:
    """An object took its place at a key; `replaced`: where another one was."""

    key: str
    write_id: str | None
    etag: str
    data: bytes
    replaced: bool


class Ledger(Dialect):
    """Writes down what took place in a dialect, whatever was answered. `begun`: the write ids of uploads, by theirs.
    `resends`: requests that something on the way sends twice; it passes on what the second one is answered."""

    def __init__(self, dialect: Dialect, state: Buckets) -> None:
        self._dialect = dialect
        self.state = state
        self.landings: list[Landing] = []
        self.begun: dict[str, str | None] = {}
        self.resends: Callable[[Asked], bool] = lambda _: False

    def asked(self, request: Request) -> Asked:
        return self._dialect.asked(request)

    def receive(self, request: Request) -> Receiving:
        asked, receiving = self.asked(request), self._dialect.receive(request)
        if self.resends(asked):
            receiving = _Resent(receiving, lambda: self._dialect.receive(request))
        if asked.member in (*PUBLISHING, "begin") and asked.bucket in self.state:
            return _Watched(receiving, asked, self)
        return receiving

    def refusal(self, request: Request, status: int, code: str) -> Answer:
        return self._dialect.refusal(request, status, code)


class _Resent(Receiving):
    def __init__(self, receiving: Receiving, again: Callable[[], Receiving]) -> None:
        self._receiving = receiving
        self._again = again
        self._data = bytearray()

    def take(self, data: memoryview) -> None:
        self._data += data
        self._receiving.take(data)

    def end(self) -> Answer:
        self._receiving.end()
        again = self._again()
        again.take(memoryview(self._data))
        return again.end()

    def cut(self) -> None:
        self._receiving.cut()


class _Watched(Receiving):
    def __init__(self, receiving: Receiving, asked: Asked, ledger: Ledger) -> None:
        self._receiving = receiving
        self._asked = asked
        self._ledger = ledger

    def take(self, data: memoryview) -> None:
        self._receiving.take(data)

    def end(self) -> Answer:
        bucket, key = self._ledger.state[self._asked.bucket], self._asked.key
        before, known = bucket.histories.current(key), set(bucket.uploads)
        answer = self._receiving.end()
        after = bucket.histories.current(key)
        if after is not None and after is not before and after.content is not None:
            replaced = before is not None and before.content is not None
            write_id = after.attributes.meta.get(WRITE_ID)
            self._ledger.landings.append(Landing(key, write_id, after.content.etag, _data(after.content), replaced))
        for upload_id in bucket.uploads.keys() - known:
            self._ledger.begun[upload_id] = bucket.uploads[upload_id].attributes.meta.get(WRITE_ID)
        return answer

    def cut(self) -> None:
        self._receiving.cut()


def at_key(bucket: Bucket, key: str) -> There | None:
    """For a server that is idle, as far as this key is concerned."""
    try:
        version = bucket.find(key)
    except NoSuchKey:
        return None
    assert version.content is not None
    return There(_data(version.content), version.attributes.meta.get(WRITE_ID), version.content.etag)


def _data(content: Content) -> bytes:
    return b"".join(bytes(window) for window in content.blob.windows())


# What may befall a request


@dataclass(frozen=True)
class Kind:
    """One way to lose an answer.

    `action` is made anew for each request; a hold that it uses is released by somebody. `late`: the answer comes too
    late for who is hasty. `members`: those for which it makes a difference; None: all.
    """

    words: str
    action: Callable[[Hold], Action]
    late: bool = False
    members: Sequence[str] | None = None

    @property
    def acts(self) -> bool:
        return self.words.startswith("acted")

    def suits(self, member: str) -> bool:
        return self.members is None or member in self.members


_DOCUMENTS = ("begin", "finish_new", "copy_new", "copy_part", "scan_parts")
_BODIES = ("put_new", "put_part", "finish_new")
_HTML = b"<html><body>Bad Gateway</body></html>"


def _by_a_gateway(answer: Answer) -> Answer:
    """Something on the way has given up waiting."""
    return replace(answer, status=502, headers={"Content-Type": "text/html"}, body=_HTML, body_bytes=None)


def _no_xml(answer: Answer) -> Answer:
    return replace(answer, body=_HTML, body_bytes=None) if answer.status == 200 else answer


def _half_a_document(answer: Answer) -> Answer:
    if answer.status != 200 or not isinstance(answer.body, bytes):
        return answer
    return replace(answer, body=answer.body[: len(answer.body) // 2], body_bytes=None)


def _untold(answer: Answer) -> Answer:
    """It went well, and what came of it is not said."""
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in ("etag", "last-modified")}
    return replace(answer, headers=kept) if answer.status == 200 else answer


ACTED = Kind("acted, then reset", lambda _: cut_after_acting())
NOT_ACTED = Kind("reset before it acted", lambda _: cut_before_acting())
LATE = Kind("acted when nobody waited any more", held, late=True)
KINDS: Sequence[Kind] = (
    ACTED,
    Kind("acted, then closed", lambda _: cut_after_acting(reset=False)),
    Kind("acted, then reset midway through the answer", lambda _: cut_in_answer()),
    Kind("acted, then closed midway through the answer", lambda _: cut_in_answer(reset=False)),
    Kind("acted, and said 500", lambda _: refused_after_acting(500, "InternalError")),
    Kind("acted, and said 503", lambda _: refused_after_acting(503, "InternalError")),
    Kind("acted, and a gateway answered", lambda _: altered(_by_a_gateway)),
    Kind("acted, and said no XML", lambda _: altered(_no_xml), members=_DOCUMENTS),
    Kind("acted, and said half a document", lambda _: altered(_half_a_document), members=_DOCUMENTS),
    Kind("acted, and did not say what came of it", lambda _: altered(_untold), members=("put_new", "put_part", "head")),
    NOT_ACTED,
    Kind("closed before it acted", lambda _: cut_before_acting(reset=False)),
    Kind("reset midway through the request", lambda _: cut_in_request(), members=_BODIES),
    Kind("closed midway through the request", lambda _: cut_in_request(reset=False), members=_BODIES),
    Kind("did not act, and said 500", lambda _: refused(500, "InternalError")),
    LATE,
    Kind("acted, and answered when nobody waited any more", lambda _: delayed(after_s=3 * HASTY_S), late=True),
    Kind("acted when nobody waited any more, and was cut", lambda hold: held(hold, cut_after_acting()), late=True),
)


When = Literal["never", "before", "after"]


@dataclass
class Plot:
    """What befalls the requests about one key: the first `times` for `member` (of each pair) meet its kind.

    `rival`: another creates the object just before the first of these is carried out, or before the next request that
    follows it. `released`: what waits goes on with the next request, or at the end. Used in the server's thread.
    """

    strikes: Sequence[tuple[str, Kind, int | None]]
    rival: When = "never"
    released: Literal["next", "end"] = "end"
    about: str = "k"
    struck: int = 0
    holds: list[Hold] = field(default_factory=list[Hold])
    met: dict[str, int] = field(default_factory=dict[str, int])

    def meets(self, asked: Asked, come: Callable[[], None]) -> Action | None:
        kind = self._due(asked.member)
        if (self.rival == "before" and kind is not None) or (self.rival == "after" and self.struck):
            come()
        if self.struck and self.released == "next":
            self.release()
        if kind is None:
            return None
        self.struck += 1
        hold = Hold()
        if kind.late:
            self.holds.append(hold)
        return kind.action(hold)

    def release(self) -> None:
        for hold in self.holds:
            hold.release()

    def _due(self, member: str) -> Kind | None:
        for number, (wanted, kind, times) in enumerate(self.strikes):
            if wanted == member:
                met = self.met[f"{number}"] = self.met.get(f"{number}", 0) + 1
                if times is None or met <= times:
                    return kind
        return None


class World:
    """One bucket, and the plots about the keys below a name of their own: `name/key`.

    `patient` and `hasty` are drivers of it. `rivals_own`: what is kept with a rival's object. `kinds`: what befalls
    requests to this service.
    """

    patient: Driver
    hasty: Driver
    rivals_own: Attributes
    kinds: Sequence[Kind] = KINDS

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self.server = server
        self.ledger = ledger
        self.plots: dict[str, Plot] = {}
        server.cues.on_request = self._meet

    @abstractmethod
    def driver(self, *, read_timeout_s: float = 30.0) -> Driver:
        """One more client."""

    def told_etag(self, etag: str) -> str:
        """An etag of the ledger's as the drivers tell it."""
        return etag

    @property
    def bucket(self) -> Bucket:
        return self.ledger.state[BUCKET]

    def come(self, key: str, data: bytes = RIVAL) -> None:
        """A rival creates the object, if the key is free. In the server's thread, or while nothing happens there."""
        with contextlib.suppress(AlreadyExists):
            self.bucket.require_free(key)
            arriving = Arriving(self.ledger.state.blobs)
            arriving.take(memoryview(data))
            self.bucket.put(key, arriving.end(), self.rivals_own)

    def at(self, key: str) -> There | None:
        return at_key(self.bucket, key)

    def settle_down(self) -> None:
        """What waits goes on, and is over."""
        for plot in list(self.plots.values()):
            plot.release()
        self.server.wait_idle()

    def close(self) -> None:
        self.patient.close()
        self.hasty.close()

    def _meet(self, asked: Asked) -> Action | None:
        name, _, key = asked.key.partition("/")
        plot = self.plots.get(name)
        if plot is None or key != plot.about:
            return None
        return plot.meets(asked, lambda: self.come(asked.key))


def side_by_side(jobs: Sequence[Callable[[], None]], threads: int = 24) -> None:
    """Does them all; what the first one that failed raised is raised here."""
    left, lock, failures = iter(jobs), threading.Lock(), list[BaseException]()

    def work() -> None:
        while not failures:
            with lock:
                job = next(left, None)
            if job is None:
                return
            try:
                job()
            except BaseException as exc:  # noqa: BLE001 - raised below
                failures.append(exc)

    crew = [threading.Thread(target=work) for _ in range(threads)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    if failures:
        raise failures[0]
