"""Each operation of a store is examined once for a Store, and once for all processes as long as the verdict holds."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from faults.bad_stores import BadStore, Switches
from storage_guard import GuaranteeMissing, GuaranteeWarning, Store, open_store
from storage_guard.access import Access
from storage_guard.clock import SystemClock
from storage_guard.driver import Conflict, Driver, WriteMeta
from storage_guard.guarantee.examining import AGE_S, Examiner, library
from storage_guard.guarantee.findings import OPERATIONS, Finding, Operation
from storage_guard.guarantee.marker import Marker, Place, understood, written
from storage_guard.guarantee.trial import Effort
from storage_guard.retry import Patience, RetryPolicy
from storage_guard.testing import LOST_AFTER, REFUSED, BytesBody, FakeClock, Fault, FaultyDriver, Member, faulty

MARKER = ".storage-guard/guarantee.json"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = Effort(rounds=2, writers=4, large_rounds=0, large_writers=2)


class Wall:
    """The time of day."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def examiner(driver: Driver, wall: Wall | None = None, *, age_s: float = AGE_S, prefix: str = "") -> Examiner:
    access = Access(driver, prefix, FakeClock(), RetryPolicy(), "memory://test")
    return Examiner(access, age_s=age_s, effort=QUICK, now=wall or Wall())


def asked_of(driver: BadStore, operation: Operation = "put", **options: Any) -> tuple[Finding, int]:
    """What another process finds, and how many objects it wrote for that."""
    asked = FaultyDriver(driver)
    found = examiner(asked, **options).finding(operation, driver.can)
    return found, asked.calls["put_new"]


def stored(driver: Driver, content: bytes) -> None:
    if driver.head(MARKER) is not None:
        driver.remove(MARKER, None)
    driver.put_new(MARKER, BytesBody(content), WriteMeta("w"))


# Once


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_asks_while_somebody_examines_waits_for_what_he_finds(operation: Operation) -> None:
    driver = FaultyDriver(BadStore())
    shared = examiner(driver)
    found: list[Finding] = []

    def ask() -> None:
        found.append(shared.finding(operation, BadStore().can))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = FaultyDriver(BadStore())
    examiner(alone).finding(operation, BadStore().can)
    assert found == [found[0]] * 8
    assert driver.calls["put_new"] == alone.calls["put_new"]


def test_the_writers_of_one_store_examine_it_once() -> None:
    driver = FaultyDriver(BadStore())
    store = Store(driver)
    results = list(store.create_many((f"k{number}", b"x") for number in range(50)))
    assert [getattr(each, "guarantee", None) for each in results] == ["raced"] * 50
    alone = FaultyDriver(BadStore())
    Store(alone).create("k", b"x")
    assert driver.calls["put_new"] - 50 == alone.calls["put_new"] - 1


def test_puts_come_first_because_others_are_raced_against_them() -> None:
    driver = BadStore(Switches(put="ignores"))
    asked = examiner(driver)
    found = asked.finding("copy", driver.can)
    assert found.holds, "copies hold by themselves"
    put = asked.known("put", driver.can)
    assert put is not None
    assert not put.holds


def test_a_pickled_store_knows_what_was_found() -> None:
    driver = open_store("memory://test-guarantee-pickle").driver
    access = Access(driver, "", SystemClock(), RetryPolicy(), "memory://test-guarantee-pickle")
    asked = Examiner(access, effort=QUICK)
    found = asked.finding("put", BadStore().can)
    again: Examiner = pickle.loads(pickle.dumps(asked))
    driver.remove(MARKER, None)
    assert again.finding("put", BadStore().can) == found
    assert [each.key for each in driver.scan("", "", "")] == []


def test_nothing_of_it_is_loaded_where_somebody_vouches() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from storage_guard import open_store\n"
        "open_store('memory://x').create('k', b'x')\n"
        "print([name for name in sys.modules if 'guarantee' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The marker


def test_another_process_reads_one_object() -> None:
    driver = BadStore()
    first = examiner(driver).finding("put", driver.can)
    asked = FaultyDriver(driver)
    assert examiner(asked).finding("put", driver.can) == first
    assert dict(asked.calls) == {"read": 1}


def test_what_is_found_later_is_added() -> None:
    driver = BadStore(Switches(copy="ignores"))
    for operation in OPERATIONS:
        asked_of(driver, operation)
    found = understood(driver.read(MARKER, 0, 10_000, None), Place.of(driver, driver.can))
    assert [(each.operation, each.verdict) for each in found.values()] == [
        ("put", "raced"),
        ("finish", "raced"),
        ("copy", "missing"),
    ]


def test_the_marker_tells_people_what_was_found_where_when_and_by_whom() -> None:
    driver = BadStore(server="Gateway/1.0")
    asked_of(driver)
    said = json.loads(driver.read(MARKER, 0, 10_000, None))
    assert (said["server"], said["versioning"], said["library"]) == ("Gateway/1.0", "never", library())
    assert said["found"]["put"] == {
        "verdict": "raced",
        "reason": "",
        "at": "2026-11-22T12:00:00+00:00",
        "write_ids": True,
        "rounds": 2,
        "writers": 4,
    }


@pytest.mark.parametrize(
    ("later_s", "age_s", "examined"),
    [(0.0, AGE_S, False), (AGE_S - 1, AGE_S, False), (AGE_S, AGE_S, True), (10.0, 9.0, True), (0.0, 0.0, True)],
)
def test_a_verdict_that_has_aged_is_found_anew_and_kept(later_s: float, age_s: float, examined: bool) -> None:
    driver, wall = BadStore(), Wall()
    asked_of(driver, wall=wall)
    wall.later(later_s)
    found, written_count = asked_of(driver, wall=wall, age_s=age_s)
    assert (written_count > 0) is examined
    assert found.at == (wall.now if examined else NOW)
    kept = understood(driver.read(MARKER, 0, 10_000, None), Place.of(driver, driver.can))
    assert kept["put"] == found


@pytest.mark.parametrize("change", [{"server": "Gateway/2.0"}, {"versioning": "enabled"}])
def test_another_server_or_state_makes_it_void(change: dict[str, Any]) -> None:
    from dataclasses import replace

    driver = BadStore(server="Gateway/1.0")
    asked_of(driver)
    driver.can = replace(driver.can, **change)
    assert asked_of(driver)[1] > 0
    assert asked_of(driver)[1] == 0, "and the new one is kept"


@pytest.mark.parametrize("versioning", ["never", "enabled", "suspended"])
def test_who_may_not_see_the_versioning_is_told_why_a_verdict_is_void(versioning: Any) -> None:
    """What raced well without versions need not with them (docs/backends/s3.md)."""
    from dataclasses import replace

    driver = BadStore()
    driver.can = replace(driver.can, versioning=versioning)
    asked_of(driver)
    driver.can = replace(driver.can, versioning="unknown")
    writing = faulty(driver, {"remove": [REFUSED] * 100})
    with pytest.raises(GuaranteeMissing, match=f"was found with versioning '{versioning}'"):
        Store(writing).create("k", b"x")
    assert driver.head("k") is None
    assert asked_of(driver)[0].holds, "who may examine does so"
    assert asked_of(driver)[1] == 0, "and those who see as little believe it"
    driver.can = replace(driver.can, versioning=versioning)
    assert asked_of(driver)[1] > 0, "and nobody else"


def test_who_may_not_examine_and_finds_no_verdict_hears_of_none() -> None:
    from dataclasses import replace

    driver = BadStore()
    driver.can = replace(driver.can, versioning="unknown")
    with pytest.raises(GuaranteeMissing) as missing:
        Store(faulty(driver, {"remove": [REFUSED] * 100})).create("k", b"x")
    assert "versioning" not in str(missing.value)


def test_a_server_that_was_mended_is_used_after_a_day_and_not_before() -> None:
    driver, wall = BadStore(Switches(put="ignores")), Wall()
    assert not asked_of(driver, wall=wall)[0].holds
    driver.switches = Switches()
    wall.later(80_000)
    assert not asked_of(driver, wall=wall)[0].holds
    wall.later(7_000)
    assert asked_of(driver, wall=wall)[0].holds


GOOD = written(Place("e", "s", "never"), {"put": Finding("put", "raced", "", NOW)}, "1.0")


def spoilt(**changes: object) -> bytes:
    content = json.loads(GOOD)
    for path, value in changes.items():
        at = content
        *folders, last = path.split("__")
        for each in folders:
            at = at[each]
        at[last] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        GOOD[:-1],
        spoilt(format=2),
        spoilt(format="1"),
        spoilt(found=[]),
        spoilt(found=None),
        spoilt(found__put=None),
        spoilt(found__put__verdict="documented"),
        spoilt(found__put__verdict="undecided"),
        spoilt(found__put__verdict=["raced"]),
        spoilt(found__put__at="yesterday"),
        spoilt(found__put__at="2026-11-22T12:00:00"),
        spoilt(found__put__at=0),
        spoilt(found__put__write_ids="yes"),
        spoilt(found__put__rounds=True),
        spoilt(found__put__reason=None),
        spoilt(server="other"),
        spoilt(endpoint="other"),
        spoilt(versioning="enabled"),
    ],
)
def test_a_marker_that_is_not_understood_is_none(content: bytes) -> None:
    place = Place("e", "s", "never")
    assert understood(GOOD, place)["put"].verdict == "raced"
    assert understood(content, place) == {}
    driver = BadStore()
    stored(driver, content)
    assert asked_of(driver)[1] > 0
    assert asked_of(driver)[1] == 0, "and it is replaced"


def test_a_verdict_of_the_future_is_none() -> None:
    driver, wall = BadStore(), Wall()
    wall.later(365 * 86_400)
    asked_of(driver, wall=wall)
    assert asked_of(driver)[1] > 0


def test_a_store_that_overwrites_keeps_its_verdict_too() -> None:
    driver = BadStore(Switches(put="ignores", finish="ignores"))
    for operation in OPERATIONS:
        asked_of(driver, operation)
    assert asked_of(driver)[1] == 0


def keep(driver: Driver, finding: Finding, place: Place) -> str:
    marker = Marker(driver, "", lambda: Patience(FakeClock(), RetryPolicy(), 10.0))
    return marker.keep(place, finding, "1.0", NOW, lambda: "w")


def test_two_that_keep_at_once_lose_nothing() -> None:
    driver = BadStore()
    place = Place.of(driver, driver.can)

    class Rival(FaultyDriver):
        """Somebody else keeps what it found between our look and our write."""

        came = False

        def _pass(self, member: Member, perform: Callable[..., Any], **about: Any) -> Any:
            if member == "put_new" and not self.came:
                self.came = True
                assert keep(driver, Finding("finish", "missing", "theirs", NOW), place) == ""
            return super()._pass(member, perform, **about)

    assert keep(Rival(driver), Finding("put", "raced", "", NOW), place) == ""
    assert understood(driver.read(MARKER, 0, 10_000, None), place).keys() == {"put", "finish"}


@pytest.mark.parametrize(("member", "fault"), [("put_new", LOST_AFTER), ("remove", LOST_AFTER), ("head", LOST_AFTER)])
def test_a_lost_answer_while_keeping_does_no_harm(member: Member, fault: Fault) -> None:
    driver = BadStore()
    place = Place.of(driver, driver.can)
    keep(driver, Finding("copy", "missing", "", NOW), place)
    assert keep(faulty(driver, member, [fault]), Finding("put", "raced", "", NOW), place) == ""
    assert "put" in understood(driver.read(MARKER, 0, 10_000, None), place)


def test_a_verdict_that_cannot_be_kept_is_said_and_used() -> None:
    class Refusing(BadStore):
        def put_new(self, key: str, *rest: Any) -> Any:
            if key == MARKER:
                raise faulty_refusal()
            return super().put_new(key, *rest)

    store = Store(Refusing())
    with pytest.warns(GuaranteeWarning, match="could not be kept") as caught:
        assert store.create("k", b"x").guarantee == "raced"
    assert caught[0].filename == __file__
    assert store.create("again", b"x").guarantee == "raced"


def faulty_refusal() -> Exception:
    from storage_guard.driver import Refused

    return Refused("not here", why="access")


def test_a_doubt_is_not_kept() -> None:
    driver = faulty(BadStore(), "remove", [REFUSED] * 100)
    assert examiner(driver).finding("put", BadStore().can).verdict == "undecided"
    assert driver.head(MARKER) is None


@pytest.mark.parametrize("member", ["head", "put_new"])
def test_who_may_not_write_is_not_told_that_something_was_left_behind(member: Member) -> None:
    """An anonymous client, say, who may not remove either."""
    driver = faulty(BadStore(), {member: [REFUSED] * 100, "remove": [REFUSED] * 100})
    with pytest.raises(GuaranteeMissing, match="could not be told") as missing:
        Store(driver).create("k", b"x")
    assert not [note for note in getattr(missing.value, "__notes__", []) if "left" in note]
    assert list(driver.scan("", "", "")) == []


def test_no_listing_shows_it_whatever_the_delimiter() -> None:
    driver = BadStore()
    store = Store(driver, prefix="p")
    store.check()
    driver.begin("p/.storage-guard/examination/1", WriteMeta("w"))
    assert list(store.uploads()) == []
    for delimiter in ("", "/", "-", "g", "guarantee"):
        assert list(store.scan(delimiter=delimiter)) == []
        assert list(store.scan(".st", delimiter=delimiter)) == []
    store.create(".storage-theirs", b"x")
    assert [each.key for each in store.scan(delimiter="-")] == [".storage-"]
    assert [each.key for each in store.scan(delimiter="/")] == [".storage-theirs"]
    assert [each.key for each in Store(driver).scan(delimiter="/")] == ["p/"]


def test_what_a_killed_examination_left_is_thrown_away_by_one_of_another_day() -> None:
    driver, wall = BadStore(), Wall()
    wall.now = datetime.now(UTC)
    area = ".storage-guard/examination"
    for key in (f"{area}/killed/1", f"{area}-of-somebody-else", "k"):
        driver.put_new(key, BytesBody(b"x"), WriteMeta("w"))
    driver.begin(f"{area}/killed/2", WriteMeta("w"))
    driver.begin("k2", WriteMeta("w"))
    asked_of(driver, wall=wall, age_s=0)
    assert driver.head(f"{area}/killed/1") is not None, "somebody may be at work there"
    wall.later(86_400 + 60)
    refusing = faulty(driver, "scan", [REFUSED])
    assert examiner(refusing, wall, age_s=0).finding("put", driver.can).holds, "who may not list leaves it to others"
    assert driver.head(f"{area}/killed/1") is not None
    asked_of(driver, wall=wall, age_s=0)
    assert {each.key for each in driver.scan("", "", "")} == {MARKER, f"{area}-of-somebody-else", "k"}
    assert [each.key for each in driver.scan_uploads("")] == ["k2"]


# Effort


def test_a_driver_of_one_connection_is_probed_and_says_so() -> None:
    class Serial(BadStore):
        line = threading.Lock()

        def put_new(self, *rest: Any) -> Any:
            with self.line:
                return super().put_new(*rest)

    driver = Serial()
    access = Access(driver, "", FakeClock(), RetryPolicy(), "memory://test")
    effort = Effort(rounds=2, writers=4, large_rounds=0, large_writers=2, hold_s=0.05)
    asked = Examiner(access, effort=effort, now=Wall())
    began_s = time.monotonic()
    assert asked.finding("put", driver.can).verdict == "probed"
    assert asked.finding("finish", driver.can).verdict == "probed"
    assert time.monotonic() - began_s < 5


def test_races_that_nobody_wins_decide_nothing() -> None:
    class Colliding(BadStore):
        """Writes that meet are all turned away, as a service may do."""

        flying = 0
        room = threading.Lock()

        def put_new(self, key: str, body: Any, *rest: Any) -> Any:
            with self.room:
                self.flying += 1
            held = BytesBody(b"".join(bytes(window) for window in body.windows()))
            met = self.flying > 1
            threading.Event().wait(0.01)
            with self.room:
                self.flying -= 1
            if met:
                raise Conflict("conflicting requests", restart=False)
            return super().put_new(key, held, *rest)

    driver = Colliding()
    found = examiner(driver).finding("put", driver.can)
    assert found.verdict == "undecided"
    assert "of 2 races were decided" in found.reason


def test_without_a_race_it_is_probed() -> None:
    driver = BadStore(Switches(put="looks early"))
    access = Access(driver, "", FakeClock(), RetryPolicy(), "memory://test")
    asked = Examiner(access, effort=Effort(rounds=0, large_rounds=0), now=Wall())
    assert asked.finding("put", driver.can).verdict == "probed"


@pytest.mark.parametrize(
    "wrong", [{"rounds": -1}, {"writers": 1}, {"large_rounds": -1}, {"large_writers": 1}, {"hold_s": 0.0}]
)
def test_an_effort_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="want rounds"):
        Effort(**wrong)


def test_how_long_a_verdict_is_believed_is_the_stores_option() -> None:
    driver = BadStore()
    Store(driver).create("k", b"x")
    asked = FaultyDriver(driver)
    Store(asked, verdict_age_s=0).create("k2", b"x")
    assert asked.calls["put_new"] > 1
    with pytest.raises(ValueError, match="verdict_age_s"):
        Store(driver, verdict_age_s=-1)
    with pytest.raises(GuaranteeMissing):
        Store(BadStore(Switches(put="ignores")), verdict_age_s=0).create("k", b"x")
