"""Tickets go through logs and other processes, and come back as they were."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_guard.errors import NotWritten, OutcomeUnknown, attach_ticket, ticket_of
from storage_guard.ticket import Ticket, parse


@given(
    st.builds(
        Ticket,
        store_url=st.text(),
        key=st.text(),
        write_id=st.text(),
        upload_id=st.none() | st.text(),
        named=st.booleans(),
        digest=st.none() | st.tuples(st.integers(0), st.integers(0, 2**64 - 1)),
        algorithm=st.sampled_from(["crc64xz", "crc64nvme"]),
        service=st.none() | st.text(),
    )
)
def test_a_ticket_comes_back_as_it_was(ticket: Ticket) -> None:
    text = str(ticket)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert parse(text) == ticket


def encoded(fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


GOOD = {"v": 1, "store_url": "s", "key": "k", "write_id": "w", "digest": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%",
        "a",
        "\u00e4",
        encoded(GOOD) + "%%%%",
        encoded([]),
        encoded("x"),
        encoded({}),
        encoded(GOOD | {"v": 2}),
        encoded(GOOD | {"key": 7}),
        encoded(GOOD | {"digest": [1]}),
        encoded(GOOD | {"digest": "ab"}),
        encoded(GOOD | {"other": 1}),
        encoded(GOOD | {"algorithm": "md5"}),
        encoded(GOOD | {"algorithm": ["crc64xz"]}),
        encoded(GOOD | {"algorithm": None}),
        encoded(GOOD | {"service": 7}),
        encoded({name: value for name, value in GOOD.items() if name != "digest"}),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_what_is_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a ticket"):
        parse(text)
    assert parse(encoded(GOOD)) == Ticket("s", "k", "w")


def test_the_ticket_is_found_behind_whatever_wraps_the_error() -> None:
    assert ticket_of(ValueError()) is None
    assert ticket_of(NotWritten("no")) is None
    unknown = OutcomeUnknown("?", ticket="T")
    assert ticket_of(unknown) == "T"
    interrupt = KeyboardInterrupt()
    attach_ticket(interrupt, "I")
    assert ticket_of(interrupt) == "I"
    wrapped = RuntimeError()
    wrapped.__cause__ = unknown
    assert ticket_of(wrapped) == "T"
    wrapped.__cause__, wrapped.__context__ = None, unknown
    assert ticket_of(wrapped) == "T"
    assert ticket_of(ExceptionGroup("several", [ValueError(), unknown])) == "T"
    unknown.__context__ = wrapped  # a circle must not hang
    assert ticket_of(wrapped) == "T"
    assert ticket_of(OutcomeUnknown("a removal")) is None
