"""What goes wrong in a create on S3, one scenario each; and what is true afterwards, whatever was told.

The server is the loopback S3 of `storage_guard.testing.server`, in this process; it looks at every signature.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.harness.told import KEY_ID, LARGE, REGION, SECRET, SMALL, Told
from storage_guard.testing.server import (
    Action,
    Asked,
    Server,
    cut_after_acting,
    cut_before_acting,
    refused,
    refused_after_acting,
    running,
)
from storage_guard.testing.server.blobs import Arriving
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect
from storage_guard.testing.server.s3_switches import Switches
from storage_guard.testing.server.versions import Attributes

BUCKET, RIVAL = "outcomes", b"another's"
COMMITS = ("put_new", "finish_new")

# What is done otherwise than AWS does it; each is a server of its own.
PLACES: Mapping[str, Switches] = {
    "S3": Switches(),
    "S3, which forgets completed uploads": Switches(replayed="unknown"),
    "S3, which judges a repeated complete": Switches(replayed="judged"),
    "S3, which answers a complete early": Switches(early=True),
    "a store that ignores the condition on put": Switches(put="ignored"),
    "a store that ignores the condition on complete": Switches(complete="ignored"),
}

Rival = Literal["never", "first", "before the commit", "come and gone"]


@dataclass(frozen=True)
class Scenario:
    """`strikes`: what the first so many requests of a kind meet ("commit": a put or a complete; "any"). `rival`: when
    another creates the object; "come and gone": just before the commit, and removes it again."""

    words: str
    call: Literal["small", "large", "failing"]
    place: str = "S3"
    strikes: Sequence[tuple[str, Action, int]] = field(default=())
    rival: Rival = "never"


_ALWAYS = 1_000_000
SCENARIOS: Mapping[str, Scenario] = {
    "free": Scenario("nothing goes wrong", "small"),
    "taken": Scenario("the key is taken", "small", rival="first"),
    "put lost": Scenario("a put is carried out, its answer lost", "small", strikes=[("commit", cut_after_acting(), 1)]),
    "put 500": Scenario(
        "a put is carried out, and answered 500",
        "small",
        strikes=[("commit", refused_after_acting(500, "InternalError"), 1)],
    ),
    "put 409": Scenario(
        "a put meets 409 ConditionalRequestConflict, once",
        "small",
        strikes=[("commit", refused(409, "ConditionalRequestConflict"), 1)],
    ),
    "slow down": Scenario("503 SlowDown, once", "small", strikes=[("commit", refused(503, "SlowDown"), 1)]),
    "gone": Scenario(
        "a put is carried out, and from then on the network is down",
        "small",
        strikes=[("commit", cut_after_acting(), 1), ("any", cut_before_acting(), _ALWAYS)],
    ),
    "part lost": Scenario("a part arrives, its answer is lost", "large", strikes=[("put_part", cut_after_acting(), 1)]),
    "complete lost": Scenario(
        "a complete is carried out, its answer lost", "large", strikes=[("commit", cut_after_acting(), 1)]
    ),
    "complete lost, forgotten": Scenario(
        "the same at a store that forgets completed uploads",
        "large",
        "S3, which forgets completed uploads",
        strikes=[("commit", cut_after_acting(), 1)],
    ),
    "complete lost, judged": Scenario(
        "the same at a store that looks at the condition first",
        "large",
        "S3, which judges a repeated complete",
        strikes=[("commit", cut_after_acting(), 1)],
    ),
    "complete 200 error": Scenario(
        "a complete is carried out, and InternalError stands in a 200",
        "large",
        strikes=[("commit", refused_after_acting(200, "InternalError"), 1)],
    ),
    "rival": Scenario("another creates the object before the commit", "large", rival="before the commit"),
    "rival 200": Scenario(
        "the same, and the refusal stands in a 200",
        "large",
        "S3, which answers a complete early",
        rival="before the commit",
    ),
    "come and gone": Scenario(
        "another creates and removes the object while it is uploaded (409)", "large", rival="come and gone"
    ),
    "failing": Scenario("the writer of a file fails midway", "failing"),
    "put ignored": Scenario(
        "the key is taken, at a store that ignores the condition on put",
        "small",
        "a store that ignores the condition on put",
        rival="first",
    ),
    "complete ignored": Scenario(
        "another comes before the commit, at a store that ignores the condition on complete",
        "large",
        "a store that ignores the condition on complete",
        rival="before the commit",
    ),
}


@dataclass(frozen=True)
class Truth:
    """What is at the key: ours, whole; "part" of it; another's; or nothing. `replaced`: another's object is gone for
    it. `left`: uploads that are still open, and paid for."""

    there: Literal["ours", "part", "another's", "nothing"]
    replaced: bool
    left: int

    def __str__(self) -> str:
        words = {"part": "half of it is there", "ours": "it is there"}.get(self.there, f"{self.there} is there")
        words += ", in the place of another's" if self.replaced else ""
        return words + (f", {self.left} upload left open" if self.left else "")


Verdict = Literal["true", "false", "open", "-"]


def verdict(told: Told, truth: Truth) -> Verdict:
    """Whether what was told is so. "open": it is said that it is not known, or an error does not say whether the object
    is there, and it is."""
    if told == "cannot":
        return "-"
    if told == "unknown":
        return "open"
    if truth.replaced or truth.there == "part":
        return "false"
    if told == "created":
        return "true" if truth.there == "ours" else "false"
    if told == "exists":
        return "true" if truth.there == "another's" else "false"
    return "open" if truth.there == "ours" else "true"


Ask = Callable[[str, str], tuple[Told, str]]
"""A call and a key; what was told."""


class Place:
    """A server, and one scenario at a time."""

    def __init__(self, server: Server, state: Buckets) -> None:
        self.server = server
        self._bucket = state[BUCKET]
        self._blobs = state.blobs
        self._came = False

    def play(
        self, key: str, scenario: Scenario, ask: Callable[[str, str], tuple[Told, str]]
    ) -> tuple[Told, str, Truth]:
        """What was told of a create of this key, in which words, and what is true."""
        self._came = False
        met = dict.fromkeys(range(len(scenario.strikes)), 0)

        def on_request(asked: Asked) -> Action | None:
            if asked.key != key:
                return None
            if asked.member in COMMITS and scenario.rival in ("before the commit", "come and gone"):
                self._come(key, stays=scenario.rival == "before the commit")
            for number, (member, action, times) in enumerate(scenario.strikes):
                fits = member in ("any", asked.member) or (member == "commit" and asked.member in COMMITS)
                if fits and met[number] < times and (member != "any" or any(met.values())):
                    met[number] += 1
                    return action
            return None

        if scenario.rival == "first":
            self._come(key, stays=True)
        self.server.cues.on_request = on_request
        try:
            told, says = ask(scenario.call, key)
        finally:
            self.server.cues.on_request = None
        self.server.wait_idle()
        return told, says, self._truth(key)

    def _come(self, key: str, *, stays: bool) -> None:
        if self._came:
            return
        self._came = True
        arriving = Arriving(self._blobs)
        arriving.take(memoryview(RIVAL))
        self._bucket.put(key, arriving.end(), Attributes(storage_class="STANDARD", acl="private"))
        if not stays:
            self._bucket.remove(key)

    def _truth(self, key: str) -> Truth:
        version = self._bucket.histories.current(key)
        left = sum(upload.key == key for upload in self._bucket.uploads.values())
        if version is None or version.content is None:
            return Truth("nothing", replaced=False, left=left)
        data = b"".join(bytes(window) for window in version.content.blob.windows())
        if data == RIVAL:
            return Truth("another's", replaced=False, left=left)
        still = self._came and self._bucket.removals(key) == 0
        return Truth("ours" if data in (SMALL, LARGE) else "part", replaced=still, left=left)


@contextlib.contextmanager
def place(name: str) -> Generator[Place]:
    state = Buckets([BUCKET])
    dialect = S3Dialect(
        state, credentials=Credentials([Credential(KEY_ID, SECRET)]), region=REGION, switches=PLACES[name]
    )
    with running(dialect) as server:
        yield Place(server, state)
