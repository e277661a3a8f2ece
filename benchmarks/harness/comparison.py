"""Sides that do the same work by turns, against one server or bucket, and what is written of it."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from benchmarks.harness.environment import command, environment
from benchmarks.harness.figures import Figures, Target, judged, judged_over, shuffled, spread
from benchmarks.harness.named import PERSONAL, scheme_of
from benchmarks.harness.peers import PEERS, Peer, default_cache, python_of
from benchmarks.harness.places import Place, Url, bucket, loopback
from benchmarks.harness.processes import Worker, working
from benchmarks.harness.telling import growth, rounded, tell, words, write

GIB = 1 << 30
_BUSY = 0.9  # of a processor: from here on the server may be what is measured


@dataclass(frozen=True)
class Side:
    """One way to do the work. `job` is what its worker is asked, without the key; `warm` the same, smaller. `options`:
    how its client is set up."""

    name: str
    peer: Peer
    job: Mapping[str, Any]
    warm: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    hold_bytes: int = 0  # that its worker sends from memory


Measure = Callable[[Mapping[str, Any]], dict[str, float]]
"""From what a worker answered to the figures that the benchmark is about."""


def service_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", choices=("oss", "s3"), default="oss", help="that the server is (oss)")


def common_options(parser: argparse.ArgumentParser, *, rounds: int) -> None:
    parser.add_argument("--rounds", type=int, default=rounds, help="behind one that is not counted")
    schemes, peers = ("http", "https"), tuple(PEERS)
    parser.add_argument("--schemes", type=words(schemes), default=list(schemes), help=",".join(schemes))
    parser.add_argument("--peers", type=words(peers), default=list(peers), help=",".join(peers))
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--out", type=Path, help="where the JSON lines go, if not to standard output")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the peers' environments are kept")


class Comparison:
    """Writes one JSON object a line: the environment, the sides, each run, and of each scheme the medians and verdicts.
    A table goes to standard error. `url`: a bucket instead of the loopback server, for which there are no verdicts."""

    def __init__(
        self,
        module: str,
        asked: argparse.Namespace,
        sides: Sequence[Side],
        measure: Measure,
        service: Literal["oss", "s3"] = "oss",
        *,
        url: Url | None = None,
    ) -> None:
        self._module = module
        self._service: Literal["oss", "s3"] = service
        self._url = url
        self._asked = asked
        self._sides = [side for side in sides if side.peer.name in asked.peers]
        self._measure = measure

    def run(self, targets: Sequence[Target]) -> bool:
        """Whether all targets that could be judged are met. Raises RuntimeError when a create fails."""
        asked = self._asked
        pythons = {side.peer.name: python_of(side.peer, asked.cache) for side in self._sides}
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(asked.out.open("w")) if asked.out else sys.stdout
            write(out, "environment", command=self._command(), **environment())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storage-guard-benchmark-")))
            met = True
            for scheme in asked.schemes if self._url is None else [scheme_of(asked)]:
                wanted = judged_over(scheme, targets) if self._url is None else []
                with self._place(scheme, folder) as place, self._crew(pythons, place) as crew:
                    met = self._compare(scheme, place, crew, wanted, out) and met
            return met

    def _command(self) -> str:
        hidden = (*PERSONAL, "price") if self._url is None else (*PERSONAL, "schemes")
        told = command(self._module, {name: value for name, value in vars(self._asked).items() if name not in hidden})
        return told if self._url is None else f"{told} {self._url.service}://BUCKET --yes"

    @contextlib.contextmanager
    def _place(self, scheme: str, folder: Path) -> Generator[Place]:
        if self._url is None:
            with loopback(self._service, None, folder, secure=scheme == "https", examined=True) as place:
                yield place
        else:
            with bucket(self._url.target(secrets.token_hex(4))) as place:
                yield place

    @contextlib.contextmanager
    def _crew(self, pythons: Mapping[str, str], place: Place) -> Generator[dict[str, Worker]]:
        with contextlib.ExitStack() as stack:
            yield {
                side.name: stack.enter_context(
                    working(side.peer, pythons[side.peer.name], place.target, dict(side.options), place.authority)
                )
                for side in self._sides
            }

    def _compare(
        self, scheme: str, place: Place, crew: Mapping[str, Worker], targets: Sequence[Target], out: IO[str]
    ) -> bool:
        for number, side in enumerate(self._sides):
            worker = crew[side.name]
            write(out, "side", scheme=scheme, side=side.name, facts=worker.facts, options=dict(side.options))
            worker.carry_out({"do": "settle", "key": f"settled/{number}", "hold_bytes": side.hold_bytes})
        place.fresh()  # who examines has done so; from here on the loopback server throws bytes away
        for number, side in enumerate(self._sides):
            worker = crew[side.name]
            _succeeded(worker.carry_out({**side.warm, "key": f"warm/{number}"}), side)
        runs: dict[str, list[Figures]] = {side.name: [] for side in self._sides}
        for number, order in enumerate(shuffled(self._sides, self._asked.rounds, self._asked.seed)):
            for side in order:
                before = place.fresh()
                answer = crew[side.name].carry_out({**side.job, "key": f"{side.name.replace(' ', '-')}/{number}"})
                after = place.used()
                _succeeded(answer, side)
                figures = {
                    **{name: answer[name] for name in ("wall_s", "cpu_s", "created")},
                    **growth(answer),
                    **self._measure(answer),
                }
                if before is not None and after is not None:
                    figures |= {
                        "requests": after.requests - before.requests,
                        "server_cpu_s": after.cpu_s - before.cpu_s,
                        "server_busy": (after.cpu_s - before.cpu_s) / answer["wall_s"],
                    }
                runs[side.name].append(figures)
                write(out, "run", scheme=scheme, side=side.name, round=number, **rounded(figures))
                tell(f"{scheme:5} round {number} {side.name:48} {figures['wall_s']:8.3f} s")
        return self._conclude(scheme, runs, targets, out)

    def _conclude(
        self, scheme: str, runs: Mapping[str, list[Figures]], targets: Sequence[Target], out: IO[str]
    ) -> bool:
        tell("")
        for name, figures in runs.items():
            medians = {each: spread([run[each] for run in figures]) for each in figures[0]}
            bound = "server_busy" in medians and medians["server_busy"].median >= _BUSY
            write(
                out,
                "summary",
                scheme=scheme,
                side=name,
                rounds=len(figures),
                server_may_be_the_limit=bound,
                **{each: rounded(asdict(value)) for each, value in medians.items()},
            )
            shown = "  ".join(f"{each} {value.median:.4g}" for each, value in medians.items() if each in _SHOWN)
            tell(f"{scheme:5} {name:48} {shown}{'  (the server may be the limit)' if bound else ''}")
        met = True
        for target in targets:
            verdict = judged(target, runs)
            if verdict is None:
                continue
            met = met and verdict.met
            measured = verdict.measured
            write(out, "target", scheme=scheme, **asdict(target), **rounded(asdict(measured)), met=verdict.met)
            tell(
                f"{scheme:5} {'met   ' if verdict.met else 'MISSED'} {target.text}: {measured.median:.3g} "
                f"({measured.low:.3g} to {measured.high:.3g})"
            )
        tell("")
        return met


_SHOWN = ("cpu_s_per_gib", "mib_per_s", "cpu_us", "creates_per_s", "growth_mib", "requests", "server_busy")


def _succeeded(answer: Mapping[str, Any], side: Side) -> None:
    if answer["failed"] or not answer["created"]:
        raise RuntimeError(f"{side.name}: {answer['failed']} creates failed: {answer['failures']}")
