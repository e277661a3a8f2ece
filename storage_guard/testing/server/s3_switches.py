"""What stores that claim to speak S3 do differently, to be switched on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args, get_type_hints

from storage_guard.testing.server.cues import Action, Cues, delayed
from storage_guard.testing.server.exchange import Asked

Keeping = Literal["kept", "ignored", "raced", "overwritten", "unsupported", "of_source"]


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Each as AWS has it unless it is set.

    `put`, `complete`, `copy`: what becomes of `If-None-Match` and `If-Match` there.
        "kept": judged in the same step that writes. "ignored". "raced": judged when the head of the request has come,
        written when its body has, so that of several at the same time several win. "overwritten": refused with 412,
        and written all the same. "unsupported": 501 NotImplemented. "of_source": of a copy, a condition on what is
        copied, so that a new key is refused too (OpenStack Swift).
    `window_s`: how long a raced write takes between the two. Most come in one piece, and would not race otherwise.
        Only in a server whose cues are made by `windows`.
    `conflicts`: whether a removal while a conditional write was on its way is a 409 ConditionalRequestConflict.
    `replayed`: a complete that had succeeded comes again. "done": 200, as before, whatever has become of the object, if
        it names the same parts (github.com/adobe/S3Mock/issues/2586). "unknown": 404 NoSuchUpload. "judged": the
        condition first, which refuses it with 412.
    `late_abort`: an abort of an upload that had been completed. "unknown": 404 NoSuchUpload. "accepted": 204, which AWS
        is said to answer for some hours (github.com/minio/minio/issues/2250).
    `early`: a complete, and a copy, are answered 200 before they are done, so that what refuses them stands in a 200,
        behind the blanks that kept the connection alive.
    `checksums`: x-amz-checksum-*. "known". "unknown": neither looked at nor told. "invalid": refused with 400
        InvalidArgument (Backblaze B2). "unsupported": refused with 501 NotImplemented (Cloudflare R2).
    `part_checksums`: whether a part of an upload with a checksum over the whole may come without. "optional".
        "required" (MinIO).
    `unsigned_payload`: without it a body must have its SHA-256 in x-amz-content-sha256.
    `forbidden`: members of `Asked` that nobody may do.
    `elsewhere`: buckets that are in another region, by name: 301 PermanentRedirect.
    """

    put: Keeping = "kept"
    complete: Keeping = "kept"
    copy: Keeping = "kept"
    window_s: float = 0.05
    conflicts: bool = True
    replayed: Literal["done", "unknown", "judged"] = "done"
    late_abort: Literal["unknown", "accepted"] = "unknown"
    early: bool = False
    checksums: Literal["known", "unknown", "invalid", "unsupported"] = "known"
    part_checksums: Literal["optional", "required"] = "optional"
    unsigned_payload: bool = True
    forbidden: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            allowed = get_args(_HINTS[name])
            if isinstance(value, str) and value not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, not {value!r}")
        if "of_source" in {self.put, self.complete}:
            raise ValueError("only a copy has a source")
        if self.window_s < 0:
            raise ValueError("a window is negative")

    @staticmethod
    def parsed(given: Mapping[str, str]) -> Switches:
        """From words, as the program has them: "ignored", "yes", "head,scan" for several members, "a=eu-west-1" for a
        bucket elsewhere. Raises: ValueError."""
        known = {each.name for each in fields(Switches)}
        values: dict[str, object] = {}
        for name, text in given.items():
            if name not in known:
                raise ValueError(f"no switch {name!r}: there is {', '.join(sorted(known))}")
            values[name] = _value(name, text)
        return Switches(**values)  # type: ignore[arg-type] # by their names, which are checked


_HINTS = get_type_hints(Switches)


def _value(name: str, text: str) -> object:
    hint = _HINTS[name]
    if hint is bool:
        if text not in {"yes", "no"}:
            raise ValueError(f"{name} is yes or no, not {text!r}")
        return text == "yes"
    if hint is float:
        return float(text)
    if name == "forbidden":
        return frozenset(text.split(","))
    if name == "elsewhere":
        pairs = [pair.partition("=") for pair in text.split(",")]
        if not all(bucket and region for bucket, _, region in pairs):
            raise ValueError(f"elsewhere is bucket=region, ..., not {text!r}")
        return {bucket: region for bucket, _, region in pairs}
    return text


def windows(switches: Switches) -> Cues:
    """The cues that hold raced writes for their window, behind all others."""
    keeping = {"put_new": switches.put, "finish_new": switches.complete, "copy_new": switches.copy}
    raced = {member for member, kept in keeping.items() if kept == "raced"}

    def window(asked: Asked) -> Action | None:
        return delayed(before_s=switches.window_s) if asked.member in raced else None

    return Cues(on_request=window if raced else None)
