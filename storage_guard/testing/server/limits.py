"""Bounds that tests may want smaller than a service's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """`put_bytes`, `part_bytes`, `copy_bytes`: of one put, one part, and one copy. `min_part_bytes`: of a part that is
    not the last. `meta_bytes`: of the names and values of user metadata. `document_bytes`: of a body that is a
    document. `skew_s`: seconds that a client's clock may be off."""

    min_part_bytes: int
    meta_bytes: int
    put_bytes: int = 5 << 30
    part_bytes: int = 5 << 30
    copy_bytes: int = 5 << 30
    parts: int = 10_000
    document_bytes: int = 4 << 20
    skew_s: int = 900
