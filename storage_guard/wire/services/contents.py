"""What answers say of objects: which bytes came, how large one is, its tags. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from storage_guard.wire.services.message import A, Answer, Judge
from storage_guard.wire.services.times import http_time

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


def begun(asked: Judge[A], answer: A) -> str:
    """The id of the upload that a begin began."""
    upload_id = asked.root(answer, "InitiateMultipartUploadResult").get("UploadId")
    if not upload_id:
        raise asked.lost(answer, "the answer names no upload")
    return upload_id


def measured(asked: Judge[A], answer: A) -> tuple[int, datetime]:
    """Size in bytes and time of the object that a HEAD shows."""
    length, modified = _length(answer), http_time(answer.headers.get("last-modified"))
    if length < 0 or modified is None:
        raise asked.lost(answer, "the answer does not say how large the object is, or how old")
    return length, modified


def tags_of(asked: Judge[A], answer: A) -> dict[str, str]:
    root = asked.root(answer, "Tagging")
    return {
        tag.raw("Key", quoted=False): tag.raw("Value", quoted=False)
        for each in root.all("TagSet")
        for tag in each.all("Tag")
    }


def bytes_of(asked: Judge[A], answer: A, start: int, stop: int) -> bytes:
    """What a ranged GET brought, if it is what was asked for."""
    data = answer.body
    if answer.status == 206:
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found is None:
            raise asked.lost(answer, "a part of an object, and the answer does not say which")
        first, last, whole = (int(each) for each in found.groups())
        if (first, last) != (start, min(stop, whole) - 1):
            raise asked.lost(answer, f"bytes {first} to {last} of {whole} came, not {start} to {stop - 1}")
        wanted_bytes = last - first + 1
    elif start == 0:
        wanted_bytes = _length(answer)  # the whole object, which is right if it is no more than was asked for
    else:
        raise asked.lost(answer, "the range was ignored")
    if len(data) != wanted_bytes or len(data) > stop - start:
        raise asked.lost(answer, f"{len(data)} bytes came, and {min(wanted_bytes, stop - start)} were to come")
    return data


def _length(answer: Answer) -> int:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else -1
