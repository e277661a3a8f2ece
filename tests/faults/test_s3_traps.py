"""What plain boto3 tells with the condition set, as its users set it; and the same beside it, by a Store."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace

import botocore.endpoint
import pytest

from benchmarks.harness.outcomes import BUCKET, PLACES, SCENARIOS, Truth, place, verdict
from benchmarks.harness.told import CLIENTS, KEY_ID, PART_BYTES, REGION, SECRET, Client, Ours, Told, asked
from faults.s3_world import SESSION, Vouched
from storage_guard import Store
from storage_guard.testing import FakeClock

HONEST = [name for name, switches in PLACES.items() if "ignored" not in (switches.put, switches.complete)]
"""Where the condition holds, so that nobody has to look first."""


class _OursInNoTime(Ours):
    """Over a store of which it is known that it keeps the condition; waiting takes no time."""

    def __init__(self, url: str, bucket: str) -> None:
        super().__init__(url, bucket)
        client = SESSION.client(
            "s3", endpoint_url=url, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
        )
        self._store = Store(Vouched(client, bucket), part_bytes=PART_BYTES, clock=FakeClock())

    def prepare(self) -> None: ...


@contextlib.contextmanager
def client_of(name: str, where: str, url: str) -> Generator[Client]:
    client = _OursInNoTime(url, BUCKET) if name == "storage-guard" and where in HONEST else CLIENTS[name](url, BUCKET)
    client.prepare()
    yield client
    client.close()


def told_at(name: str, where: str) -> dict[str, tuple[Told, str, Truth]]:
    """What is told in each of this store's scenarios, and what is true."""
    with place(where) as there, client_of(name, where, there.server.url) as client:
        return {
            title: there.play(f"key/{title}", scenario, lambda call, key: asked(client, call, key))
            for title, scenario in SCENARIOS.items()
            if scenario.place == where
        }


@pytest.mark.parametrize("where", PLACES)
def test_ours_is_told_what_is_true(where: str) -> None:
    for title, (told, says, truth) in told_at("storage-guard", where).items():
        expected = {"open"} if title == "gone" else {"true"}
        assert verdict(told, truth) in expected, f"{title}: {told} ({says}), and {truth}"
        assert told == {"gone": "unknown", "failing": "error", "put ignored": "error"}.get(title, told)
        assert told != "error" or title in ("failing", "put ignored"), f"{title}: {says}"
        assert truth.left == 0, title


WRONG = {
    "put lost": "exists",  # it sends again by itself, and meets its own object
    "put 500": "exists",
    "complete lost, judged": "exists",
    "put ignored": "created",  # another's object is gone for it
    "complete ignored": "created",
}
OPEN = {"gone": "ConnectionClosedError", "complete lost, forgotten": "ClientError NoSuchUpload"}
GIVEN_UP = {"put 409": "ConditionalRequestConflict", "come and gone": "ConditionalRequestConflict"}


@pytest.mark.parametrize("where", PLACES)
def test_boto3_is_told_this(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = list[float]()
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=waits.append))
    for title, (told, says, truth) in told_at("boto3", where).items():
        about = f"{title}: {told} ({says}), and {truth}"
        found = verdict(told, truth)
        if title in WRONG:
            assert (found, told) == ("false", WRONG[title]), about
        elif title in OPEN:
            assert (found, says) == ("open", OPEN[title]), about
        elif title in GIVEN_UP:
            assert (found, told, truth.there) == ("true", "error", "nothing"), about
            assert GIVEN_UP[title] in says
        else:
            assert found == ("-" if title == "failing" else "true"), about


def test_upload_file_takes_no_condition(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with place("S3") as there:
        client = SESSION.client("s3", endpoint_url=there.server.url)
        with pytest.raises(ValueError, match="IfNoneMatch"):
            client.upload_file(str(tmp_path / "file"), BUCKET, "k", ExtraArgs={"IfNoneMatch": "*"})
        assert there.server.requests == []
        client.close()


def test_the_page_has_every_scenario_and_ours_is_never_wrong() -> None:
    """Made by `python -m benchmarks.outcomes`, with peers that are not installed here."""
    page = (Path(__file__).parents[2] / "docs" / "peers.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(): row.split("|")[2] for row in page.splitlines() if row.startswith("| ")}
    assert set(rows) == {"what happens"} | {scenario.words for scenario in SCENARIOS.values()}
    assert not [words for words, ours in rows.items() if "wrong" in ours]
