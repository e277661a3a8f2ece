"""From runs to figures: order, medians and their spread, and ratios of what ran in the same round. Pure."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

Figures = Mapping[str, float]


def shuffled(sides: Sequence[T], rounds: int, seed: int) -> list[list[T]]:
    """The order of each round. The same seed gives the same."""
    chance = random.Random(seed)
    return [chance.sample(sides, len(sides)) for _ in range(rounds)]


@dataclass(frozen=True)
class Spread:
    """`low` and `high` are the quartiles, the ends where there are fewer than four."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    if len(values) < 4:
        return Spread(statistics.median(values), min(values), max(values))
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), low, high)


def ratios(ours: Sequence[Figures], theirs: Sequence[Figures], figure: str) -> list[float]:
    """Ours to theirs, round by round."""
    return [mine[figure] / other[figure] for mine, other in zip(ours, theirs, strict=True)]


@dataclass(frozen=True)
class Target:
    """What is to be shown: `figure` of one side, or its ratio to another side's, at most or at least `bound`; over
    http and https, or over the one that `over` names."""

    text: str
    ours: str
    figure: str
    relation: Literal["at most", "at least"]
    bound: float
    theirs: str | None = None
    over: str | None = None


@dataclass(frozen=True)
class Verdict:
    target: Target
    measured: Spread
    met: bool


def judged_over(scheme: str, targets: Sequence[Target]) -> list[Target]:
    return [target for target in targets if target.over in (None, scheme)]


def judged(target: Target, runs: Mapping[str, Sequence[Figures]]) -> Verdict | None:
    """The median decides. None where one of the sides did not run, or the system does not tell the figure."""
    ours = runs.get(target.ours)
    if not ours or target.figure not in ours[0]:
        return None
    if target.theirs is None:
        values = [each[target.figure] for each in ours]
    else:
        theirs = runs.get(target.theirs)
        if not theirs:
            return None
        values = ratios(ours, theirs, target.figure)
    measured = spread(values)
    met = measured.median <= target.bound if target.relation == "at most" else measured.median >= target.bound
    return Verdict(target, measured, met)
