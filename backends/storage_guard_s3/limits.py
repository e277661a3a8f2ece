"""What S3 and R2 accept."""

from __future__ import annotations

from storage_guard.driver import Limits

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
