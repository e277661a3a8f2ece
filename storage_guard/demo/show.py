"""Which scenarios are run with which files, and the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from storage_guard import Store
from storage_guard.demo import engine, scenarios
from storage_guard.demo.account import Account, Print
from storage_guard.demo.child import Results
from storage_guard.demo.samples import Sample

Scenario = Callable[[Store, Sample, Account], None]
Contest = Callable[[Store, Sequence[Sample]], list[Results]]

EVERYWHERE: dict[str, Scenario] = {
    "The answer is lost, and the store had acted": scenarios.lost_but_ours,
    "The answer is lost, and a rival had the key": scenarios.lost_to_a_rival,
    "The answer is lost, and so is every later one": scenarios.lost_and_cut_off,
    "A second attempt": scenarios.second_attempt,
    "The caller's own data fails midway": scenarios.failing_source,
    "A producer that writes into a file fails": engine.file_written_into,
    "A copy, and a rename": engine.copied_and_renamed,
    "An object is replaced while it is read": engine.read_while_replaced,
}


class Show:
    """`broken` names what did not hold, `count` is how many scenarios were run, one for each file."""

    def __init__(self, say: Print = print) -> None:
        self._say = say
        self.count = 0
        self.broken: list[str] = []

    def race(self, title: str, contest: Contest, store: Store, samples: Sequence[Sample]) -> None:
        self._say(f"\n{title}")
        results = contest(store, samples)
        for sample, each in zip(samples, results, strict=True):
            with self._account(title, sample) as account:
                scenarios.judge_race(store, sample, each, account)
        _clear(store)

    def each(self, title: str, scenario: Scenario, store: Store, samples: Sequence[Sample]) -> None:
        self._say(f"\n{title}")
        for sample in samples:
            with self._account(title, sample) as account:
                scenario(store, sample, account)
        _clear(store)

    def everywhere(self, store: Store, samples: Sequence[Sample]) -> None:
        """The scenarios that any store is put through."""
        for title, scenario in EVERYWHERE.items():
            self.each(title, scenario, store, samples)

    def _account(self, title: str, sample: Sample) -> Account:
        self.count += 1
        return Account(sample.label, self._say, lambda: self.broken.append(f"{title} ({sample.label})"))


def _clear(store: Store) -> None:
    for each in list(store.scan()):
        store.remove(each.key)
