"""A bucket that somebody named instead of the loopback server: which one, and whether its owner agrees to the cost."""

from __future__ import annotations

import argparse

from benchmarks.harness.places import Url
from benchmarks.harness.telling import tell

_PRICE = 0.005  # US dollars for a thousand: S3 Standard's PUT, and parts, in us-east-1; OSS asks less
PERSONAL = ("store", "endpoint", "yes")
"""Of the options: what is not written down."""


def bucket_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", nargs="?", metavar="URL", help="oss://bucket/prefix or s3://bucket/prefix, for real")
    parser.add_argument("--endpoint", help="of the real store, where its SDK would not know")
    parser.add_argument("--region", help="the same")
    parser.add_argument("--yes", action="store_true", help="go on with what was estimated for the real store")
    parser.add_argument("--price", type=float, default=_PRICE, help=f"of 1,000 requests, for the estimate ({_PRICE})")


def bucket_of(asked: argparse.Namespace) -> Url | None:
    """None if nobody named one. Raises ValueError for what is none."""
    if asked.store is None:
        return None
    return Url.of(asked.store, endpoint=asked.endpoint, region=asked.region)


def scheme_of(asked: argparse.Namespace) -> str:
    """By which the bucket is reached."""
    return str(asked.endpoint or "https:").partition(":")[0]


def agreed(asked: argparse.Namespace, requests: int, sent_bytes: int) -> bool:
    """Whether what it costs was said, and --yes to it."""
    price = requests / 1000 * asked.price
    tell(
        f"At most {requests:,} requests and {sent_bytes / (1 << 30):,.1f} GiB go to the bucket, and nothing stays "
        f"there. That is {price:,.2f} USD of requests at {asked.price} USD a thousand; what your provider asks for "
        "traffic comes on top."
    )
    if not asked.yes:
        tell("Say --yes, and it begins.")
    return bool(asked.yes)
