"""A turnstile: of many threads one runs at a time, from gate to gate, in an order that somebody chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from storage_guard.testing.histories.script import Turn

Choose = Callable[[Sequence[Turn]], Turn]


class Turnstile:
    """Who comes to a gate hands the turn on, perhaps to itself, and waits for the next one.

    A late request that may arrive has a turn too; whoever hands on lets it arrive.
    """

    def __init__(self, starts: Sequence[int], choose: Choose, late: Callable[[], list[Turn]],
                 deliver: Callable[[Turn], None]) -> None:  # fmt: skip
        self._choose = choose
        self._late = late
        self._deliver = deliver
        self._at: dict[int, int] = dict(enumerate(starts))  # the operation that each waiting client is at
        self._locks = [threading.Lock() for _ in starts]
        for lock in self._locks:
            lock.acquire()
        self._over = threading.Event()
        self._turns = 0
        self.failure: BaseException | None = None

    def run(self, lives: Sequence[Callable[[], None]], *, stuck_s: float = 30.0) -> None:
        """Run each of the lives in a thread, until all have ended.

        Raises TimeoutError when no turn ends for so long: a driver holds a lock while it reads a body.
        """
        threads = [
            threading.Thread(target=self._live, args=(client, life), daemon=True) for client, life in enumerate(lives)
        ]
        for thread in threads:
            thread.start()
        self._hand_on(None)
        turns = -1
        while not self._over.wait(stuck_s):
            if turns == self._turns:
                why = "does the driver hold a lock while it reads a body? (pauses=False)"
                raise TimeoutError(f"a turn has not ended in {stuck_s} s: {why}")
            turns = self._turns
        if self.failure is not None:
            raise self.failure

    def gate(self, client: int, number: int) -> None:
        """Wait for a turn to go on with operation `number`."""
        self._at[client] = number
        self._hand_on(client)

    def _live(self, client: int, life: Callable[[], None]) -> None:
        self._locks[client].acquire()
        try:
            life()
        except BaseException as exc:  # noqa: BLE001 - it is raised where the clients were started
            self.failure = self.failure or exc
        self._hand_on(None)

    def _hand_on(self, me: int | None) -> None:
        try:
            other = self._next()
        except BaseException as exc:
            self.failure = self.failure or exc
            self._over.set()
            raise
        if other is None:
            self._over.set()
        elif other != me:
            self._locks[other].release()
        if me is not None and other != me:
            self._locks[me].acquire()

    def _next(self) -> int | None:
        while self._at:
            waiting = [Turn(number) for _, number in sorted(self._at.items())]
            turn = self._choose([*waiting, *self._late()])
            self._turns += 1
            if turn.late is None:
                client = next(client for client, number in self._at.items() if number == turn.number)
                del self._at[client]
                return client
            self._deliver(turn)
        return None
