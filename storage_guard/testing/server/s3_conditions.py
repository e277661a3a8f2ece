"""`If-None-Match` and `If-Match`: what a call asks of the key, and how the store keeps it.

docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from storage_guard.testing.server.buckets import Bucket, Buckets, NoSuchBucket, Which, fails
from storage_guard.testing.server.calls import Call
from storage_guard.testing.server.dates import http_date, http_time
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.s3_errors import unsupported
from storage_guard.testing.server.s3_service import quoted
from storage_guard.testing.server.s3_switches import Keeping, Switches
from storage_guard.testing.server.versions import Version


def keeping_of(call: Call, switches: Switches) -> Keeping:
    match call.action:
        case "finish":
            return switches.complete
        case "copy":
            return switches.copy
        case _:
            return switches.put


class Guard:
    """The condition of a write. It is made when the head of the request is there, and used up when its body is."""

    def __init__(self, call: Call, state: Buckets, switches: Switches) -> None:
        """Raises: Refusal, for a condition that no store of this kind keeps."""
        self.keeping = keeping_of(call, switches)
        headers = call.request.headers
        self._new = "if-none-match" in headers
        self._etag = headers.get("if-match")
        self._conflicts = switches.conflicts
        self._key = call.key or ""
        self._early: Refusal | None = None
        self._refused: Refusal | None = None
        self._removals = 0
        if self.keeping in {"ignored", "of_source"}:
            self._new, self._etag = False, None
        self._check_form(headers)
        try:
            bucket = state[call.bucket]
        except NoSuchBucket:
            return
        self._removals = bucket.removals(self._key)
        if self.keeping == "raced":
            self._early = self._judge(bucket)

    def _check_form(self, headers: Mapping[str, str]) -> None:
        if self._new and (self.keeping == "unsupported" or headers["if-none-match"].strip() != "*"):
            raise unsupported("If-None-Match")
        if self._etag is not None and self.keeping == "unsupported":
            raise unsupported("If-Match")
        if self._new and self._etag is not None:
            raise unsupported("If-Match,If-None-Match")

    def require(self, bucket: Bucket, since: int | None = None) -> None:
        """To be called right before the write. `since`: the removals of the key when the write began, if that was
        before this request. Raises: Refusal."""
        if self.keeping == "raced":
            refusal = self._early
        else:
            refusal = self._judge(bucket)
            begun = self._removals if since is None else since
            conditional = self._new or self._etag is not None
            if refusal is None and conditional and self._conflicts and bucket.removals(self._key) != begun:
                # Recorded against AWS: a key that was removed while an upload was open is a conflict ever after.
                more = {"Condition": "If-None-Match" if self._new else "If-Match", "Key": self._key}
                refusal = Refusal("ConditionalRequestConflict", more=more)
        if refusal is not None and self.keeping != "overwritten":
            raise refusal
        self._refused = refusal

    def tell(self) -> None:
        """To be called right after the write. Raises: Refusal, where it was to be refused and took place."""
        if self._refused is not None:
            raise self._refused

    def _judge(self, bucket: Bucket) -> Refusal | None:
        version = bucket.histories.current(self._key)
        free = version is None or version.content is None
        if self._new and not free:
            return Refusal("PreconditionFailed", more={"Condition": "If-None-Match"})
        if self._etag is None:
            return None
        if version is None or free:
            return Refusal("NoSuchKey", more={"Key": self._key})
        if fails(version, [("matches", self._etag)]) is not None:
            return Refusal("PreconditionFailed", more={"Condition": "If-Match"})
        return None


_NAMES: tuple[tuple[str, Which], ...] = (
    ("If-Match", "matches"),
    ("If-Unmodified-Since", "not newer"),
    ("If-None-Match", "differs"),
    ("If-Modified-Since", "newer"),
)


def require_of(headers: Mapping[str, str], version: Version, prefix: str = "") -> None:
    """What the conditions of a read, or with a prefix those of a copy on its source, ask of `version`. An ETag that is
    judged makes the time of the same sense count for nothing (RFC 9110, 13.2.2). Raises: Refusal."""
    judged = set[Which]()
    for name, which in _NAMES:
        value = headers.get(prefix + name.lower())
        if (
            value is None
            or (which == "not newer" and "matches" in judged)
            or (which == "newer" and "differs" in judged)
        ):
            continue
        judged.add(which)
        condition: str | datetime = value
        if which in {"newer", "not newer"}:
            time = http_time(value)
            if time is None:
                raise invalid(prefix + name, value)
            condition = time
        if fails(version, [(which, condition)]) is None:
            continue
        if prefix or which in {"matches", "not newer"}:
            raise Refusal("PreconditionFailed", more={"Condition": prefix + name})
        etag = "" if version.content is None else version.content.etag
        raise Refusal("NotModified", headers={"ETag": quoted(etag), "Last-Modified": http_date(version.modified)})
