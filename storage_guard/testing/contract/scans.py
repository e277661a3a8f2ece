"""A listing is complete, in the order of UTF-8 bytes, and cut where it is asked to be."""

from __future__ import annotations

from collections.abc import Iterable

from storage_guard.driver import Driver, ObjectInfo, Prefix
from storage_guard.testing.contract.base import Laws, keys_of, put

# "-", "." and "0" surround "/" in the order of bytes, so that a walk through folders does not come out right by luck.
NESTED = ("a-b", "a.b/c", "a/b", "a/b-c", "a/b.c", "a/c/d", "a0", "b/c/d/e", "b/c/d0", "bb", "c")
# In UTF-16 order U+1F600 would come before U+FF61; in a locale's order "e" with an accent would come before "f".
UNICODE = ("Z", "a", "f", "\u00e9", "\u20ac", "\uff61", "\U0001f600", "\U0001f600/x")


def in_byte_order(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


class ScanLaws(Laws):
    def test_an_empty_store_lists_nothing(self, driver: Driver) -> None:
        for delimiter in ("", "/"):
            assert list(driver.scan("", delimiter, "")) == []
            assert list(driver.scan("a/", delimiter, "b")) == []

    def test_a_scan_is_in_the_order_of_bytes(self, driver: Driver, rival: Driver) -> None:
        for key in reversed(NESTED):
            put(driver, key)
        assert keys_of(rival) == in_byte_order(NESTED)

    def test_a_scan_is_in_the_order_of_utf_8(self, driver: Driver) -> None:
        keys = {f"u{each}" for each in UNICODE if "/" not in each}
        for key in keys:
            put(driver, key)
        assert keys_of(driver) == in_byte_order(keys)

    def test_a_scan_describes_what_head_describes(self, driver: Driver) -> None:
        for number, key in enumerate(NESTED):
            put(driver, key, b"x" * number)
        for entry in driver.scan("", "", ""):
            assert isinstance(entry, ObjectInfo)
            found = driver.head(entry.key)
            assert found is not None
            assert (entry.size_bytes, entry.etag) == (found.size_bytes, found.etag)
            assert abs(entry.modified - found.modified).total_seconds() < 2
            assert entry.write_id in (None, found.write_id)

    def test_a_prefix_is_the_beginning_of_a_key(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        for prefix in ("a", "a/", "a/b", "a/b-", "a.", "b", "b/c/d", "bb", "c", "d", "a/b/", "b/c/d/e"):
            expected = in_byte_order({key for key in NESTED if key.startswith(prefix)})
            assert keys_of(driver, prefix) == expected, f"prefix {prefix!r}"

    def test_a_scan_starts_after_a_key(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        for after in (*NESTED, "a", "a/", "a/b/", "a/bb", "b/c", "zzz"):
            expected = [key for key in in_byte_order(NESTED) if key.encode() > after.encode()]
            assert keys_of(driver, "", "", after) == expected, f"after {after!r}"
            expected = [key for key in expected if key.startswith("a/")]
            assert keys_of(driver, "a/", "", after) == expected, f"in a/, after {after!r}"

    def test_a_delimiter_rolls_up_what_lies_behind_it(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        for prefix in ("", "a", "a/", "a/b", "b/", "b/c/", "b/c/d", "c", "d"):
            assert list(_shape(driver, prefix, "/")) == _rolled_up(prefix, "/"), f"prefix {prefix!r}"

    def test_a_delimiter_may_be_any_character(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        for prefix in ("", "a", "a/b"):
            assert list(_shape(driver, prefix, "-")) == _rolled_up(prefix, "-"), f"prefix {prefix!r}"

    def test_a_roll_up_can_be_gone_on_from(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        entries = _rolled_up("", "/")
        for number, (kind, key) in enumerate(entries):
            if kind == "object":
                assert list(_shape(driver, "", "/", key)) == entries[number + 1 :], f"after {key!r}"

    def test_a_long_listing_is_complete(self, driver: Driver) -> None:
        keys = [f"long/{number:06}" for number in range(self.listed_keys)]
        for key in keys:
            put(driver, key, b"")
        assert keys_of(driver, "long/") == keys
        assert keys_of(driver, "", "/") == ["long/"]
        assert keys_of(driver, "long/", "", keys[-3]) == keys[-2:]

    def test_what_is_removed_is_not_listed(self, driver: Driver) -> None:
        for key in NESTED:
            put(driver, key)
        for key in ("a/b", "b/c/d/e", "b/c/d0"):
            driver.remove(key, None)
        assert keys_of(driver) == in_byte_order(set(NESTED) - {"a/b", "b/c/d/e", "b/c/d0"})
        assert Prefix("b/") not in list(driver.scan("", "/", ""))


def _shape(driver: Driver, prefix: str, delimiter: str, start_after: str = "") -> list[tuple[str, str]]:
    entries = driver.scan(prefix, delimiter, start_after)
    return [("prefix" if isinstance(entry, Prefix) else "object", entry.key) for entry in entries]


def _rolled_up(prefix: str, delimiter: str) -> list[tuple[str, str]]:
    entries: set[tuple[str, str]] = set()
    for key in NESTED:
        if key.startswith(prefix):
            inner, found, _ = key[len(prefix) :].partition(delimiter)
            entries.add(("prefix", prefix + inner + delimiter) if found else ("object", key))
    return sorted(entries, key=lambda entry: entry[1].encode())
