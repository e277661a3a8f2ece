"""What S3 accepts, and services of its kind."""

from __future__ import annotations

from dataclasses import replace

from storage_guard.driver import Limits
from storage_guard_s3.hosts import Kind, is_r2

_MIB, _GIB, _TIB = 1024**2, 1024**3, 1024**4

# docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LIMITS = Limits(
    max_put_bytes=5 * _GIB,
    min_part_bytes=5 * _MIB,
    max_part_bytes=5 * _GIB,
    max_parts=10_000,
    max_object_bytes=10_000 * 5 * _GIB,
    max_key_bytes=1023,
)

# developers.cloudflare.com/r2/platform/limits
R2_LIMITS = Limits(
    max_put_bytes=5 * _GIB - 5 * _MIB,
    min_part_bytes=5 * _MIB,
    max_part_bytes=5 * _GIB - 5 * _MIB,
    max_parts=10_000,
    max_object_bytes=5 * _TIB - 5 * _GIB,
    max_key_bytes=1023,
    equal_parts=True,
)

# What AWS had until 2025, and most others have: to be told before an upload, and not at its end.
OTHER_LIMITS = replace(LIMITS, max_object_bytes=5 * _TIB)


def limits_of(kind: Kind, host: str) -> Limits:
    if kind != "other":
        return LIMITS
    return R2_LIMITS if is_r2(host) else OTHER_LIMITS
