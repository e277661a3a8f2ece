"""HMAC-SHA256, prepared: equal to the standard library's."""

from __future__ import annotations

import hmac
import os

import pytest

from storage_guard.wire.signing.macs import Mac, derived


@pytest.mark.parametrize("key_bytes", [0, 1, 32, 63, 64])
@pytest.mark.parametrize("text_bytes", [0, 1, 55, 64, 200, 5000])
def test_a_prepared_key_makes_the_same_digest_each_time(key_bytes: int, text_bytes: int) -> None:
    key, text = os.urandom(key_bytes), os.urandom(text_bytes)
    mac = Mac(key)
    expected = hmac.digest(key, text, "sha256").hex()
    assert [mac.hexdigest(text), mac.hexdigest(text)] == [expected, expected]


def test_a_key_that_would_have_to_be_hashed_first_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Mac(bytes(65))


def test_a_derived_key_is_that_of_all_its_parts() -> None:
    key = hmac.digest(hmac.digest(b"secret", b"day", "sha256"), b"region", "sha256")
    assert derived(b"secret", "day", "region").hexdigest(b"text") == hmac.digest(key, b"text", "sha256").hex()


def test_a_prepared_key_does_not_show_itself() -> None:
    assert "secret" not in repr(Mac(b"secret"))
