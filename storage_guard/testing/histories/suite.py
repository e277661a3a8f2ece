"""Many histories, checked: `run_histories`, and `HistoryContract` for a test class of your own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from storage_guard import Store
from storage_guard.testing.histories.checker import Violation, check
from storage_guard.testing.histories.player import MakeStore, part_bytes_of
from storage_guard.testing.histories.processes import play_in_processes
from storage_guard.testing.histories.run import MakeDriver, Played, play
from storage_guard.testing.histories.script import Mix, Script, draw
from storage_guard.testing.histories.shrink import length, show, shrink


class HistoryBrokenError(AssertionError):
    """A history broke a law. The message tells the shortest one that was found to break it."""

    def __init__(self, message: str, *, violations: list[Violation], found: Played, shortest: Played) -> None:
        super().__init__(message)
        self.violations = violations
        self.found = found
        self.shortest = shortest


@dataclass
class Ran:
    """How much was tried."""

    histories: int = 0
    operations: int = 0
    faults: int = 0

    def add(self, played: Played) -> None:
        self.histories += 1
        self.operations += sum(call.client != "end" for call in played.history.calls)
        self.faults += played.history.faults


def run_histories(
    make_driver: MakeDriver,
    seeds: Iterable[int],
    *,
    mix: Mix | None = None,
    make_store: MakeStore = Store,
    fresh_listings: bool = False,
    freely: bool = False,
) -> Ran:
    """Play and check a history for each seed, each below a prefix of its own.

    `make_driver()` is one more client of the same store, as for `DriverContract`. `freely`: in threads that nobody
    holds back; otherwise one request at a time, so that a seed replays, and a history that breaks a law is shrunk.
    `fresh_listings`: a scan must be up to date. Raises HistoryBrokenError.
    """
    probe = make_driver()
    part_bytes = part_bytes_of(probe)
    probe.close()
    ran = Ran()

    def replay(script: Script) -> Played:
        return play(script, make_driver, make_store=make_store, fresh_listings=fresh_listings, freely=freely)

    for seed in seeds:
        played = replay(draw(seed, mix or Mix(), part_bytes))
        ran.add(played)
        violations = check(played.history)
        if violations:
            raise _broken(played, violations, None if freely else replay)
    return ran


def run_in_processes(
    url: str, seeds: Iterable[int], *, processes: int = 4, mix: Mix | None = None, fresh_listings: bool = False
) -> Ran:
    """The same with a process for each client; the store is what `open_store(url)` opens in each of them."""
    ran = Ran()
    for played in play_in_processes(url, list(seeds), processes, mix or Mix(), fresh_listings=fresh_listings):
        ran.add(played)
        violations = check(played.history)
        if violations:
            raise _broken(played, violations, None)
    return ran


class HistoryContract:
    """What clients are told is true, whatever they do at the same time and whatever goes wrong.

    Say how a client of a fresh, empty store is made, in the fixture `make_driver` of `DriverContract`.
    """

    histories: ClassVar[int] = 50
    free_histories: ClassVar[int] = 20
    first_seed: ClassVar[int] = 0
    mix: ClassVar[Mix] = Mix()
    fresh_listings: ClassVar[bool] = False

    def test_what_clients_are_told_is_true(self, make_driver: MakeDriver) -> None:
        seeds = range(self.first_seed, self.first_seed + self.histories)
        ran = run_histories(make_driver, seeds, mix=self.mix, fresh_listings=self.fresh_listings)
        assert ran.histories == self.histories
        assert ran.operations > self.histories
        self.has_run(ran)

    def test_what_free_threads_are_told_is_true(self, make_driver: MakeDriver) -> None:
        seeds = range(self.first_seed, self.first_seed + self.free_histories)
        self.has_run(run_histories(make_driver, seeds, mix=self.mix, fresh_listings=self.fresh_listings, freely=True))

    def has_run(self, ran: Ran) -> None:
        """For who wants to know how much was tried."""


def _broken(
    played: Played, violations: list[Violation], replay: Callable[[Script], Played] | None
) -> HistoryBrokenError:
    law = violations[0].law
    shortest = played if replay is None else shrink(played, law, replay)
    left = check(shortest.history)
    message = (
        f"seed {played.script.seed} breaks {law}: {length(played.history)} lines, {length(shortest.history)} when "
        f"shrunk\n{show(shortest.history, left)}"
    )
    return HistoryBrokenError(message, violations=violations, found=played, shortest=shortest)
