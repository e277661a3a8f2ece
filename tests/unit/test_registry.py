"""`open_store`: what a URL means, and that every mistake in it is told at once."""

from __future__ import annotations

import os
import pickle
import sys
from importlib import metadata
from pathlib import Path

import pytest

from storage_guard import ObjectOptions, RetryPolicy, Store, open_store, schemes
from storage_guard.memory import MemoryDriver
from storage_guard.testing import FakeClock
from storage_guard_local import LocalDriver


def root_of(store: Store) -> str:
    assert isinstance(store.driver, LocalDriver)
    return store.driver.location.container


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("/data/archive", "/data/archive"),
        ("/data/archive/", "/data/archive"),
        ("/data/a b", "/data/a b"),
        ("/data/50%25", "/data/50%25"),  # a path is not percent-decoded
        ("file:///data/archive", "/data/archive"),
        ("file:///data/a%20b", "/data/a b"),
        ("file:///data/50%25", "/data/50%"),
        ("file://localhost/data", "/data"),
        ("file:///data/%C3%A9", "/data/é"),
    ],
)
def test_a_url_or_a_path_names_a_folder(url: str, root: str) -> None:
    assert root_of(open_store(url)) == root


def test_a_relative_path_is_of_the_folder_we_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("archive")
    monkeypatch.chdir("/")
    assert root_of(store) == str(tmp_path / "archive")


def test_opening_touches_nothing(tmp_path: Path) -> None:
    open_store(str(tmp_path / "archive")).close()
    assert os.listdir(tmp_path) == []


def test_one_name_is_one_memory_store() -> None:
    one, other = open_store("memory://registry-one"), open_store("memory://registry-one")
    one.create("key", b"data")
    assert other.read("key") == b"data"
    assert open_store("memory://registry-two").head("key") is None


def test_a_memory_url_may_have_a_prefix() -> None:
    open_store("memory://registry-prefix/some/folder").create("key", b"data")
    assert open_store("memory://registry-prefix").read("some/folder/key") == b"data"
    assert open_store("memory://registry-prefix/some/folder").url == "memory://registry-prefix/some/folder"


@pytest.mark.parametrize("url", ["/data/a b", "file:///data/a%20b", "memory://name", "memory://name/some/folder"])
def test_the_url_of_a_store_opens_it_again(url: str) -> None:
    store = open_store(url)
    assert open_store(store.url).url == store.url


def test_store_options_go_to_the_store_and_the_others_to_the_driver(tmp_path: Path) -> None:
    clock = FakeClock()
    store = open_store(
        str(tmp_path),
        part_bytes=1000,
        multipart_from_bytes=2000,
        retry=RetryPolicy(base_s=1.0),
        enforcement="trust",
        defaults=ObjectOptions(content_type="text/plain"),
        clock=clock,
        durable=False,
    )
    assert repr(store.driver) == f"LocalDriver({str(tmp_path)!r}, durable=False)"
    receipt = store.create("key", b"x" * 2500)
    assert receipt.parts == 3
    assert receipt.elapsed_s == 0.0  # by the clock that was given
    found = store.head("key")
    assert found is not None
    assert found.options.content_type == "text/plain"


@pytest.mark.parametrize("url", ["/data", "file:///data", "memory://name"])
@pytest.mark.parametrize("option", ["colour", "driver", "prefix"])
def test_an_option_that_nobody_knows_is_refused(url: str, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        open_store(url, **{option: "green"})


def test_an_unknown_option_is_told_with_those_that_are_known() -> None:
    with pytest.raises(TypeError, match=r"oss:// has no option 'endpoint_url': it has endpoint, .*and those of Store"):
        open_store("oss://bucket", endpoint_url="http://127.0.0.1:1")


def test_a_folder_may_be_a_path_object(tmp_path: Path) -> None:
    open_store(tmp_path / "archive").create("key", b"x")
    assert open_store(str(tmp_path / "archive")).read("key") == b"x"


@pytest.mark.parametrize("url", ["s3:/bucket", "oss:bucket/prefix", "memory:/name"])
def test_a_url_that_lost_a_slash_is_no_folder(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"write ./{url} for a folder"):
        open_store(url)
    open_store(f"./{url}").create("key", b"x")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gopher://host/path",
        "oss+http://bucket",
        "S3://bucket",
        "://bucket",
        "file://elsewhere/data",
        "file:///data?durable=no",
        "file:///data#part",
        "file://data",
        "memory://",
        "memory:///prefix",
        "memory://name?x=1",
        "memory://name/a//b",
        "memory://name/../b",
    ],
)
def test_a_url_that_means_nothing_is_a_value_error_of_one_line(url: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        open_store(url)


def test_an_unknown_scheme_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"^no backend for gopher://; installed are .*file.*memory"):
        open_store("gopher://host/path")


def test_options_that_are_given_as_a_dict_are_told_how_they_are_given() -> None:
    for name in ("options", "storage_options"):
        with pytest.raises(TypeError, match=rf"options are keywords, as in open_store\(url, \*\*{name}\)$"):
            open_store("memory://name", **{name: {"region": "x"}})
    with pytest.raises(TypeError, match=r"no option 'region': it has limits, and those of Store$"):
        open_store("memory://name", region="x")


def install(point: metadata.EntryPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this entry point be the only one that is installed."""

    def entry_points(*, group: str) -> metadata.EntryPoints:
        assert group == schemes.GROUP
        return metadata.EntryPoints([point])

    monkeypatch.setattr(metadata, "entry_points", entry_points)


def test_a_missing_sdk_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(metadata.EntryPoint("oss", "a_module_that_is_not_there:open_url", schemes.GROUP), monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'storage-guard\[oss\]'") as caught:
        open_store("oss://bucket")
    assert caught.value.name == "a_module_that_is_not_there"


def test_a_third_party_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a_third_party", sys.modules[__name__])
    install(metadata.EntryPoint("mine", "a_third_party:open_mine", schemes.GROUP), monkeypatch)
    store = open_store("mine://somewhere/deep", colour="green", part_bytes=1)
    assert isinstance(store.driver, MemoryDriver)
    assert store.url == "memory://registry-green/deep"


def open_mine(url: str, /, *, colour: str) -> tuple[MemoryDriver, str]:
    return MemoryDriver(f"registry-{colour}"), url.rpartition("/")[2]


def test_a_store_of_a_folder_pickles_with_its_options(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), multipart_from_bytes=10, part_bytes=5, durable=False)
    store.check()
    store.create("before", b"data")
    other = pickle.loads(pickle.dumps(store))
    assert isinstance(other, Store)
    assert (other.url, repr(other.driver)) == (store.url, repr(store.driver))
    assert other.create("after", b"x" * 10).parts == 2
    assert other.read("before") == b"data"
    assert store.read("after") == b"x" * 10


def test_a_named_memory_store_pickles_within_its_process() -> None:
    store = open_store("memory://registry-pickled/folder")
    other = pickle.loads(pickle.dumps(store))
    other.create("key", b"data")
    assert store.read("key") == b"data"
