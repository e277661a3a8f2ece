"""Histories of clients that are processes: nothing but the store, and the clock of the machine, is common to them."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from storage_guard import Store, open_store
from storage_guard.driver import Driver
from storage_guard.testing.histories.run import Played, Player, Record, contents_of, finish, history_of, part_bytes_of
from storage_guard.testing.histories.script import Mix, draw
from storage_guard.testing.races import race_processes


@dataclass(frozen=True)
class _Part:
    """What one client did of every history."""

    url: str
    token: str
    seeds: Sequence[int]
    mix: Mix
    place: int


def play_in_processes(
    url: str, seeds: Sequence[int], processes: int, mix: Mix, *, fresh_listings: bool
) -> Iterator[Played]:
    """One history a seed; the clients begin at the same moment. The clock of a machine must be one for all processes,
    as CLOCK_MONOTONIC is."""
    mix = replace(mix, clients=(processes, processes))
    token = secrets.token_hex(6)
    parts = [_Part(url, token, tuple(seeds), mix, place) for place in range(processes)]
    rounds = race_processes(_live, [(part,) for part in parts], rounds=len(seeds), timeout_s=600.0)
    driver = _driver(url)
    part_bytes = part_bytes_of(driver)
    for seed, records in zip(seeds, rounds, strict=True):
        whole = _record(seed, token)
        for record in records:
            if isinstance(record, BaseException):
                raise record
            whole.calls += record.calls
            whole.acts += record.acts
            whole.arrivals += record.arrivals
            whole.tickets += record.tickets
            whole.left += record.left
            whole.struck |= record.struck
        script = draw(seed, mix, part_bytes)
        with tempfile.TemporaryDirectory() as folder:
            finish(script, [], whole, driver, folder=Path(folder), make_store=Store)
        history = history_of(whole, contents_of(part_bytes), fresh_listings=fresh_listings)
        yield Played(replace(script, faults=dict(whole.struck)), history)


def _live(part: _Part, number: int) -> Record:
    driver = _driver(part.url)
    seed = part.seeds[number]
    script = draw(seed, part.mix, part_bytes_of(driver))
    record = _record(seed, part.token)
    with tempfile.TemporaryDirectory() as folder:
        player = Player(f"P{part.place}", script, driver, record, make_store=Store, folder=Path(folder))
        player.live(script.clients[part.place])
        for turn in list(player.late):
            player.deliver(turn)
    record.look_for_uploads([driver])
    return replace(record, tick=time.monotonic_ns)


def _record(seed: int, token: str) -> Record:
    return Record(f"h{seed}-{token}", tick=time.monotonic_ns)


@lru_cache(maxsize=1)
def _driver(url: str) -> Driver:
    return open_store(url).driver
