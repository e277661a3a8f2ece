"""How many parts to keep on their way: decided by what the store was seen to deliver. Pure, but for what it is told."""

from __future__ import annotations

# A request of 8 MiB over one connection and 30 ms away keeps 40 MB/s moving at best; a link of 400 needs ten of them
# at once, and nothing is known of the link before the first answer, when a small object is half sent already. The rows:
# benchmarks/results/parallel_parts-*.jsonl, defaults*.jsonl.
START = 16
MOST = 64

# So many bytes a second, ten gigabits, are more than one process moves with ease: each lane is a thread that waits for
# the others, and 16 of them need a fifth more of the processor than 8 (benchmarks/large_files.py).
FAST = 1.25e9
FEW = 4

_CLIMB = 1.5
_BETTER = 1.1  # what more connections must bring to be kept
_PROBE_EVERY = 16  # epochs; a link may have become wider


class Concurrency:
    """How many requests may be under way, `allowed`, between 1 and `most`.

    Looks at one epoch after the other: as many answers as there were lanes. As long as an epoch delivers a tenth more
    than the best before it, there is more to be had, and `allowed` grows by half; when growing brought nothing it goes
    back. When an epoch is `FAST`, half as many are tried before more are, and again, down to `FEW`, for as long as that
    is not a tenth slower. A store that says Busy halves it, once for all the requests that were under way at that
    moment; then it comes halfway back with each epoch, stays one below what was too many, and long afterwards tries one
    more at a time.
    """

    def __init__(self, *, most: int = MOST, start: int = START) -> None:
        if not most >= 1:
            raise ValueError(f"in_flight must be at least 1, got {most}")
        self._most = most
        self.allowed = min(start, most)
        self._before = self.allowed  # what to go back to
        self._best = 0.0  # bytes a second
        self._climbing = True
        self._thinning: bool | None = None  # None: not yet asked whether fewer will do
        self._too_many: int | None = None  # with so many the store said Busy
        self._busy_since_s = float("-inf")
        self._epochs_since_probe = 0
        self._epoch_began_s: float | None = None
        self._answers = 0
        self._bytes = 0

    def began(self, now_s: float) -> None:
        """A request goes out."""
        if self._epoch_began_s is None:
            self._epoch_began_s = now_s

    def done(self, size_bytes: int, now_s: float) -> None:
        """A request of `size_bytes` was carried out."""
        self._answers += 1
        self._bytes += size_bytes
        if self._answers >= self.allowed and self._epoch_began_s is not None and now_s > self._epoch_began_s:
            rate = self._bytes / (now_s - self._epoch_began_s)
            self._begin_epoch(now_s)
            self._judge(rate)

    def busy(self, sent_s: float, now_s: float, under_way: int) -> None:
        """The store said Busy to a request that was sent at `sent_s`; by now so many others are `under_way`."""
        if sent_s < self._busy_since_s:
            return  # it was under way when we slowed down
        self._begin_epoch(now_s)
        if under_way >= self.allowed:
            return  # those that were too many repeat until enough others have ended: we are slowing down already
        self._busy_since_s = now_s
        self._too_many = self.allowed
        self._epochs_since_probe = 0
        self.allowed = max(1, self.allowed // 2)

    def idle(self) -> None:
        """Nothing is under way: the time until the next request says nothing about the store."""
        self._epoch_began_s = None
        self._answers = self._bytes = 0

    def _begin_epoch(self, now_s: float) -> None:
        self._epoch_began_s = now_s
        self._answers = self._bytes = 0

    def _judge(self, rate: float) -> None:
        if self._too_many is not None:
            self._approach(self._too_many)
            return
        if self._thins(rate):
            return
        if self._climbing:
            if rate > self._best * _BETTER:
                self._best = rate
                self._climb()
                return
            self.allowed = self._before
            self._climbing = False
            self._epochs_since_probe = 0
            return
        self._epochs_since_probe += 1
        if self._epochs_since_probe >= _PROBE_EVERY:
            self._best = rate
            self._climbing = True
            self._climb()

    def _thins(self, rate: float) -> bool:
        """Try fewer, once, when it is fast; then climb from where that was slower."""
        if self._thinning is None:
            if not self._climbing or rate < FAST or self.allowed <= FEW:
                return False
            self._thinning = True
        elif not self._thinning:
            return False
        elif rate * _BETTER < self._best:
            self.allowed, self._best, self._thinning = self._before, 0.0, False
            return True
        self._best = max(self._best, rate)
        self._before = self.allowed
        self.allowed = max(FEW, self.allowed // 2)
        if self._before == FEW:
            self._thinning = self._climbing = False
            self._epochs_since_probe = 0
        return True

    def _approach(self, too_many: int) -> None:
        self._epochs_since_probe += 1
        if self.allowed < too_many - 1:
            self.allowed += (too_many - self.allowed) // 2
        elif self._epochs_since_probe >= _PROBE_EVERY:
            self.allowed = min(self.allowed + 1, self._most)

    def _climb(self) -> None:
        self._before = self.allowed
        self.allowed = min(self._most, int(self.allowed * _CLIMB) + 1)
