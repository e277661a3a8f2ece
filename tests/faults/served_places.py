"""The services over real sockets, each in all its settings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from faults import oss_world, s3_world
from faults.served_world import World

PLACES: Mapping[str, Callable[[], AbstractContextManager[World]]] = {
    **{f"oss-{each}": functools.partial(oss_world.world, checked_first=each) for each in oss_world.CHECKED_FIRST},
    **{f"s3-{each}": functools.partial(s3_world.world, each) for each in s3_world.SETTINGS},
}
USUAL = ("oss-upload", "s3-aws")
