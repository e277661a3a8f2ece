"""What docs/backends/oss.md says is so: its programs, its policy, its tables, and what it says of oss2 alone."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import storage_guard
from storage_guard import StorageGuardError, Store
from storage_guard.testing.server import (
    Answer,
    Asked,
    Cue,
    Hold,
    Server,
    altered,
    cut_after_acting,
    held,
    running,
)
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.oss import OSSDialect
from storage_guard_oss import open_url
from unit.certificates import server_tls
from unit.oss_served import Served, served
from unit.pages import (
    ROOT,
    actions_of,
    blocks,
    check_how_a_code_ends,
    check_that_it_may_create_look_resume_and_settle,
    codes_of,
    run_program,
    table_below,
    to_the_loopback,
)

PAGE = (ROOT / "docs/backends/oss.md").read_text()
FORBID = {"x-oss-forbid-overwrite": "true"}

# Of nobody, and trusted by nobody but the programs that are run here: made for the names that the page uses.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMM5M5yOI4GDNkeDK
zCJ+ymEHABiChwFgfDtLb2yccP+hRANCAATW/xt6cNv66tgjc5IpeLYD22f6vvIN
2WoYmhPkZqAFmc6DpZ0uS3yY+YJa02vBTN3q3SNN0i1kO4WHNe6yDZs9
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIB4DCCAYegAwIBAgIUFKp5IlxfJ3kpb3P0AmGqEOFSBKswCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVbG9vcGJhY2sgb2YgdGhlIHRlc3RzMCAXDTI2MTEyMjIwMjcw
OFoYDzIxMjYxMDI5MjAyNzA4WjAgMR4wHAYDVQQDDBVsb29wYmFjayBvZiB0aGUg
dGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATW/xt6cNv66tgjc5IpeLYD
22f6vvIN2WoYmhPkZqAFmc6DpZ0uS3yY+YJa02vBTN3q3SNN0i1kO4WHNe6yDZs9
o4GcMIGZMA8GA1UdEwEB/wQFMAMBAf8wZwYDVR0RBGAwXoIeKi5vc3MtY24taGFu
Z3pob3UuYWxpeXVuY3MuY29tgicqLm9zcy1jbi1oYW5nemhvdS1pbnRlcm5hbC5h
bGl5dW5jcy5jb22CE2FyY2hpdmUuZXhhbXBsZS5jb20wHQYDVR0OBBYEFDK8hHZS
ki02YpFt2EYkzmGDQCjEMAoGCCqGSM49BAMCA0cAMEQCIFooOX6R40o5/UlYR37r
ikaymYd5YSpZ2jtQS2zVrtOWAiAwj0ai1McryDRVVCKosuE0rX75RfGJQ0J7y1UR
BKp1/g==
-----END CERTIFICATE-----
"""
ENDPOINTS = ("oss-cn-hangzhou.aliyuncs.com", "oss-cn-hangzhou-internal.aliyuncs.com", "example.com")

# What the page leaves to its reader, and where its names lead.
BEFORE = f"""{to_the_loopback("aliyuncs.com", "example.com")}
def ask_sts():
    import oss2.credentials, time
    return oss2.credentials.Credentials("STS.id", "sts-secret", "sts-token"), time.time() + 3600
"""
AFTER = """
assert store.head("three.txt").write_id != store.head("one.txt").write_id
assert store.create("large.bin", Path("large.bin"), if_exists="same").outcome == "same"
for each in (inside, own_domain, for_a_while):
    assert each.create("opened/in-another-way", b"works").outcome == "created", each
    each.remove("opened/in-another-way")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    tls, _ = server_tls(tmp_path, KEY, CERTIFICATE)
    known = Credentials([Credential("LTAIpage", "secret"), Credential("STS.id", "sts-secret", "sts-token")])
    dialect = OSSDialect(Buckets(["examplebucket", "archive"]), credentials=known, endpoints=ENDPOINTS)
    with running(dialect, tls=tls) as server:
        yield server


def run_as_it_stands(program: str, server: Server, folder: Path) -> None:
    keys = {"OSS_ACCESS_KEY_ID": "LTAIpage", "OSS_ACCESS_KEY_SECRET": "secret"}
    run_program(program, folder, server.port, {**keys, "REQUESTS_CA_BUNDLE": str(folder / "trusted.pem")})


def test_the_programs_of_the_page_run_one_after_the_other_as_they_stand(server: Server, tmp_path: Path) -> None:
    programs = blocks(PAGE, "python")
    assert len(programs) == 13
    run_as_it_stands("\n".join([BEFORE, *programs, AFTER]), server, tmp_path)
    asked = [seen.asked.member for seen in server.requests]
    assert asked.count("finish_new") == 3  # two of oss2 alone, one of ours
    assert asked.count("copy_part") == 1
    assert {seen.asked.bucket for seen in server.requests} == {"examplebucket", "archive"}


def test_the_first_steps_of_the_readme_run_as_they_stand(server: Server, tmp_path: Path) -> None:
    (steps,) = [each for each in blocks((ROOT / "README.md").read_text(), "py") if "oss://" in each]
    run_as_it_stands(BEFORE + steps, server, tmp_path)
    assert "put_new" in [seen.asked.member for seen in server.requests]


def test_the_loopback_server_in_testing_md_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs/testing.md").read_text()
    (section,) = re.findall(r"^## A service on the loopback\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    program = "\n".join(blocks(section, "python"))
    assert "running(" in program
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The policy

MEMBERS = {
    "oss:GetBucketVersioning": {"versioning"},
    "oss:PutObject": {"put_new", "copy_new", "begin", "put_part", "copy_part", "finish_new"},
    "oss:GetObject": {"head", "read"},
    "oss:AbortMultipartUpload": {"abort"},
    "oss:ListParts": {"scan_parts"},
}


def test_the_policy_is_enough_to_create_look_resume_and_settle(tmp_path: Path) -> None:
    actions = actions_of(json.loads(blocks(PAGE, "json")[0]))
    allowed = {member for action in actions for member in MEMBERS[action]}

    def may(asked: Asked) -> bool:
        return asked.member in allowed

    large = tmp_path / "large"
    large.write_bytes(os.urandom(500_000))
    with served(may=may) as service:
        store = store_of(service, journal=tmp_path / "journal", part_bytes=100 * 1024, multipart_from_bytes=200 * 1024)
        check_that_it_may_create_look_resume_and_settle(store, service.cues, large)
        assert {seen.status for seen in service.server.requests} <= {200, 204, 206, 404, 500, None}
        assert actions == {action for action in actions if any(service.asked(each) for each in MEMBERS[action])}


def store_of(service: Served, **options: Any) -> Store:
    return Store(service.driver(), **options)


# The tables


@pytest.mark.parametrize(("told", "error"), codes_of(PAGE))
def test_a_code_ends_as_the_table_says(told: str, error: str) -> None:
    with served() as service:
        check_how_a_code_ends(store_of(service), service.cues, told, error)


def open_page(**options: Any) -> None:
    storage_guard.Store(open_url("oss://examplebucket", **options)[0])


def refused_with(answer: dict[str, str], code: str) -> Callable[[], None]:
    def act() -> None:
        with served() as service:
            body = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, **answer}.items())
            service.alter("put_new", status=403, body=f"<Error>{body}</Error>".encode())
            store_of(service).create("key", b"data")

    return act


def without_credentials() -> None:
    with served() as service:
        driver, _ = open_url("oss://served", endpoint=service.server.url, region="cn-hangzhou")
        Store(driver).create("key", b"data")


def denied() -> None:
    with served(may=lambda asked: asked.member not in ("versioning", "bucket", "remove")) as service:
        store_of(service).create("key", b"data")


def in_no_bucket() -> None:
    with served() as service:
        Store(service.driver("nowhere")).create("key", b"data")


def by_https() -> None:
    with served() as service:
        Store(service.driver(endpoint=service.server.url.replace("http:", "https:"))).create("key", b"data")


TROUBLE: dict[str, Callable[[], None]] = {
    "give region= (like cn-hangzhou) or endpoint=": open_page,
    "signature v4 needs region=": lambda: open_page(endpoint="https://archive.example.com"),
    "is in the region cn-beijing, not in cn-hangzhou": lambda: open_page(
        endpoint="oss-cn-beijing.aliyuncs.com", region="cn-hangzhou"
    ),
    "no TLS with this host": by_https,
    "the clock of this machine is": refused_with(
        {"ServerTime": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "RequestTimeTooSkewed"
    ),
    "there is no such bucket at this endpoint": in_no_bucket,
    "the bucket's own endpoint is": refused_with({"Endpoint": "oss-cn-beijing.aliyuncs.com"}, "AccessDenied"),
    "no credentials:": without_credentials,
    "allow oss:GetBucketVersioning or oss:GetBucketInfo": denied,
}


@pytest.mark.parametrize("said", [row[0].strip("`") for row in table_below(PAGE, "Troubleshooting")])
def test_trouble_is_told_as_the_page_says(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((StorageGuardError, ValueError), match=re.escape(said)):
        TROUBLE[said]()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE))))
def test_a_link_leads_to_a_file_or_to_the_service(target: str) -> None:
    pages = ("https://help.aliyun.com/", "https://www.alibabacloud.com/help/", "https://pypi.org/project/")
    assert target.startswith(pages) or (ROOT / "docs/backends" / target).exists()


# What oss2 alone leaves open


def alone(service: Served) -> Any:
    oss2: Any = importlib.import_module("oss2")
    auth = oss2.AuthV4("LTAIserved", "sEcReT-of-the-key")
    return oss2.Bucket(auth, service.server.url, "served", region="cn-hangzhou")


def test_resumable_upload_replaces_what_appeared_meanwhile(tmp_path: Path) -> None:
    oss2: Any = importlib.import_module("oss2")
    large = tmp_path / "large"
    large.write_bytes(bytes(300 * 1024))
    hold = Hold()
    with served() as service, ThreadPoolExecutor(1) as pool:
        service.cues.add(Cue(held(hold), member="finish_new"))
        records = oss2.make_upload_store(root=str(tmp_path))
        options = {"headers": FORBID, "store": records, "multipart_threshold": 200 * 1024, "part_size": 100 * 1024}
        upload = pool.submit(lambda: oss2.resumable_upload(alone(service), "key", str(large), **options))
        hold.wait_for(1)
        store = store_of(service)
        rival = store.create("key", b"the rival's")
        hold.release()
        assert upload.result().status == 200
        info = store.head("key")
        assert info is not None
        assert (info.size_bytes, info.write_id) == (300 * 1024, None)
        assert rival.outcome == "created"


def test_a_lost_answer_tried_again_looks_like_a_conflict() -> None:
    oss2: Any = importlib.import_module("oss2")
    with served() as service:
        service.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(oss2.exceptions.RequestError):
            alone(service).put_object("key", b"ours", headers=FORBID)
        with pytest.raises(oss2.exceptions.ServerError) as refusal:
            alone(service).put_object("key", b"ours", headers=FORBID)
        assert refusal.value.code == "FileAlreadyExists"


@pytest.mark.parametrize("versioning", ["enabled", "suspended"])
def test_a_bucket_with_versions_overwrites_and_answers_200(versioning: str) -> None:
    with served(versioning=versioning) as service:
        for _ in range(2):
            assert alone(service).put_object("key", b"data", headers=FORBID).status == 200


def test_the_crc_of_the_whole_is_compared_when_the_object_is_there() -> None:
    oss2: Any = importlib.import_module("oss2")

    def wrong(answer: Answer) -> Answer:
        return replace(answer, headers={**answer.headers, "x-oss-hash-crc64ecma": "1"})

    with served() as service:
        service.cues.add(Cue(altered(wrong), member="put_new"))
        with pytest.raises(oss2.exceptions.InconsistentError):
            alone(service).put_object("key", b"data", headers=FORBID)
        assert alone(service).object_exists("key")
