"""Which endpoint of which kind a host is. Pure.

AWS is told by labels of the host, never by a part of a word: docs.aws.amazon.com/general/latest/gr/s3.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "regional",
    "accelerate",
    "access point",
    "multi-region",
    "outposts",
    "object lambda",
    "oss",
    "gcs",
    "other",
]

# The DNS suffixes of AWS's partitions.
_SUFFIXES = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "csp.hci.ic.gov")
_OTHERS: tuple[tuple[Kind, str], ...] = (("oss", "aliyuncs.com"), ("gcs", "storage.googleapis.com"))
_REGION = r"(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d+)"

# What stands before the suffix, behind a bucket's or an access point's name. The most particular first.
_FORMS: tuple[tuple[Kind, str], ...] = (
    ("multi-region", r"accesspoint\.s3-global"),
    ("outposts", rf"s3-outposts(?:-fips)?(?:\.dualstack)?\.{_REGION}"),
    ("object lambda", rf"s3-object-lambda(?:-fips)?(?:\.dualstack)?\.{_REGION}"),
    ("access point", rf"s3-accesspoint(?:-fips)?(?:\.dualstack)?\.{_REGION}"),
    ("access point", rf"accesspoint\.vpce-[0-9a-z-]+\.s3\.{_REGION}\.vpce"),
    ("accelerate", r"s3-accelerate(?:\.dualstack)?"),
    ("regional", rf"(?:bucket\.)?vpce-[0-9a-z-]+\.s3\.{_REGION}\.vpce"),
    ("regional", rf"s3(?:-fips)?(?:\.dualstack)?\.{_REGION}"),
    ("regional", rf"s3-(?:fips-)?{_REGION}"),
    ("regional", r"s3(?:-external-1)?"),
)

DOCUMENTED: frozenset[Kind] = frozenset({"regional", "accelerate", "access point"})

MISSING: dict[Kind, str] = {
    "multi-region": (
        "a multi-region access point writes into the nearest of several buckets and replicates later: two writers "
        "could both create a key. Use one region's bucket"
    ),
    "outposts": (
        "S3 on Outposts knows no conditional writes (docs.aws.amazon.com/AmazonS3/latest/userguide/"
        "conditional-writes.html)"
    ),
    "object lambda": "an Object Lambda access point is for reading",
    "oss": "Alibaba OSS refuses If-None-Match: * on its S3 endpoints: use oss://, which has a condition of its own",
    "gcs": (
        "Google Cloud Storage knows If-None-Match for reads only, and a multipart upload there overwrites "
        "(cloud.google.com/storage/docs/request-preconditions)"
    ),
}


@dataclass(frozen=True)
class Host:
    kind: Kind
    region: str | None
    """Where the name of an endpoint of AWS's says it."""


def host_of(name: str) -> Host:
    """`name`: without a port."""
    name = name.lower().rstrip(".")
    for suffix in _SUFFIXES:
        if name.endswith(f".{suffix}"):
            head = name[: -len(suffix) - 1]
            for kind, form in _FORMS:
                found = re.fullmatch(rf"(?:.+\.)?{form}", head)
                if found is not None:
                    return Host(kind, found.groupdict().get("region"))
    for kind, suffix in _OTHERS:
        if name == suffix or name.endswith(f".{suffix}"):
            return Host(kind, None)
    return Host("other", None)


def is_r2(name: str) -> bool:
    """Cloudflare R2, whose parts must be of one size (developers.cloudflare.com/r2/objects/multipart-objects)."""
    return name.lower().partition(":")[0].endswith(".r2.cloudflarestorage.com")
