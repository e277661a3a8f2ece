"""Which part size, and how many parts at a time, for a store of yours? Measured there, and nothing stays.

    from storage_guard.tune import measure
    print(measure(open_store("oss://bucket/prefix", region="cn-hangzhou")))

`python -m storage_guard.tune URL` prints the same.
"""

from __future__ import annotations

import contextlib
import copy
import json
import secrets
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from storage_guard.engine.sending import Bounds
from storage_guard.errors import ObjectNotFound, StorageGuardError
from storage_guard.model import Limits, MiB
from storage_guard.plan import DEFAULT_MULTIPART_FROM_BYTES, plan_known
from storage_guard.store import Store
from storage_guard.tune.settings import DEFAULT, Setting, Timed, first_settings, next_settings, recommended

__all__ = ["DEFAULT", "Setting", "Timed", "Tuning", "measure"]

SIZE_BYTES = 64 * MiB
BUDGET_S = 60.0
ROUNDS = 3
CLOSE = 1.10  # what is nearer to the best is as good
_LOOKS = 5


@dataclass(frozen=True)
class Tuning:
    """What was measured. `timed` has a row for each setting that was tried, the fastest first, and the default among
    them: `Setting(None, None)`.

    `latency_s`: of a question to the store, the median of a few. `default_ratio`: how many times as long as the best
    setting the default takes; 1.0 where it is the best itself. `recommended` is the default wherever it is within a
    tenth of the best; else the setting of the fewest parts at a time, and the largest parts, that is within a
    twentieth. `complete`: no setting was left out for want of time. `left`: what could not be removed, and why.
    """

    url: str
    size_bytes: int
    latency_s: float
    timed: tuple[Timed, ...]
    recommended: Setting
    default_ratio: float
    complete: bool
    left: tuple[str, ...] = ()

    @property
    def best(self) -> Timed:
        return self.timed[0]

    @property
    def default(self) -> Timed:
        return next(each for each in self.timed if each.setting == DEFAULT)

    @property
    def default_is_good(self) -> bool:
        """Within a tenth of the best."""
        return self.default_ratio <= CLOSE

    def as_json(self) -> str:
        return json.dumps({"default_is_good": self.default_is_good, **asdict(self)}, indent=2)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.url}: {self.size_bytes / MiB:g} MiB, {self.latency_s * 1000:.1f} ms away"
        for each in self.timed:
            rate = self.size_bytes / each.median_s / 1e6
            runs = "a run" if len(each.wall_s) == 1 else f"{len(each.wall_s)} runs"
            yield f"  {each.setting!s:<36} {each.median_s:8.3f} s  {rate:8.1f} MB/s  {runs}"
        yield ""
        if self.default_is_good:
            yield f"- say nothing: the default takes {self.default_ratio:.2f} times as long as the best that was found"
        else:
            said = self.recommended
            yield (
                f"- part_bytes={said.part_bytes}, in_flight={said.in_flight}: the default takes "
                f"{self.default_ratio:.2f} times as long as the best that was found"
            )
        if not self.complete:
            yield "- there was no time for all settings: give it more, or a smaller object"
        yield from (f"! {each}" for each in self.left)


def measure(
    store: Store,
    *,
    size_bytes: int = SIZE_BYTES,
    rounds: int = ROUNDS,
    budget_s: float = BUDGET_S,
    name: Callable[[], str] = lambda: secrets.token_hex(8),
    told: Callable[[str], None] | None = None,
) -> Tuning:
    """Create objects of `size_bytes` in several ways, side by side with the default, and remove them.

    They lie below the store's prefix, in `storage-guard-tune-` and a `name()` of their own, one at a time. About twelve
    settings are tried once, and the best of them and the default `rounds` times in all, by turns; no run begins when
    `budget_s` seconds are over, so the last may exceed them. Time is that of the Store's clock. `told` hears of each.

    Raises ValueError for a size that the store takes in one part only, no rounds, or no time; what `create` raises,
    with nothing left behind but what is named in notes of the exception.
    """
    if rounds < 1 or not budget_s > 0:
        raise ValueError(f"want at least one round and some time, got rounds={rounds} and budget_s={budget_s}")
    limits = store.driver.limits
    usual = _usual_part_bytes(size_bytes, limits)
    bench = _Bench(store, f"storage-guard-tune-{name()}", size_bytes, told or (lambda _: None))
    try:
        until_s = bench.now_s() + budget_s
        store.check()  # what a Store asks once, and an examination, are not part of any run
        latency_s = bench.latency_s()
        bench.run(DEFAULT, warms=True)
        tried = first_settings(usual, size_bytes, limits)
        complete = bench.each([DEFAULT, *tried], until_s)
        more = next_settings(bench.timed(), size_bytes, limits)
        complete = bench.each(more, until_s) and complete
        for _ in range(rounds - 1):
            complete = bench.each([DEFAULT, *(each.setting for each in bench.fastest(2))], until_s) and complete
    except BaseException as exc:
        for each in bench.clean_up():
            exc.add_note(each)
        raise
    left = bench.clean_up()
    timed = bench.timed()
    default = next(each for each in timed if each.setting == DEFAULT)
    ratio = default.median_s / timed[0].median_s
    chosen = DEFAULT if ratio <= CLOSE else recommended(timed)
    return Tuning(store.url, size_bytes, latency_s, tuple(timed), chosen, ratio, complete, tuple(left))


def _usual_part_bytes(size_bytes: int, limits: Limits) -> int:
    """Raises ValueError for an object that has one part."""
    if size_bytes < 2 * max(1, limits.min_part_bytes):
        raise ValueError(f"an object of {size_bytes} bytes has one part here: nothing can be tuned")
    return plan_known(size_bytes, limits, part_bytes=None, multipart_from_bytes=1).part_bytes or size_bytes


class _Bench:
    """Stores that differ in how they cut, over one driver; what they made, and how long it took."""

    def __init__(self, store: Store, area: str, size_bytes: int, told: Callable[[str], None]) -> None:
        self._store = store
        self._area = area
        self._told = told
        self._data = memoryview(bytes(size_bytes))
        self._runs: dict[Setting, list[float]] = {}
        self._stores: dict[Setting, Store] = {}
        self._made: list[str] = []
        self._count = 0

    def now_s(self) -> float:
        return self._store._access.clock.now_s()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this house

    def latency_s(self) -> float:
        """Of looking for an object that is not there."""
        took_s: list[float] = []
        for _ in range(_LOOKS + 1):
            began_s = self.now_s()
            self._store.head(f"{self._area}/nothing")
            took_s.append(self.now_s() - began_s)
        return statistics.median(took_s[1:])  # the first one connects

    def each(self, settings: Sequence[Setting], until_s: float) -> bool:
        """False if there was no time for all. The default is always run once."""
        for setting in settings:
            if self.now_s() >= until_s and (setting != DEFAULT or DEFAULT in self._runs):
                return False
            self.run(setting)
        return True

    def run(self, setting: Setting, *, warms: bool = False) -> None:
        """One create, timed but where it `warms` connections; and its removal."""
        store = self._stores.get(setting)
        if store is None:
            store = self._stores[setting] = _told_so(self._store, setting)
        self._count += 1
        key = f"{self._area}/{self._count}"
        self._made.append(key)
        began_s = self.now_s()
        store.create(key, self._data)
        took_s = self.now_s() - began_s
        self._remove(key)
        if not warms:
            self._runs.setdefault(setting, []).append(took_s)
            self._told(f"{setting}: {took_s:.3f} s")

    def timed(self) -> list[Timed]:
        """The fastest first."""
        found = [Timed(setting, tuple(took_s)) for setting, took_s in self._runs.items()]
        return sorted(found, key=lambda each: each.median_s)

    def fastest(self, count: int) -> list[Timed]:
        """But for the default."""
        return [each for each in self.timed() if each.setting != DEFAULT][:count]

    def clean_up(self) -> list[str]:
        """What is left, and why."""
        left: list[str] = []
        for key in list(self._made):
            try:
                self._remove(key)
            except StorageGuardError as exc:
                left.append(f"{key!r} may have been left in {self._store.url}: {exc}")
        return left

    def _remove(self, key: str) -> None:
        with contextlib.suppress(ObjectNotFound):
            self._store.remove(key)
        self._made.remove(key)


def _told_so(store: Store, setting: Setting) -> Store:
    """The same store, told how to cut: what it knows of itself is not asked again."""
    told = copy.copy(store)
    policy = copy.copy(store._policy)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this house
    policy.part_bytes = setting.part_bytes
    policy.bounds = Bounds(setting.in_flight, policy.bounds.memory_bytes)
    policy.multipart_from_bytes = DEFAULT_MULTIPART_FROM_BYTES if setting == DEFAULT else 1
    told._policy = policy  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return told
