"""What both comparisons of signatures have in common: odd texts, and how a difference is told."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import zip_longest

import pytest

from storage_guard.wire.signing import Credentials, daykeys
from storage_guard.wire.signing.daykeys import DayKey, DayKeys
from storage_guard.wire.signing.macs import Mac, derived

ODD = (
    *("+", "%", "~", "*", "(", ")", "'", "!", "//", "/../", "/./", "/", "..", " ", "  ", "&", "=", "?", "#", "%2F"),
    *("%%", "\\", '"', "<", ":", "@", ";", ",", "$", "|", "^", "`", "{", "[", "-", "_", ".", "\t", "\x7f", "\xa0"),
    *("é", "ß", "e\u0301", "Ω", "日本", "\u2028", "\U0001f600"),
)
START = datetime(2026, 12, 30, 23, 58, tzinfo=UTC)


class Mismatch(AssertionError):
    pass


def text_of(rng: random.Random, letters: str, length: int) -> str:
    return "".join(rng.choices(letters, k=length))


def odd_text(rng: random.Random, most: int) -> str:
    return "".join(rng.choice(ODD if rng.random() < 0.5 else string.ascii_letters + string.digits) for _ in range(most))


class Beside:
    """Notes what each of two signs: we, and a library whose name is `theirs_is`. `now` is both's time."""

    def __init__(self, theirs_is: str) -> None:
        self.theirs_is = theirs_is
        self.ours = self.theirs = b""
        self.now = START

    def record(self, patch: pytest.MonkeyPatch, owner: object, name: str, side: str) -> None:
        real: Callable[..., bytes | str] = getattr(owner, name)

        def recording(*args: object) -> bytes | str:
            signed = real(*args)
            setattr(self, side, signed if isinstance(signed, bytes) else signed.encode())
            return signed

        patch.setattr(owner, name, recording)

    def check(self, asked: object, what: str, ours: object, theirs: object) -> None:
        if ours == theirs and self.ours == self.theirs:
            return
        lines = zip_longest(self.ours.split(b"\n"), self.theirs.split(b"\n"))
        for number, (our_line, their_line) in enumerate(lines, 1):
            if our_line != their_line:
                raise Mismatch(
                    f"{what}: line {number} is {our_line!r}, and {self.theirs_is}'s is {their_line!r}\n{asked}"
                )
        raise Mismatch(
            f"{what}: the same was signed, and it is {ours!r}, and {self.theirs_is}'s is {theirs!r}\n{asked}"
        )


def once_derived(*, even_by: str) -> Callable[..., object]:
    """The key of a day, kept when it should not be."""
    real = DayKeys.of
    first: dict[object, DayKey] = {}

    def kept(keys: DayKeys, credentials: Credentials, day: str) -> object:
        right = real(keys, credentials, day)
        known = first.setdefault((keys, credentials if even_by == "day" else day), right)
        return right._replace(mac=known.mac)

    return kept


def derivations(patch: pytest.MonkeyPatch) -> list[bytes]:
    """The secrets of which keys of a day are derived from now on."""
    secrets: list[bytes] = []

    def told(secret: bytes, *parts: str) -> Mac:
        secrets.append(secret)
        return derived(secret, *parts)

    patch.setattr(daykeys, "derived", told)
    return secrets
