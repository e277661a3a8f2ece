"""OSS over buckets: listings against a model, and the removal of many."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_guard.testing.server.buckets import Buckets
from storage_guard.testing.server.oss import OSSDialect
from unit.oss_calls import Client, Clock, Told

KEYS = st.text(
    alphabet=["a", "b", "/", "é", "\U0001f600", "\x01", "&", "<", "%", "+", " ", "\r", "~"], min_size=1, max_size=6
)
GOOD_KEYS = KEYS.filter(lambda key: key[0] not in "/\\")
DELIMITERS = st.sampled_from(["", "/", "a", "/a"])
PREFIXES = st.sampled_from(["", "a", "a/", "é", "&", "+"])


def bucket_of(keys: list[str]) -> Client:
    state = Buckets(["bkt"], now=Clock())
    oss = Client(OSSDialect(state))
    for key in keys:
        assert oss.put(key, key.encode()).status == 200
    return oss


def model(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """What a listing shows altogether: keys, and common prefixes in their place."""
    shown: dict[str, None] = {}
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            rest = key[len(prefix) :]
            end = rest.find(delimiter) if delimiter else -1
            shown[key if end < 0 else prefix + rest[: end + len(delimiter)]] = None
    return list(shown)


def names(told: Told) -> list[str]:
    shown = [unquote(name) for path in ("Contents/Key", "CommonPrefixes/Prefix") for name in told.all(path)]
    return sorted(shown, key=str.encode)


@settings(deadline=None, max_examples=60)
@given(st.lists(GOOD_KEYS, max_size=12, unique=True), PREFIXES, DELIMITERS, st.integers(1, 4))
def test_pages_make_the_whole_listing(keys: list[str], prefix: str, delimiter: str, page: int) -> None:
    oss = bucket_of(keys)
    wanted = model(keys, prefix, delimiter)
    common: dict[str, str | int] = {"prefix": prefix, "delimiter": delimiter, "encoding-type": "url", "max-keys": page}
    for version, next_name, parameter in (
        (2, "NextContinuationToken", "continuation-token"),
        (1, "NextMarker", "marker"),
    ):
        seen: list[str] = []
        params: dict[str, str | int] = {**common, "list-type": version}
        for _ in range(len(wanted) // page + 1):
            told = oss.list(params)
            seen += names(told)
            assert len(names(told)) <= page
            if told.field("IsTruncated") == "false":
                break
            params[parameter] = unquote(told.field(next_name))
        assert seen == wanted


@settings(deadline=None, max_examples=60)
@given(st.lists(GOOD_KEYS, max_size=12, unique=True), PREFIXES, DELIMITERS, KEYS)
def test_start_after_leaves_out_keys(keys: list[str], prefix: str, delimiter: str, after: str) -> None:
    told = bucket_of(keys)(
        "GET", list_type=2, prefix=prefix, delimiter=delimiter, start_after=after, encoding_type="url"
    )
    assert names(told) == model([key for key in keys if key > after], prefix, delimiter)
    assert unquote(told.field("StartAfter")) == after


@settings(deadline=None, max_examples=60)
@given(st.lists(GOOD_KEYS, max_size=10), PREFIXES, DELIMITERS, st.integers(1, 3))
def test_uploads_are_listed_in_pages(keys: list[str], prefix: str, delimiter: str, page: int) -> None:
    oss = bucket_of([])
    uploads = sorted((key, oss.begin(key)) for key in keys)
    folded = model(keys, prefix, delimiter)
    wanted = [pair for pair in uploads if pair[0] in folded and pair[0].startswith(prefix)]
    wanted = [pair for pair in wanted if not (delimiter and delimiter in pair[0][len(prefix) :])]
    common = [name for name in folded if delimiter and delimiter in name[len(prefix) :]]
    seen: list[tuple[str, str]] = []
    prefixes: list[str] = []
    params: dict[str, str | int] = {"uploads": "", "prefix": prefix, "delimiter": delimiter, "max-uploads": page}
    params["encoding-type"] = "url"
    for _ in range(len(keys) + 1):
        told = oss.list(params)
        seen += zip(map(unquote, told.all("Upload/Key")), told.all("Upload/UploadId"), strict=True)
        prefixes += map(unquote, told.all("CommonPrefixes/Prefix"))
        if told.field("IsTruncated") == "false":
            break
        params["key-marker"] = unquote(told.field("NextKeyMarker"))
        params["upload-id-marker"] = told.field("NextUploadIdMarker")
    assert (seen, prefixes) == (wanted, common)


def test_what_a_listing_tells_of_an_object() -> None:
    told = bucket_of(["a&b"])("GET", list_type=2, fetch_owner="true")
    etag = hashlib.md5(b"a&b").hexdigest().upper()
    wanted = {
        "Key": "a&b",
        "LastModified": "2026-11-22T12:00:00.000Z",
        "ETag": f'"{etag}"',
        "Type": "Normal",
        "Size": "3",
        "StorageClass": "Standard",
    }
    assert {name: told.field(f"Contents/{name}") for name in wanted} == wanted
    assert told.field("Contents/Owner/ID")
    assert (told.field("KeyCount"), told.field("MaxKeys"), told.field("Name")) == ("1", "100", "bkt")
    assert not bucket_of(["a"])("GET", list_type=2).all("Contents/Owner")


def test_a_listing_without_a_bound_has_a_hundred_and_at_most_a_thousand() -> None:
    oss = bucket_of([f"{number:04}" for number in range(1001)])
    assert len(oss("GET", list_type=2).all("Contents")) == len(oss("GET").all("Contents")) == 100
    told = oss("GET", list_type=2, max_keys=1000)
    assert (len(told.all("Contents")), told.field("IsTruncated")) == (1000, "true")
    for bad in ("0", "1001", "-1", "x"):
        assert oss("GET", list_type=2, max_keys=bad).code == oss("GET", max_keys=bad).code == "InvalidArgument"
        assert oss("GET", uploads="", max_uploads=bad).code == "InvalidArgument"
    assert oss("GET", list_type=2, continuation_token="é").code == "InvalidArgument"
    assert oss("GET", list_type=2, encoding_type="base64").code == "InvalidArgument"


def remove_many(oss: Client, inner: str, **params: str) -> Told:
    body = f"<Delete>{inner}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return oss("POST", "", {"content-md5": digest}, body, delete="", **params)


def named(*keys: str) -> str:
    return "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)


def test_many_are_removed_at_once() -> None:
    oss = bucket_of(["a b", " c", "d&"])
    told = remove_many(oss, named("a b", " c", "none"), encoding_type="url")
    assert told.all("Deleted/Key") == [quote(key, safe="") for key in ("a b", " c", "none")]
    assert oss("GET", list_type=2).all("Contents/Key") == ["d&"]
    quiet = remove_many(oss, named("d&") + "<Quiet>true</Quiet>")
    assert (quiet.status, quiet.body) == (200, b"")
    assert oss("GET", list_type=2).all("Contents/Key") == []


@pytest.mark.parametrize(
    "inner",
    [
        "",
        named(""),
        named(*("x" for _ in range(1001))),
        named("x") + "<Quiet>maybe</Quiet>",
        "<Object><Key>x</Key><VersionId/></Object>",
        "<Object>",
    ],
)
def test_a_list_of_what_to_remove_that_is_none(inner: str) -> None:
    oss = bucket_of(["x"])
    assert remove_many(oss, inner).code == "MalformedXML"
    assert oss("POST", "", {}, b"<Delete/>", delete="").code == "InvalidArgument"
    assert oss("HEAD", "x").status == 200


def test_with_versioning_many_removals_leave_markers() -> None:
    state = Buckets()
    state.add_bucket("bkt", versioning="enabled")
    oss = Client(OSSDialect(state))
    version_id = oss.put("x", b"1").headers["x-oss-version-id"]
    told = remove_many(oss, named("x"))
    assert (told.field("Deleted/DeleteMarker"), oss("HEAD", "x").status) == ("true", 404)
    marker = told.field("Deleted/DeleteMarkerVersionId")
    pair = "".join(f"<Object><Key>x</Key><VersionId>{gone}</VersionId></Object>" for gone in (marker, version_id))
    told = remove_many(oss, pair)
    assert told.all("Deleted/VersionId") == [marker, version_id]
    assert told.all("Deleted/DeleteMarker") == ["true"]
    assert list(state["bkt"].histories) == []
