"""The demo holds on a sound store, and says BROKEN about every other one."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import oss2
import pytest
from oss2.credentials import EnvironmentVariableCredentialsProvider

from storage_guard import ObjectExists, Store, open_store
from storage_guard.body import BytesBody
from storage_guard.demo import __main__ as program
from storage_guard.demo import cut, oss, s3, scenarios
from storage_guard.demo.account import Account
from storage_guard.demo.child import race_key
from storage_guard.demo.s3_service import S3Service, loopback_s3
from storage_guard.demo.samples import Sample, named
from storage_guard.demo.service import BUCKET, Service, loopback
from storage_guard.demo.show import Show
from storage_guard.doctor import Report
from storage_guard.driver import (
    Absent,
    Body,
    Capabilities,
    Conflict,
    Corrupt,
    Exists,
    Limits,
    Lost,
    ObjectInfo,
    Part,
    PartSlot,
    Refused,
    WriteMeta,
)
from storage_guard.memory import MemoryDriver
from storage_guard_oss import OSSDriver
from storage_guard_s3 import S3Driver

Play = Callable[[Store, Sample, Account], None]


def demo(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "storage_guard.demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "TMPDIR": str(folder)} if folder else None,
    )


def test_the_demo_holds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    mine = tmp_path / "a file of mine"
    mine.write_bytes(b"data" * 1000)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = demo(str(mine), folder=temporary)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "all held" in done.stdout.splitlines()[-1]
    assert "BROKEN" not in done.stdout
    assert done.stdout.count("a file of mine, 4,000 bytes") == 36  # 10 on the disk, 9 in memory, 11 on OSS, 6 on S3
    for size in ("0 bytes", "1 byte", "4 KiB", "20 MiB and 1 byte"):
        assert f"  {size}\n" in done.stdout
    assert "ended with status -9" in done.stdout
    assert "settled by process" in done.stdout
    assert os.listdir(temporary) == []


def test_without_the_sdk_it_says_what_to_install_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in [each for each in sys.modules if each.partition(".")[0] in ("oss2", "storage_guard_oss")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "oss2", None)  # as if it were not there
    score = Show()
    program.on_oss(score, [])
    (line,) = capsys.readouterr().out.split("\n=== ")[1].splitlines()
    assert "pip install 'storage-guard[oss]'" in line
    assert score.count == 0


@pytest.mark.parametrize("missing", ["boto3.session", "awscrt"])
def test_without_what_s3_needs_it_says_what_to_install_and_goes_on(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = ("storage_guard_s3", "storage_guard.testing.server.s3")
    for name in [each for each in sys.modules if each.startswith((*ours, missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not there
    score = Show()
    program.on_s3(score, [])
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert line.startswith("=== Amazon S3 is left out: ")
    assert line.endswith(f" needs {missing}: pip install 'storage-guard[s3]'")
    assert score.count == 0


def test_what_the_caller_has_set_for_aws_is_not_used_and_is_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {"AWS_ACCESS_KEY_ID": "mine", "AWS_PROFILE": "mine", "AWS_ENDPOINT_URL": "http://mine", "http_proxy": "mine"}
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    before = dict(os.environ)
    with loopback_s3():
        assert all(os.environ.get(name) != value for name, value in mine.items())
    assert dict(os.environ) == before


def test_the_callers_own_credentials_are_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("OSS_SESSION_TOKEN", "my token")
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET", raising=False)
    with loopback():
        assert os.environ["OSS_ACCESS_KEY_ID"] != "mine"
        assert "OSS_SESSION_TOKEN" not in os.environ
    assert (os.environ["OSS_ACCESS_KEY_ID"], os.environ["OSS_SESSION_TOKEN"]) == ("mine", "my token")
    assert "OSS_ACCESS_KEY_SECRET" not in os.environ


@pytest.mark.parametrize("missing", ["not-there", "a-folder", "/dev/null"])
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-folder").mkdir()
    done = demo(missing)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert missing in done.stderr


def test_a_file_that_there_is_no_room_for_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 42)
    monkeypatch.chdir(tmp_path)
    assert program.main([str(huge)]) == 2
    assert "no room" in capsys.readouterr().err


def test_a_broken_promise_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def on_a_disk(score: Show, folder: str, _: Sequence[Sample]) -> None:
        score.each("A planted one", scenarios.second_attempt, Store(Overwriting()), [sample_in(Path(folder).parent)])

    def elsewhere(*_: object) -> None: ...

    monkeypatch.setattr(program, "on_a_disk", on_a_disk)
    monkeypatch.setattr(program, "in_memory", elsewhere)
    monkeypatch.setattr(program, "on_oss", elsewhere)
    monkeypatch.setattr(program, "on_s3", elsewhere)
    assert program.main([]) == 1
    assert "1 BROKEN: A planted one (small" in capsys.readouterr().out.splitlines()[-1]


# Stores that break one promise each


class Overwriting(MemoryDriver):
    """Replaces what is there."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        try:
            self.remove(key, None)
        except Absent:
            pass
        return super().put_new(key, body, meta)


class Touching(MemoryDriver):
    """Refuses a second create, and replaces the object all the same."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        there = self.head(key)
        if there is None:
            return super().put_new(key, body, meta)
        self.remove(key, None)
        super().put_new(key, body, meta)
        raise Exists(sole=True)


class Forgetful(MemoryDriver):
    """Loses the ids of the writes."""

    def head(self, key: str, /) -> ObjectInfo | None:
        found = super().head(key)
        return None if found is None else replace(found, write_id="another")


class Salvaging(MemoryDriver):
    """Publishes what it has when an upload is aborted."""

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        self.meta = meta
        return super().begin(key, meta)

    def abort(self, key: str, upload_id: str, /) -> None:
        super().finish_new(key, upload_id, list(self.scan_parts(key, upload_id)), self.meta)


class Spoiling(MemoryDriver):
    """Stores other bytes than it was given."""

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        return super().put_new(key, BytesBody(bytes(body.size_bytes)), meta)


class SpoilingInSilence(Spoiling):
    """And says no checksum by which anybody could tell."""

    def head(self, key: str, /) -> ObjectInfo | None:
        info = super().head(key)
        return info and replace(info, checksum=None)


def sample_in(folder: Path) -> Sample:
    path = folder / "small"
    path.write_bytes(b"some data")
    return named(path, 7)


def played(play: Play, store: Store, sample: Sample) -> list[str]:
    """What was broken; the account must end in words that fit."""
    said: list[str] = []
    account = Account("played", said.append)
    with account:
        play(store, sample, account)
    assert said[-1].strip().startswith("BROKEN: " if account.broken else "held")
    assert all(each in said[-1] for each in account.broken)
    return account.broken


def race(store: Store, sample: Sample, account: Account) -> None:
    (results,) = scenarios.race_of_threads(store, [sample])
    scenarios.judge_race(store, sample, results, account)


def race_with_a_wrong_word(store: Store, sample: Sample, account: Account) -> None:
    receipt = store.create(race_key(sample), sample.pieces())
    there = store.head(race_key(sample))
    assert there is not None
    wrong = ObjectExists("no", key="k", existing=replace(there, write_id="0123abcd"))
    scenarios.judge_race(store, sample, [(1, receipt), wrong, ValueError()], account)


PLANTED: dict[str, tuple[Play, type[MemoryDriver], str]] = {
    "a race, several win": (race, Overwriting, "of 8 writers were told that they had created it"),
    "a race, wrong holder": (race_with_a_wrong_word, MemoryDriver, "writer 1 was told of write 0123abcd, which is not"),
    "a race, another error": (race_with_a_wrong_word, MemoryDriver, "writer 2 got ValueError"),
    "a race, other bytes": (race, Spoiling, "what is at the key is not what writer"),
    "second, overwritten": (scenarios.second_attempt, Overwriting, "the second create was not refused"),
    "second, refused but replaced": (scenarios.second_attempt, Touching, "the object has changed"),
    "lost, not recognised": (scenarios.lost_but_ours, Forgetful, "unexpected ObjectExists"),
    "lost, other bytes": (scenarios.lost_but_ours, Spoiling, "unexpected ObjectDamaged"),
    "lost, other bytes, in silence": (
        *(scenarios.lost_but_ours, SpoilingInSilence),
        "what was said to be created is not at the key",
    ),
    "lost, the rival replaced": (scenarios.lost_to_a_rival, Overwriting, "a rival had the key before"),
    "lost, the rival not named": (scenarios.lost_to_a_rival, Forgetful, "the rival was not named"),
    "unknown, other bytes": (scenarios.lost_and_cut_off, Spoiling, "what was settled is not at the key"),
    "failing, published": (scenarios.failing_source, Salvaging, "head finds an object"),
}
LIMITS = Limits(1 << 30, 1, 1 << 30, max_parts=100, max_object_bytes=1 << 30)


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_driver_is_told_broken(case: str, tmp_path: Path) -> None:
    play, driver, words = PLANTED[case]
    # One part behind the other where it is to be there before the source breaks off.
    part_bytes, in_flight = (2, 1) if driver is Salvaging else (1000, None)
    store = Store(driver(f"demo {case}", limits=LIMITS), part_bytes=part_bytes, in_flight=in_flight)
    broken = played(play, store, sample_in(tmp_path))
    assert any(words in each for each in broken), broken


# Writes under the name itself, and waits to be killed.
STRAIGHT = """
import signal, sys
from urllib.parse import urlsplit
_, _, url, key, path, at = sys.argv
file = open(urlsplit(url).path + "/small", "wb") if "{where}" == "aside" else open(urlsplit(url).path + "/" + key, "wb")
file.write(open(path, "rb").read()[:int(at)])
file.flush()
print(at, flush=True)
signal.pause()
"""


@pytest.mark.parametrize(
    ("where", "words"), [("there", "head finds an object"), ("aside", "files were left behind: ['small']")]
)
def test_a_writer_that_leaves_something_behind_is_told_broken(where: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "store" / "killed").mkdir(parents=True)
    script = tmp_path / "straight.py"
    script.write_text(STRAIGHT.replace("{where}", where))
    killed = functools.partial(scenarios.killed, in_parts=False, program=(sys.executable, str(script)))
    broken = played(killed, open_store(str(tmp_path / "store")), sample_in(tmp_path))
    assert any(words in each for each in broken), broken


def test_a_writer_that_dies_at_once_is_told_broken(tmp_path: Path) -> None:
    killed = functools.partial(scenarios.killed, in_parts=False, program=(sys.executable, "-c", "pass"))
    broken = played(killed, open_store(str(tmp_path / "store")), sample_in(tmp_path))
    assert "the writer was not killed midway" in broken


@pytest.mark.parametrize("play", [race, scenarios.lost_but_ours, scenarios.second_attempt, scenarios.failing_source])
def test_the_same_scenarios_hold_on_a_sound_driver(play: Play, tmp_path: Path) -> None:
    assert played(play, Store(MemoryDriver()), sample_in(tmp_path)) == []


# Drivers of OSS that break one promise each


class Guessing(OSSDriver):
    """Says that no bucket has versions."""

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), put="documented", finish="documented", copy="documented")


class Unnamed(OSSDriver):
    """Loses the ids of the writes."""

    def head(self, key: str, /) -> ObjectInfo | None:
        found = super().head(key)
        return None if found is None else replace(found, write_id="another")


class Uncompared(OSSDriver):
    """Does not compare the checksums of parts."""

    def put_part(self, key: str, upload_id: str, slot: PartSlot, body: Body, /) -> Part:
        try:
            return super().put_part(key, upload_id, slot, body)
        except Corrupt:
            return Part(
                slot, next(part.etag for part in self.scan_parts(key, upload_id) if part.slot.number == slot.number)
            )


class Planted(Service):
    """A service that is opened with a driver of another kind."""

    kind: type[OSSDriver] = OSSDriver

    def open(self, bucket: str = BUCKET) -> Store:
        auth = oss2.ProviderAuthV4(EnvironmentVariableCredentialsProvider())
        driver = self.kind(oss2.Bucket(auth, self.server.url, bucket, region="cn-hangzhou"))
        return Store(driver, part_bytes=100 * 1024, multipart_from_bytes=200 * 1024)


OnOSS = Callable[[Service, Store, Sample, Account], None]

PLANTED_OSS: dict[str, tuple[OnOSS, type[OSSDriver], str]] = {
    "versions, not looked for": (oss.versioned, Guessing, "unexpected GuaranteeBroken"),
    "cut, not recognised": (cut.but_ours, Unnamed, "unexpected ObjectExists"),
    "cut, the rival not named": (cut.to_a_rival, Unnamed, "the rival was not named"),
    "damaged, not compared": (oss.in_parts, Uncompared, "other bytes arrived, and the write was said to be created"),
    "cut, nothing was": (cut.but_ours, OSSDriver, "nothing befell any request after all"),
}


def played_on_oss(play: OnOSS, driver: type[OSSDriver], sample: Sample) -> list[str]:
    with loopback() as service:
        planted = Planted(service.server, service.state)
        object.__setattr__(planted, "kind", driver)
        with planted.open() as store:
            return played(functools.partial(play, planted), store, sample)


def large_sample_in(folder: Path) -> Sample:
    """Of a size that is sent in parts here, but passes for one that is not."""
    path = folder / "large"
    path.write_bytes(os.urandom(500 * 1024))
    return named(path, 8)


@pytest.mark.parametrize("case", PLANTED_OSS)
def test_a_planted_driver_of_oss_is_told_broken(case: str, tmp_path: Path) -> None:
    play, driver, words = PLANTED_OSS[case]
    large = play is oss.in_parts or driver is OSSDriver
    broken = played_on_oss(play, driver, large_sample_in(tmp_path) if large else sample_in(tmp_path))
    assert any(words in each for each in broken), broken


@pytest.mark.parametrize("play", [cut.but_ours, cut.to_a_rival, oss.versioned])
def test_the_same_scenarios_hold_on_the_driver_of_oss(play: OnOSS, tmp_path: Path) -> None:
    assert played_on_oss(play, OSSDriver, sample_in(tmp_path)) == []


def test_a_damaged_part_is_seen_on_the_driver_of_oss(tmp_path: Path) -> None:
    assert played_on_oss(oss.in_parts, OSSDriver, large_sample_in(tmp_path)) == []


# Drivers of S3 that break one promise each

ORIGINAL_FINISH, ORIGINAL_HEAD, ORIGINAL_PUT = S3Driver.finish_new, S3Driver.head, S3Driver.put_new


def documented(_: S3Driver) -> Capabilities:
    """Says of any store that it keeps the condition."""
    return Capabilities("documented", "documented", "documented", versioning="never")


def without_an_id(driver: S3Driver, key: str) -> ObjectInfo | None:
    found = ORIGINAL_HEAD(driver, key)
    return None if found is None else replace(found, write_id="another")


def overlooking(driver: S3Driver, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta) -> ObjectInfo:
    """Takes every answer to a finish for a good one."""
    try:
        return ORIGINAL_FINISH(driver, key, upload_id, parts, meta)
    except Lost:
        found = ORIGINAL_HEAD(driver, key)
        assert found is not None
        return found


def giving_up(driver: S3Driver, key: str, body: Body, meta: WriteMeta) -> ObjectInfo:
    """Takes a conflict for a refusal."""
    try:
        return ORIGINAL_PUT(driver, key, body, meta)
    except Conflict as exc:
        raise Refused(exc.message, why="request") from exc


def no_report(store: Store, **_: object) -> Report:
    return Report(store.url, "", "never", {"put": "unproven", "finish": "unproven", "copy": "unproven"}, (), (), ())


OnS3 = Callable[[S3Service, Store, Sample, Account], None]


def on_the_side(play: Play) -> OnS3:
    """A scenario that has a server of its own."""
    return lambda _, store, sample, account: play(store, sample, account)


REFUSED = {way: on_the_side(functools.partial(s3.refused, way=way)) for way in s3.BAD.values()}
FINISH, COPY, DOCTOR = (on_the_side(each) for each in (s3.no_guarded_finish, s3.no_guarded_copy, s3.doctor))
PLANTED_S3: dict[str, tuple[OnS3, str, object, str]] = {
    "ignored, and believed": (REFUSED["ignored"], "capabilities", documented, "a write went out although"),
    "raced, and believed": (REFUSED["raced"], "capabilities", documented, "a write went out although"),
    "uploads, believed": (FINISH, "capabilities", documented, "it was sent in parts, or nobody examined"),
    "copies, believed": (COPY, "capabilities", documented, "a second copy replaced the first"),
    "cut, not recognised": (cut.but_ours, "head", without_an_id, "unexpected ObjectExists"),
    "409, given up": (s3.conflict, "put_new", giving_up, "unexpected NotWritten"),
    "an error in a 200, overlooked": (s3.error_in_a_200, "finish_new", overlooking, "the error was not seen"),
}


def played_on_s3(play: OnS3, sample: Sample) -> list[str]:
    with loopback_s3() as service, service.open() as store:
        return played(functools.partial(play, service), store, sample)


def huge_sample_in(folder: Path) -> Sample:
    path = folder / "huge"
    path.write_bytes(os.urandom(scenarios.MULTIPART_FROM_BYTES))
    return named(path, 9)


@pytest.mark.parametrize("case", PLANTED_S3)
def test_a_planted_driver_of_s3_is_told_broken(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, member, planted, words = PLANTED_S3[case]
    monkeypatch.setattr(S3Driver, member, planted)
    large = play in (FINISH, s3.error_in_a_200)
    broken = played_on_s3(play, huge_sample_in(tmp_path) if large else sample_in(tmp_path))
    assert any(words in each for each in broken), broken


def test_a_doctor_that_finds_nothing_is_told_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "examine", no_report)
    assert "the doctor found fault with set()" in played_on_s3(DOCTOR, sample_in(tmp_path))[0]


@pytest.mark.parametrize("way", REFUSED)
def test_every_bad_store_is_refused(way: str, tmp_path: Path) -> None:
    assert played_on_s3(REFUSED[way], sample_in(tmp_path)) == []


@pytest.mark.parametrize("play", [cut.but_ours, cut.to_a_rival, s3.conflict, FINISH, COPY, DOCTOR])
def test_the_same_scenarios_hold_on_the_driver_of_s3(play: OnS3, tmp_path: Path) -> None:
    assert played_on_s3(play, sample_in(tmp_path)) == []
