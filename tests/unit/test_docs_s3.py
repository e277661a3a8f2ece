"""What docs/backends/s3.md says is so: its programs, its policies, its tables, and what it says of boto3 alone."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from storage_guard import (
    AccessDenied,
    Encryption,
    GuaranteeMissing,
    ObjectExists,
    ObjectOptions,
    OutcomeUnknown,
    RenameIncomplete,
    Retention,
    StorageGuardError,
    Store,
    Unsupported,
    errors,
)
from storage_guard.doctor import examine
from storage_guard.driver import Location, ObjectRef, PartSlot, WriteMeta
from storage_guard.testing import BytesBody
from storage_guard.testing.server import Asked, Cue, Server, cut_after_acting, refused, refused_after_acting, running
from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.credentials import Credential, Credentials
from storage_guard.testing.server.s3 import S3Dialect, endpoints_of
from storage_guard.testing.server.s3_switches import Switches
from storage_guard_s3 import S3Driver, asking, open_url
from storage_guard_s3.message import Request
from storage_guard_s3.options import Standing
from unit.certificates import server_tls
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
from unit.s3_served import BUCKET, KEY_ID, REGION, SECRET, SESSION, SMALL, served

PAGE = (ROOT / "docs/backends/s3.md").read_text()
KEYS: dict[str, Any] = {"access_key_id": KEY_ID, "secret_access_key": SECRET, "region": REGION}

# Of nobody, and trusted by nobody but the programs that are run here: made for the names that the page uses.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbYJEht9YLKUmTAWf
dzb7hBYGbyethIprBIXXYVRdA5ahRANCAARR5RZOYhFBAqBRFPVYpNp1Uon5swFD
MpUHVZkdUtaSqZRyX2P3NVmg94lXwqikGCFHzP4yXdvVanaBuxZhenSZ
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBsTCCAVigAwIBAgIUIw1mtoeaGahvJNXZURuXl3vHrmYwCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVbG9vcGJhY2sgb2YgdGhlIHRlc3RzMCAXDTI2MTEwMTAwMDAw
MFoYDzIxMjYxMTAxMDAwMDAwWjAgMR4wHAYDVQQDDBVsb29wYmFjayBvZiB0aGUg
dGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARR5RZOYhFBAqBRFPVYpNp1
Uon5swFDMpUHVZkdUtaSqZRyX2P3NVmg94lXwqikGCFHzP4yXdvVanaBuxZhenSZ
o24wbDAPBgNVHRMBAf8EBTADAQH/MFkGA1UdEQRSMFCCHXMzLmV1LWNlbnRyYWwt
MS5hbWF6b25hd3MuY29tgh8qLnMzLmV1LWNlbnRyYWwtMS5hbWF6b25hd3MuY29t
gg5zMy5leGFtcGxlLm5ldDAKBggqhkjOPQQDAgNHADBEAiAJiGJRgbyH1MiSWv7r
7PyNXs/8F4WHhFZ1T4RO22D83QIgYb7CnOLdaVm2ZP9kgEau1i4vuqpOCpAelPWx
4vWZrBQ=
-----END CERTIFICATE-----
"""

BEFORE = to_the_loopback("amazonaws.com", "example.net")
AFTER = """
assert receipt.guarantee == "documented" and receipt.verified_by == "store"
large = store.head("large.bin")
assert large.write_id != store.head("copy.bin").write_id != store.head("third.bin").write_id
assert store.create("large.bin", Path("large.bin"), if_exists="same").outcome == "same"
for each, guarantee in ((of_a_profile, "documented"), (elsewhere, "raced"), (over_a_client, "documented")):
    assert each.create("opened/in-another-way", b"works").guarantee == guarantee, each
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    tls, _ = server_tls(tmp_path, KEY, CERTIFICATE)
    dialect = S3Dialect(
        Buckets(["amzn-s3-demo-bucket", "archive", "examplebucket"]),
        credentials=Credentials([Credential("AKIApage", "secret"), Credential("AKIAwork", "secret of work")]),
        region="eu-central-1",
        endpoints=[*endpoints_of("eu-central-1"), "s3.example.net"],
    )
    with running(dialect, tls=tls) as server:
        yield server


def run_as_it_stands(program: str, server: Server, folder: Path, *arguments: str) -> str:
    (folder / "config").write_text(
        "[profile work]\nregion = eu-central-1\naws_access_key_id = AKIAwork\naws_secret_access_key = secret of work\n"
    )
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIApage",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_CA_BUNDLE": str(folder / "trusted.pem"),
    }
    return run_program(program, folder, server.port, variables, *arguments)


def test_the_programs_of_the_page_run_one_after_the_other_as_they_stand(server: Server, tmp_path: Path) -> None:
    programs = blocks(PAGE, "python")
    assert len(programs) == 7
    run_as_it_stands("\n".join([BEFORE, *programs, AFTER]), server, tmp_path)
    asked = [(seen.asked.bucket, seen.asked.member) for seen in server.requests]
    assert asked.count(("amzn-s3-demo-bucket", "finish_new")) == 2  # the file, and what passed through
    assert asked.count(("amzn-s3-demo-bucket", "copy_new")) == 1
    assert ("archive", "versioning") in asked
    assert ("amzn-s3-demo-bucket", "begin") in asked


def test_the_first_steps_of_the_readme_run_as_they_stand(server: Server, tmp_path: Path) -> None:
    (steps,) = [each for each in blocks((ROOT / "README.md").read_text(), "py") if 'open_store("s3://' in each]
    run_as_it_stands(f"{BEFORE}\nfrom storage_guard import open_store\n{steps}", server, tmp_path)
    assert "put_new" in [seen.asked.member for seen in server.requests]


def test_the_doctor_runs_as_it_stands(server: Server, tmp_path: Path) -> None:
    (line,) = blocks(PAGE, "sh")
    command = [*shlex.split(line), "--rounds", "2"]
    assert command[:3] == ["python", "-m", "storage_guard.doctor"]
    program = "import runpy\nrunpy.run_module('storage_guard.doctor', run_name='__main__', alter_sys=True)"
    said = run_as_it_stands(BEFORE + program, server, tmp_path, *command[3:])
    assert said.startswith("s3://archive")
    assert "DOES NOT" not in said
    assert "of writers at one moment one wins" in said


# The bucket policies, judged as AWS's pages describe it

ALL_CALLS = ("put", "finish", "copy", "begin", "part", "part copy")
PARTS_OF_UPLOADS = {"begin", "part", "part copy"}
OURS = "arn:aws:iam::111122223333:role/writer"
RESOURCE = "arn:aws:s3:::amzn-s3-demo-bucket/some/folder/"


def requests_of_ours() -> dict[str, Request]:
    """What goes out for each call that needs s3:PutObject."""
    meta, standing = WriteMeta("w", ObjectOptions()), Standing()
    source = ObjectRef(Location("s3", "e", "b"), "source", None, "etag")
    return {
        "put": asking.put("k", meta, standing),
        "finish": asking.finish("k", "u", [], meta, standing=standing, whole=None),
        "copy": asking.copy(source, "k", meta, standing),
        "begin": asking.begin("k", meta, standing, "crc64nvme"),
        "part": asking.part("k", "u", 1, standing),
        "part copy": asking.copy_part("k", "u", PartSlot(1, 0, 1), source, start=0, standing=standing),
    }


def context_of(call: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The keys that a condition can ask for."""
    found = {"s3:ObjectCreationOperation": "false" if call in PARTS_OF_UPLOADS else "true"}
    if "If-None-Match" in headers:
        found["s3:if-none-match"] = headers["If-None-Match"]
    return found


def meets(conditions: Mapping[str, Mapping[str, str]], context: Mapping[str, str]) -> bool:
    """All of them: `Null` asks whether a key is missing, `Bool` for its value."""
    for operator, wanted in conditions.items():
        for key, value in wanted.items():
            met = {"Null": (key not in context) == (value == "true"), "Bool": context.get(key) == value}[operator]
            if not met:
                return False
    return True


def judged(policy: Any, action: str, context: Mapping[str, str], key: str = "k") -> str | None:
    """The effect that a policy has: "Deny" goes before "Allow"."""
    effects: set[str] = set()
    for statement in policy["Statement"]:
        actions = statement["Action"]
        resource = statement["Resource"]
        assert resource.endswith("/*")
        assert statement["Principal"] in ("*", {"AWS": OURS})
        applies = action in ([actions] if isinstance(actions, str) else actions)
        if applies and (RESOURCE + key).startswith(resource[:-1]) and meets(statement.get("Condition", {}), context):
            effects.add(statement["Effect"])
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else None


def policies() -> list[Any]:
    found = [json.loads(each) for each in blocks(PAGE, "json")]
    assert all(each["Version"] == "2012-10-17" for each in found)
    assert len(found) == 4  # the last one is of a role
    return found[:3]


@pytest.mark.parametrize("call", ALL_CALLS)
def test_the_policies_let_pass_what_we_send_and_nothing_without_the_condition(call: str) -> None:
    request = requests_of_ours()[call]
    denying, denying_removal, allowing = policies()
    ours = context_of(call, request.headers)
    plain = context_of(call, {})
    for policy in (denying, denying_removal):
        assert judged(policy, "s3:PutObject", ours) is None
        assert judged(policy, "s3:PutObject", plain) == (None if call in PARTS_OF_UPLOADS else "Deny")
    assert judged(allowing, "s3:PutObject", ours) == "Allow"
    assert judged(allowing, "s3:PutObject", plain) == ("Allow" if call in PARTS_OF_UPLOADS else None)


def test_one_of_the_policies_denies_removal() -> None:
    assert [judged(each, "s3:DeleteObject", {}) for each in policies()] == [None, "Deny", None]


def test_where_nobody_removes_a_rename_ends_after_its_copy() -> None:
    with served(may=lambda asked: asked.member != "remove") as service:
        store = Store(service.on_aws())
        store.create("k", b"data")
        with pytest.raises(AccessDenied):
            store.remove("k")
        with pytest.raises(RenameIncomplete):
            store.rename("k", "new")
        assert store.read("new") == b"data"


@pytest.mark.parametrize(
    "message", ["A header you provided implies functionality that is not implemented", "Not implemented."]
)
def test_a_copy_that_is_answered_501_wrote_nothing_and_may_pass_through_here(message: str) -> None:
    with served() as service:
        store = Store(service.on_aws())
        store.create("k", b"data")
        document = f"<Error><Code>NotImplemented</Code><Message>{message}</Message></Error>"
        service.cues.add(Cue(refused(501, "NotImplemented"), member="copy_new"))
        service.alter("copy_new", body=document.encode())
        with pytest.raises((GuaranteeMissing, errors.NotWritten)):
            store.copy("k", "copy")
        assert store.head("copy") is None
        with store.open("k", "rb") as original:
            assert store.create("copy", original).outcome == "created"


# The policy of a role

MEMBERS = {
    "s3:ListBucket": {"scan"},
    "s3:PutObject": {"put_new", "copy_new", "begin", "put_part", "copy_part", "finish_new"},
    "s3:GetObject": {"head", "read"},
    "s3:AbortMultipartUpload": {"abort"},
    "s3:ListMultipartUploadParts": {"scan_parts"},
}


def test_the_policy_is_enough_to_create_look_resume_and_settle(tmp_path: Path) -> None:
    actions = actions_of(json.loads(blocks(PAGE, "json")[-1]))
    allowed = {member for action in actions for member in MEMBERS[action]}

    def may(asked: Asked) -> bool:
        return asked.member in allowed

    large = tmp_path / "large"
    large.write_bytes(os.urandom(20_000))
    with served(may=may) as service:
        journal = tmp_path / "journal"
        store = Store(service.on_aws(), journal=journal, part_bytes=4096, multipart_from_bytes=8192)
        check_that_it_may_create_look_resume_and_settle(store, service.cues, large)
        assert [key for key in ("small", "large") if key in {each.key for each in store.scan()}] == ["small", "large"]
        assert actions == {action for action in actions if any(service.asked(each) for each in MEMBERS[action])}


def may_write(asked: Asked) -> bool:
    return asked.member in MEMBERS["s3:PutObject"]


@pytest.mark.filterwarnings("ignore:.*enforcement='trust'")
def test_a_role_that_may_only_write_costs_what_the_page_says() -> None:
    with served(may=may_write) as service:
        direct = Store(service.driver(), enforcement="trust", part_bytes=4096, multipart_from_bytes=8192)
        assert direct.create("k", b"ours").outcome == "created"
        with pytest.raises(ObjectExists) as taken:
            direct.create("k", b"others")
        assert taken.value.existing is None
        assert direct.create("k", b"others", if_exists="skip").outcome == "present"
        with pytest.raises(OutcomeUnknown):
            Store(service.on_aws()).create("k", b"others")  # through a proxy
        service.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(OutcomeUnknown) as unknown:
            direct.create("lost", b"ours", deadline_s=0.2)
        service.cues.add(Cue(refused(403, "AccessDenied"), member="put_part", times=None))
        with pytest.raises(AccessDenied) as failed:
            direct.create("large", bytes(20_000))
        assert "upload" in " ".join(failed.value.__notes__)
        with pytest.raises(GuaranteeMissing):
            Store(service.driver()).create("k", b"ours")
    assert unknown.value.ticket


def test_who_may_remove_leaves_the_verdict_for_a_role_that_may_not() -> None:
    everything = [False]

    def may(asked: Asked) -> bool:
        """Its own, the versioning and the verdict, as the page says."""
        verdict = asked.member in ("head", "read") and asked.key.startswith(".storage-guard/")
        return everything[0] or may_write(asked) or asked.member == "versioning" or verdict

    with served(may=may) as service:
        with pytest.raises(GuaranteeMissing):
            Store(service.driver()).create("k", b"ours")
        everything[0] = True
        assert examine(Store(service.driver()), rounds=1, keep=True).holds
        everything[0] = False
        assert Store(service.driver()).create("k", b"ours").guarantee == "raced"


# Integrity, and options


@pytest.mark.parametrize(("checksums", "verifier"), [("known", "store"), ("unknown", "client"), ("invalid", "client")])
def test_the_store_compares_or_we_do(checksums: Any, verifier: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(20_000))
    with served(switches=Switches(checksums=checksums)) as service:
        store = Store(service.driver(), part_bytes=4096, multipart_from_bytes=8192)
        assert store.create("small", b"data").verified_by == verifier
        receipt = store.create("large", large)
        assert (receipt.parts, receipt.verified_by) == (5, verifier)
        assert store.copy("large", "copy").verified_by is None
        encrypted = ObjectOptions(encryption=Encryption("aws:kms"))
        without = store.create("encrypted", b"data", options=encrypted)
        assert without.verified_by == ("store" if checksums == "known" else None)


class Counted(BytesBody):
    """How often it is read."""

    reads = 0

    def windows(self) -> Iterator[memoryview]:
        self.reads += 1
        return super().windows()


@pytest.mark.parametrize(
    ("switches", "signed", "reads"),
    [
        (Switches(), False, 1),
        (Switches(), True, 2),
        (Switches(checksums="unknown"), False, 2),
    ],
)
def test_a_part_is_read_once_where_the_sum_may_follow_it(switches: Switches, signed: bool, reads: int) -> None:
    config = Config(s3={"payload_signing_enabled": signed})
    meta, data = WriteMeta("w", ObjectOptions()), os.urandom(2 * 1024 * 1024)
    with served(switches=switches) as service:
        driver = service.driver(config=config)
        driver.put_new("small", BytesBody(b"data"), WriteMeta("first", ObjectOptions()))
        part = Counted(data)
        driver.put_part("k", driver.begin("k", meta), PartSlot(1, 0, len(data)), part)
        put = Counted(data)
        driver.put_new("large", put, meta)
        assert (part.reads, put.reads) == (reads, 2)


@pytest.mark.parametrize(
    "options",
    [
        ObjectOptions(encryption=Encryption("SM4")),
        ObjectOptions(encryption=Encryption("AES256", customer_key=bytes(32))),
        ObjectOptions(metadata={"name": "v" * 2048}),
        ObjectOptions(request_payer="requester"),
        ObjectOptions(expected_bucket_owner="111122223333"),
    ],
)
def test_what_one_write_cannot_have_is_unsupported(options: ObjectOptions) -> None:
    with served() as service:
        with pytest.raises(Unsupported):
            Store(service.on_aws()).create("k", b"data", options=options)
        assert service.asked("put_new") == 0


def test_an_object_lock_is_kept_and_read_back() -> None:
    retention = Retention("governance", datetime.now(UTC).replace(microsecond=0) + timedelta(days=1), legal_hold=True)
    with served() as service:
        store = Store(service.on_aws())
        store.create("k", b"data", options=ObjectOptions(retention=retention, acl="private"))
        found = store.head("k")
        assert found is not None
        assert found.options is not None
        assert (found.options.retention, found.options.acl) == (retention, None)


@pytest.mark.parametrize("path_style", [None, True, False])
def test_a_bucket_with_a_dot_goes_into_the_path_over_tls(path_style: bool | None) -> None:
    driver, _ = open_url("s3://dotted.bucket", path_style=path_style, **KEYS)
    assert "https://s3.eu-central-1.amazonaws.com/dotted.bucket/" in repr(driver)


def test_an_access_point_is_asked_in_its_own_region() -> None:
    driver, prefix = open_url("s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/name/folder", **KEYS)
    assert "https://name-111122223333.s3-accesspoint.eu-west-1.amazonaws.com/" in repr(driver)
    assert prefix == "folder"


# The stores

ROWS = {row[0]: row for row in table_below(PAGE, "Stores that speak S3")}
LIKE: dict[str, Switches] = {
    "Ceph RGW 16.2.15": Switches(complete="ignored", copy="ignored"),
    "Ceph RGW 20.2.4": Switches(copy="ignored"),
    "Backblaze B2": Switches(put="unsupported", checksums="invalid"),
    "Garage": Switches(put="ignored", complete="ignored", copy="ignored"),
    "OpenStack Swift 2.38.3, s3api": Switches(put="raced", complete="raced", copy="of_source"),
    "Versity Gateway, August 2026, POSIX": Switches(put="raced", complete="raced", copy="ignored"),
    "LocalStack 4.14": Switches(complete="raced", copy="overwritten"),
    "moto 5.2.5": Switches(copy="ignored"),
    "gofakes3, July 2026": Switches(complete="ignored", copy="ignored"),
    "s3rver 3.7.1": Switches(put="ignored", complete="ignored", copy="ignored"),
    "Alibaba OSS, its S3 endpoint": Switches(put="unsupported"),
}
FOLLOWS = {
    "refused": ("missing", None, None),
    "puts only": ("raced", "missing", "missing"),
    "copies in parts": ("raced", "raced", "missing"),
}


@pytest.mark.parametrize("name", LIKE)
def test_a_store_that_does_as_the_table_says_is_met_as_it_says(name: str) -> None:
    told = re.split("[:,]", ROWS[name][-1])[0]
    with served(switches=LIKE[name]) as service:
        store = Store(service.driver())
        if told == "refused":
            with pytest.raises(GuaranteeMissing):
                store.create("k", b"data")
            assert service.asked("put_new") > 0
            assert [each.key for each in store.driver.scan("", "", "") if not each.key.startswith(".storage")] == []
            return
        can = store.check()
        assert (can.put, can.finish, can.copy) == FOLLOWS[told]


def test_a_400_that_names_the_condition_is_met_as_a_501_is() -> None:
    document = (
        b"<Error><Code>NotImplemented</Code><Message>not implemented</Message><Header>If-None-Match</Header></Error>"
    )
    with served() as service:
        service.alter("put_new", times=None, status=400, body=document)
        with pytest.raises(GuaranteeMissing, match="does not know the condition"):
            Store(service.driver()).create("k", b"data")


def test_aws_is_trusted_and_nothing_is_tried_there() -> None:
    assert ROWS["AWS S3"][-1] == "trusted"
    with served() as service:
        assert Store(service.on_aws()).create("k", b"data").guarantee == "documented"
        assert [seen.asked.member for seen in service.server.requests] == ["versioning", "put_new"]


def test_every_other_row_is_examined_or_follows_another() -> None:
    others = {name: row[-1] for name, row in ROWS.items() if name not in LIKE and name != "AWS S3"}
    assert {told for told in others.values() if not told.startswith("examined")} == {"refused"}
    assert [name for name, told in others.items() if told == "refused"] == ["Ceph, bucket with versions"]


# The tables


@pytest.mark.parametrize(("told", "error"), codes_of(PAGE))
def test_a_code_ends_as_the_table_says(told: str, error: str) -> None:
    with served() as service:
        check_how_a_code_ends(Store(service.on_aws()), service.cues, told, error)


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_a_conflict_is_never_a_refusal_and_a_complete_starts_anew(code: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(20_000))
    with served() as service:
        store = Store(service.on_aws(), part_bytes=4096, multipart_from_bytes=8192)
        service.cues.add(Cue(refused(409, code), member="put_new"))
        assert store.create("small", b"data").outcome == "created"
        service.cues.add(Cue(refused(409, code), member="finish_new"))
        assert store.create("large", large).outcome == "created"
        assert (service.asked("begin"), service.asked("abort"), service.asked("put_part")) == (2, 1, 10)


def test_an_error_inside_a_200_is_the_error() -> None:
    with served() as service:
        store = Store(service.on_aws(), part_bytes=4096, multipart_from_bytes=8192)
        service.cues.add(Cue(refused_after_acting(200, "InternalError"), member="finish_new"))
        assert store.create("large", bytes(20_000)).resolved
        service.cues.add(Cue(refused(200, "AccessDenied"), member="finish_new"))
        with pytest.raises(AccessDenied):
            store.create("other", bytes(20_000))


def create_at(url: str, **options: Any) -> None:
    Store(open_url(url, **{**KEYS, **options})[0]).create("key", b"data", deadline_s=0.2)


def refused_as(code: str, status: int = 403, **answer: str) -> Callable[[], None]:
    def act() -> None:
        with served() as service:
            body = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, **answer}.items())
            service.alter("put_new", status=status, body=f"<Error>{body}</Error>".encode())
            Store(service.on_aws()).create("key", b"data")

    return act


def at(bucket: str = BUCKET, *, scheme: str = "http", **options: Any) -> Callable[[], None]:
    def act() -> None:
        with served() as service:
            create_at(f"s3://{bucket}", endpoint_url=service.server.url.replace("http", scheme), **options)

    return act


def where(switches: Switches, size_bytes: int = 1, **options: Any) -> Callable[[], None]:
    def act() -> None:
        with served(switches=switches) as service:
            limits = replace(SMALL, **options)
            store = Store(service.driver(limits=limits), part_bytes=2048, multipart_from_bytes=4096)
            store.create("key", bytes(size_bytes))

    return act


def without_removal() -> None:
    with served(may=lambda asked: asked.member != "remove") as service:
        Store(service.driver()).create("key", b"data")


def over_a_client(**options: Any) -> Callable[[], None]:
    return lambda: Store(S3Driver(SESSION.client("s3", **options), BUCKET)).close()


def with_a_mocked_client() -> None:
    moto: Any = pytest.importorskip("moto")
    with moto.mock_aws():
        fresh: Any = boto3.session.Session(KEY_ID, SECRET, region_name=REGION)
        S3Driver(fresh.client("s3"), BUCKET)


def pickled() -> None:
    S3Driver(SESSION.client("s3"), BUCKET).__reduce__()


AN_HOUR_AWAY = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
TROUBLE: dict[str, Callable[[], None]] = {
    "the bucket is in the region eu-west-1: give region='eu-west-1'": where(Switches(elsewhere={BUCKET: "eu-west-1"})),
    "there is no such bucket at this endpoint": at("nowhere"),
    "boto3 found none in the environment, a profile or this machine's role": at(
        access_key_id=None, secret_access_key=None
    ),
    "The config profile (work) could not be found": lambda: create_at(
        "s3://b", profile="work", access_key_id=None, secret_access_key=None
    ),
    "is the secret that of this key": at(secret_access_key="another"),
    "the session token has expired": refused_as("ExpiredToken", 400),
    "the clock of this machine is": refused_as("RequestTimeTooSkewed", ServerTime=AN_HOUR_AWAY),
    "endpoint_url begins with https:// or http://": lambda: create_at("s3://b", endpoint_url="s3.example.net"),
    "no TLS with this host": at(scheme="https"),
    "the condition is ignored": where(Switches(put="ignored")),
    "writers at one moment were told that they created the object": where(Switches(put="raced")),
    "this store does not know the condition If-None-Match: *": where(Switches(put="unsupported")),
    "is not known to keep the create-only promise for uploads in parts": where(
        Switches(complete="ignored"), 10_000, max_put_bytes=5000
    ),
    "what was written could not be removed": without_removal,
    "a multi-region access point writes into the nearest of several buckets": lambda: create_at(
        "s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
    ),
    "S3 on Outposts knows no conditional writes": lambda: create_at(
        "s3://arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/myap",
        region="us-west-2",
    ),
    "directory buckets (S3 Express One Zone) are not supported": lambda: create_at("s3://bucket--euc1-az1--x-s3"),
    "Path-style addressing cannot be used with S3 Accelerate": lambda: create_at("s3://a.bucket", accelerate=True),
    "the client has verify=False": over_a_client(verify=False),
    "use moto's server in place of mock_aws": with_a_mocked_client,
    "conditional writes want s3v4": over_a_client(config=Config(signature_version="s3")),
    "a driver over your own boto3 client cannot be pickled": pickled,
}


@pytest.mark.parametrize("said", [row[0].strip("`") for row in table_below(PAGE, "Troubleshooting")])
def test_trouble_is_told_as_the_page_says(said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises((StorageGuardError, ValueError, TypeError), match=re.escape(said)):
        TROUBLE[said]()


def test_every_trouble_that_is_tried_stands_in_the_table() -> None:
    assert set(TROUBLE) == {row[0].strip("`") for row in table_below(PAGE, "Troubleshooting")}


KNOWN_PAGES = (
    *("https://docs.aws.amazon.com/", "https://www.amazonaws.cn/en/new/", "https://pypi.org/project/"),
    *("https://github.com/", "https://developers.cloudflare.com/r2/", "https://cloud.google.com/storage/docs/"),
    *("https://docs.cloud.google.com/storage/docs/", "https://www.tigrisdata.com/docs/", "https://docs.coreweave.com/"),
    *("https://www.scaleway.com/en/docs/", "https://docs.selectel.ru/"),
)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE.replace("\n", " ")))))
def test_a_link_leads_to_a_file_or_to_a_page_of_whose_store_it_is(target: str) -> None:
    assert target.startswith(KNOWN_PAGES) or (ROOT / "docs/backends" / target).exists()


# What boto3 alone leaves open


def test_a_lost_answer_looks_like_a_conflict_to_boto3() -> None:
    with served() as service:
        service.cues.add(Cue(cut_after_acting(), member="put_new"))
        with pytest.raises(ClientError) as refusal:
            service.client().put_object(Bucket=BUCKET, Key="key", Body=b"ours", IfNoneMatch="*")
        told: Any = refusal.value.response
        assert told["Error"]["Code"] == "PreconditionFailed"
        assert told["ResponseMetadata"]["RetryAttempts"] == 1


def test_boto3_does_not_retry_a_conflict() -> None:
    with served() as service:
        service.cues.add(Cue(refused(409, "ConditionalRequestConflict"), member="put_new"))
        with pytest.raises(ClientError, match="ConditionalRequestConflict"):
            service.client().put_object(Bucket=BUCKET, Key="key", Body=b"ours", IfNoneMatch="*")
        assert service.asked("put_new") == 1


def test_an_error_inside_a_200_comes_back_from_boto3_as_500() -> None:
    with served() as service:
        client = service.client(Config(retries={"total_max_attempts": 1}))
        upload_id = client.create_multipart_upload(Bucket=BUCKET, Key="key")["UploadId"]
        part = client.upload_part(Bucket=BUCKET, Key="key", UploadId=upload_id, PartNumber=1, Body=b"ours")
        service.cues.add(Cue(refused(200, "PreconditionFailed"), member="finish_new"))
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        with pytest.raises(ClientError) as refusal:
            client.complete_multipart_upload(
                Bucket=BUCKET, Key="key", UploadId=upload_id, MultipartUpload=parts, IfNoneMatch="*"
            )
        told: Any = refusal.value.response
        assert told["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_upload_file_takes_no_condition(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with served() as service, pytest.raises(ValueError, match="IfNoneMatch"):
        service.client().upload_file(str(tmp_path / "file"), BUCKET, "key", ExtraArgs={"IfNoneMatch": "*"})
