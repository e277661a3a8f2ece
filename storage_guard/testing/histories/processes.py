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
from storage_guard.testing.histories.player import Player, Record, part_bytes_of
from storage_guard.testing.histories.run import Played, finish, history_of
from storage_guard.testing.histories.script import Mix, Script, draw
from storage_guard.testing.histories.warned import listening
from storage_guard.testing.races import race_processes


@dataclass(frozen=True)
class _Part:
    """What one client did of every history. `machine` is the folder of their machine."""

    url: str
    token: str
    seeds: Sequence[int]
    mix: Mix
    place: int
    machine: str


def play_in_processes(
    url: str, seeds: Sequence[int], processes: int, mix: Mix, *, fresh_listings: bool
) -> Iterator[Played]:
    """One history a seed; the clients begin at the same moment. The clock of a machine must be one for all processes,
    as CLOCK_MONOTONIC is."""
    mix = replace(mix, clients=(processes, processes))
    token = secrets.token_hex(6)
    with tempfile.TemporaryDirectory() as machine:
        parts = [_Part(url, token, tuple(seeds), mix, place, machine) for place in range(processes)]
        rounds = race_processes(_live, [(part,) for part in parts], rounds=len(seeds), timeout_s=1800.0)
        driver = _driver(url)
        part_bytes = part_bytes_of(driver)
        for seed, records in zip(seeds, rounds, strict=True):
            whole = _joined(_record(seed, token), records)
            script = draw(seed, mix, part_bytes)
            last = _player("end", replace(script, faults={}), driver, whole, machine)
            with listening():
                finish(script, [], whole, last)
            whole.look_for_uploads([driver])
            yield Played(replace(script, faults=dict(whole.struck)), history_of(whole, fresh_listings=fresh_listings))


def _joined(whole: Record, records: Sequence[Record | BaseException]) -> Record:
    for record in records:
        if isinstance(record, BaseException):
            raise record
        whole.calls += record.calls
        whole.acts += record.acts
        whole.arrivals += record.arrivals
        whole.tickets += record.tickets
        whole.left += record.left
        whole.touches += record.touches
        whole.struck |= record.struck
        whole.contents |= record.contents
    return whole


def _live(part: _Part, number: int) -> Record:
    driver = _driver(part.url)
    seed = part.seeds[number]
    script = draw(seed, part.mix, part_bytes_of(driver))
    record = _record(seed, part.token)
    player = _player(f"P{part.place}", script, driver, record, part.machine)
    with listening():
        player.live(script.clients[part.place])
        for turn in list(player.late):
            player.deliver(turn)
    own = {touch.upload_id for touch in record.touches if touch.what == "begin" and not touch.lasting}
    record.look_for_uploads(
        [driver], own.__contains__
    )  # nobody else may see them; the others are looked for at the end
    return replace(record, tick=time.monotonic_ns)


def _player(name: str, script: Script, driver: Driver, record: Record, machine: str) -> Player:
    folder = Path(machine, record.prefix)
    folder.mkdir(exist_ok=True)
    return Player(name, script, driver, record, make_store=Store, machine=folder, freely=True)


def _record(seed: int, token: str) -> Record:
    return Record(f"h{seed}-{token}", tick=time.monotonic_ns)


@lru_cache(maxsize=1)
def _driver(url: str) -> Driver:
    return open_store(url).driver
