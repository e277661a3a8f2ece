"""`storage_guard.doctor`: a table of laws, an exit code, and no secret."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from faults.bad_stores import LIMITS, BadStore, Switches
from storage_guard import AccessDenied, Store, StoreUnavailable, doctor, open_store
from storage_guard.doctor import __main__ as program
from storage_guard.doctor import examine
from storage_guard.driver import Absent, Body, Lost, ObjectInfo, Refused, WriteMeta
from storage_guard.memory import MemoryDriver
from storage_guard.testing import BUSY, REFUSED, FakeClock, FaultyDriver, Member, faulty
from unit.test_guarantee import MARKER

ROUNDS = 3

FAULTS: dict[str, tuple[Switches, str, str, str, str]] = {
    "puts ignored": (Switches(put="ignores"), "put", "a taken key is refused", "is ignored", "GuaranteeMissing"),
    "puts replaced": (Switches(put="overwrites"), "put", "and what is there stays", "and replaced", "GuaranteeMissing"),
    "puts raced": (Switches(put="looks early"), "put", "of writers", "at one moment", "GuaranteeMissing"),
    "puts 501": (Switches(put="unsupported"), "put", "a free key", "501", "GuaranteeMissing"),
    "finishes ignored": (Switches(finish="ignores"), "finish", "a taken key is refused", "is ignored", "one request"),
    "finishes replaced": (Switches(finish="overwrites"), "finish", "and what is", "and replaced", "one request"),
    "finishes raced": (Switches(finish="looks late", gap_s=1e-3), "finish", "of writers", "moment", "one request"),
    "finishes against puts": (
        Switches(put="own lock", finish="own lock", gap_s=1e-3),
        "finish",
        "and so of these and puts",
        "at one moment",
        "one request",
    ),
    "copies ignored": (Switches(copy="ignores"), "copy", "a taken key is refused", "is ignored", "made in parts"),
    "copies replaced": (Switches(copy="overwrites"), "copy", "and what is there", "and replaced", "made in parts"),
    "copies raced": (Switches(copy="looks late", gap_s=1e-3), "copy", "of writers", "at one moment", "made in parts"),
    "heads stale": (Switches(stale_heads=True), "put", "what was created is seen", "stale", "GuaranteeMissing"),
    "ids lost": (Switches(loses_ids=True), "put", "it carries the id", "lost", "stays unknown"),
}


def nothing_left(driver: Any) -> bool:
    return not list(driver.scan("", "", "")) and not list(driver.scan_uploads(""))


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_named_and_what_follows_from_it(name: str) -> None:
    switches, operation, law, evidence, follows = FAULTS[name]
    driver = BadStore(switches)
    report = examine(Store(driver), rounds=ROUNDS)
    first = next(row for row in report.rows if row.holds is False)
    assert first.operation == operation
    assert first.law.startswith(law)
    assert evidence in first.evidence
    assert any(follows in each for each in report.follows)
    assert not report.holds
    assert nothing_left(driver)
    assert evidence in str(report)


@pytest.mark.parametrize("make", [BadStore, MemoryDriver])
def test_a_good_store_holds_every_law(make: Callable[[], Any]) -> None:
    driver = make()
    report = examine(Store(driver), rounds=ROUNDS)
    assert report.holds
    assert len(report.rows) == 7 + 8 + 8
    assert nothing_left(driver)
    assert pickle.loads(pickle.dumps(report)) == report


def test_a_disk_that_keeps_its_own_folder_to_itself_is_examined_beside_it(tmp_path: Path) -> None:
    report = examine(open_store(str(tmp_path / "root")), rounds=ROUNDS)
    assert report.holds
    assert [each for each in (tmp_path / "root").rglob("*") if each.is_file()] == []


def test_a_backend_that_vouches_for_what_is_not_so_is_told_of() -> None:
    driver = BadStore(Switches(finish="ignores"))
    driver.can = MemoryDriver().capabilities()
    report = examine(Store(driver), rounds=ROUNDS)
    assert any("do not write here" in each for each in report.follows)


def test_the_verdict_is_kept_when_asked_for_and_others_need_not_examine() -> None:
    driver = BadStore(Switches(copy="ignores"))
    assert not examine(Store(driver), rounds=ROUNDS, keep=True).holds
    assert [each.key for each in driver.scan("", "", "")] == [MARKER]
    # Who may not remove could not examine.
    asked = FaultyDriver(driver)
    asked.plan("remove", [REFUSED] * 100)
    assert Store(asked).create("k", b"x").guarantee == "raced"
    assert asked.calls["put_new"] == 1


@pytest.mark.parametrize("member", ["remove", "head", "abort"])
def test_what_cannot_be_told_is_not_known_and_does_not_hold(member: Member) -> None:
    driver = faulty(BadStore(), member, [REFUSED] * 10_000)
    report = examine(Store(driver, clock=FakeClock()), rounds=ROUNDS)
    assert not report.holds
    assert any(row.holds is None and "access denied" in row.evidence for row in report.rows)
    objects = {each.key for each in driver.scan("", "", "")}
    uploads = {each.upload_id for each in driver.scan_uploads("")}
    for each in objects | uploads:
        assert any(each in note for note in report.left), "what is left behind is said"


class Hidden(BadStore):
    """Looking is forbidden, behind so many puts; and a removal looks first, as on S3. Every put is `lost` or not."""

    def __init__(self, puts: int, lost: Literal["before", "after", ""]) -> None:
        super().__init__()
        self._puts = puts
        self._lost = lost

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        self._puts -= 1
        if self._lost == "before":
            raise Lost("no answer")
        info = super().put_new(key, body, meta)
        if self._lost == "after":
            raise Lost("no answer")
        return info

    def head(self, key: str, /) -> ObjectInfo | None:
        if self._puts <= 0:
            raise Refused("no looking", why="access")
        return super().head(key)

    def remove(self, key: str, etag: str | None, /) -> None:
        if self.head(key) is None:
            raise Absent(key)
        super().remove(key, etag)


@pytest.mark.parametrize("lost", ["", "before", "after"])
@pytest.mark.parametrize("puts", [0, 1, 5, 12])
def test_only_what_is_there_is_said_to_be_left_behind(puts: int, lost: Literal["", "before", "after"]) -> None:
    driver = Hidden(puts, lost)
    report = examine(Store(driver, clock=FakeClock()), rounds=ROUNDS, writers=4)
    there = {each.key for each in driver.scan("", "", "")}
    said = {note.split("'")[1]: note for note in report.left}
    assert not report.holds
    assert there <= said.keys(), "all of it is said"
    for key in said.keys() - there:
        assert "may be left behind, and could not be looked for" in said[key]
    if puts == 0:
        assert not said, "nothing was written"
    if not lost:
        assert all("is left behind" in said[key] for key in there)
    if lost and puts:
        assert "may be left behind" in "".join(said.values())


def test_a_store_that_does_not_say_what_it_is_is_an_error() -> None:
    with pytest.raises(AccessDenied):
        examine(Store(faulty(BadStore(), "capabilities", [REFUSED])))
    with pytest.raises(StoreUnavailable):
        examine(Store(faulty(BadStore(), "capabilities", [BUSY] * 1000), clock=FakeClock()))


@pytest.mark.parametrize("options", [{"rounds": 0}, {"rounds": -1}, {"writers": 1}])
def test_no_race_is_no_examination(options: dict[str, Any]) -> None:
    driver = FaultyDriver(BadStore())
    with pytest.raises(ValueError, match=r"writers|rounds"):
        examine(Store(driver), **options)
    assert not driver.calls


# The program


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        code = program.main(arguments)
    except SystemExit as exc:
        code = int(exc.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def opening(store: Store) -> Callable[[str], Store]:
    def open_it(url: str) -> Store:
        assert "://" in url
        return store

    return open_it


@pytest.fixture
def bad_store(monkeypatch: pytest.MonkeyPatch) -> BadStore:
    """What the program opens, whatever the URL."""
    driver = BadStore(Switches(finish="ignores"), reason="nobody knows it", server="Gateway/1.0")
    monkeypatch.setattr(program, "open_store", opening(Store(driver)))
    return driver


def test_a_store_that_holds_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("memory://test-doctor/prefix", "--rounds", "2", capsys=capsys)
    assert (code, err) == (0, "")
    assert out.startswith("memory://test-doctor/prefix ")
    assert "DOES NOT" not in out


def test_a_store_that_does_not_hold_is_1(bad_store: BadStore, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("s3://bucket", "--rounds", "2", capsys=capsys)
    assert (code, err) == (1, "")
    assert "Gateway/1.0" in out
    assert "DOES NOT" in out
    assert f"up to {LIMITS.max_put_bytes} bytes" in out
    assert nothing_left(bad_store)


def test_json_says_the_same(bad_store: BadStore, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("s3://bucket", "--rounds", "2", "--json", capsys=capsys)
    said = json.loads(out)
    report = examine(Store(bad_store), rounds=2)
    assert code == 1
    assert (said["holds"], said["server"]) == (False, "Gateway/1.0")
    assert [(row["operation"], row["law"], row["holds"]) for row in said["rows"]] == [
        (row.operation, row.law, row.holds) for row in report.rows
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("memory://a", "memory://b"),
        ("nobody://reads-this",),
        ("memory://a", "--rounds", "0"),
        ("memory://a", "--rounds", "many"),
        ("memory://a", "--writers", "1"),
        ("memory://a", "--option", "nothing"),
        ("memory://a", "--option", "limits:=no json"),
        ("memory://a", "--option", "unknown_option=1"),
        ("memory://a", "--option", "part_bytes=text"),
        ("memory://a", "--option", "part_bytes:=0"),
        ("memory://a?query",),
        ("memory://a", "--unknown"),
    ],
)
def test_wrong_use_is_2_and_nothing_on_the_output(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert err


def test_a_store_that_does_not_answer_is_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    refusing = Store(faulty(BadStore(), "capabilities", [REFUSED]))
    monkeypatch.setattr(program, "open_store", opening(refusing))
    code, out, err = run("s3://bucket", "--json", capsys=capsys)
    assert code == 1
    assert json.loads(out)["holds"] is None
    assert "AccessDenied" in err


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, object] = {}

    def open_it(url: str, **options: str) -> Store:
        given.update(options)
        if options["region"] == "wrong":
            raise ValueError(f"cannot use {options} for {url}")
        return Store(BadStore(Switches(put="ignores"), reason="", server=f"Server {options['secret_key']}"))

    monkeypatch.setattr(program, "open_store", open_it)
    secret = ("--option", "secret_key=s3cr3t/value=", "--option", 'session_token:="t0ken"')
    odd = ("--option", "access_key_id=evidence")  # whatever it may be, JSON stays JSON
    for region, code in (("wrong", 2), ("right", 1)):
        for style in ((), ("--json",)):
            told = run(
                "s3://AKID:pa55word@bucket", "--option", f"region={region}", *secret, *odd, *style, capsys=capsys
            )
            assert told[0] == code
            for each in ("s3cr3t", "t0ken", "pa55word"):
                assert each not in told[1] + told[2]
            if style and code == 1:
                assert json.loads(told[1])["rows"][0]["evidence"]
                assert "***" in json.loads(told[1])["server"]
    assert given.pop("access_key_id") == "evidence"
    assert given == {"region": "right", "secret_key": "s3cr3t/value=", "session_token": "t0ken"}


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-W", "error", "-m", "storage_guard.doctor", "memory://m", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["holds"] is True
    assert doctor.__doc__
