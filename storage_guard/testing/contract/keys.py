"""Every key that `storage_guard.names` lets through is a key, and no two of them are the same one."""

from __future__ import annotations

import unicodedata

import pytest

from storage_guard.driver import Absent, Driver, Refused
from storage_guard.names import MAX_KEY_BYTES, check_key
from storage_guard.testing.contract.base import (
    Laws,
    Unchanged,
    begun,
    check_free,
    check_written,
    fresh,
    keys_of,
    pieces_of,
    put,
)

AWKWARD = {
    "spaces": (" leading", "trailing ", "in  side", " "),
    "escapes": ("a b", "a+b", "a%20b", "a%2Bb", "a%2520b", "100%"),
    "marks": ("~tilde", "$dollar", "it's", '"quoted"', "star*", "q?a=b&c=d", "#hash", "back\\slash", "semi;colon"),
    "brackets": ("(a)", "[a]", "{a}", "<a>", "|", "^", "`", "@a", "a:b", "a,b", "!", "="),
    "dots": ("...", ".hidden", "a..", "..a", "a./b.", "-rf", "--help"),
    "unicode": (
        "\u00e4\u00f6\u00fc",
        "\u65e5\u672c\u8a9e/\u30c6\u30b9\u30c8",
        "\U0001f600",
        "\u200b",
        "\u202eabc",
        "\ufeffbom",
    ),
    "names": ("nul", "CON", "aux.txt", "index.html", "null", "None", "0"),
}


def _long_key(size_bytes: int) -> str:
    """A key of that many bytes in segments of at most 200."""
    segments = [("k" * 200), *["k" * 199] * (size_bytes // 200)]
    return "/".join(segments)[:size_bytes].rstrip("/").ljust(size_bytes, "k")


def _check_all(driver: Driver, rival: Driver, keys: tuple[str, ...]) -> None:
    metas = {key: fresh() for key in keys}
    for key, meta in metas.items():
        check_key(key)
        put(driver, key, key.encode(), meta)
    for key, meta in metas.items():
        check_written(rival, key, key.encode(), meta)
    assert keys_of(rival) == sorted(keys, key=str.encode)
    for key in keys:
        rival.remove(key, None)
    assert keys_of(driver) == []


class KeyLaws(Laws):
    @pytest.mark.parametrize("keys", AWKWARD.values(), ids=AWKWARD)
    def test_an_awkward_key_is_a_key(self, driver: Driver, rival: Driver, keys: tuple[str, ...]) -> None:
        _check_all(driver, rival, keys)

    @pytest.mark.parametrize("keys", AWKWARD.values(), ids=AWKWARD)
    def test_an_awkward_key_is_a_key_of_an_upload(self, driver: Driver, rival: Driver, keys: tuple[str, ...]) -> None:
        pieces, meta = pieces_of(driver.limits, 1), fresh()
        for key in keys:
            upload_id, parts = begun(driver, key, pieces, meta)
            assert [upload.key for upload in driver.scan_uploads("")] == [key]
            driver.finish_new(key, upload_id, parts, meta)
            check_written(rival, key, pieces[0], meta)

    def test_a_long_segment_is_a_segment(self, driver: Driver, rival: Driver) -> None:
        _check_all(driver, rival, ("s" * 200, "folder/" + "s" * 200, "\u00e9" * 100))

    def test_the_longest_key_is_a_key(self, driver: Driver, rival: Driver) -> None:
        longest = min(MAX_KEY_BYTES, driver.limits.max_key_bytes)
        _check_all(driver, rival, (_long_key(longest), _long_key(longest - 1)))

    def test_a_key_over_the_limit_is_refused(self, driver: Driver) -> None:
        key = _long_key(driver.limits.max_key_bytes + 1)
        with pytest.raises(Refused) as refused:
            put(driver, key)
        assert refused.value.why == "key"
        assert keys_of(driver) == []

    def test_keys_differ_by_case(self, driver: Driver, rival: Driver) -> None:
        _check_all(driver, rival, ("Key", "key", "KEY", "Folder/key", "folder/key"))

    def test_keys_differ_by_their_code_points(self, driver: Driver, rival: Driver) -> None:
        composed = unicodedata.normalize("NFC", "caf\u00e9")
        _check_all(driver, rival, (composed, unicodedata.normalize("NFD", composed)))

    def test_a_key_may_be_the_beginning_of_another(self, driver: Driver, rival: Driver) -> None:
        _check_all(driver, rival, ("a", "a/b", "a/b/c"))

    def test_a_folder_is_not_an_object(self, driver: Driver) -> None:
        put(driver, "a/b/c")
        before = Unchanged(driver, "a/b/c")
        check_free(driver, "a/b")
        check_free(driver, "a")
        before.check()

    def test_an_object_is_not_a_folder(self, driver: Driver) -> None:
        put(driver, "a/b")
        before = Unchanged(driver, "a/b")
        check_free(driver, "a/b/c")
        check_free(driver, "a/b/c/d/e")
        before.check()

    def test_nothing_is_found_below_an_object(self, driver: Driver) -> None:
        put(driver, "a/b")
        for key in ("a/b/c", "a/b/c/d"):
            assert driver.head(key) is None
            with pytest.raises(Absent):
                driver.read(key, 0, 1, None)
            with pytest.raises(Absent):
                driver.remove(key, None)
        assert keys_of(driver, "a/b/") == []

    def test_a_folder_goes_with_the_last_key_in_it(self, driver: Driver, rival: Driver) -> None:
        put(driver, "a/b/c")
        driver.remove("a/b/c", None)
        check_free(rival, "a")
        put(driver, "b/c", b"")
        upload_id = driver.begin("b/d/e", fresh())
        driver.abort("b/d/e", upload_id)
        driver.remove("b/c", None)
        check_free(rival, "b")
