"""Sides that do the same work by turns, against one server, and what is written of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from benchmarks.harness.certificates import make_certificates
from benchmarks.harness.environment import command, environment
from benchmarks.harness.figures import Figures, Target, judged, judged_over, shuffled, spread
from benchmarks.harness.peers import PEERS, Peer, default_cache, python_of
from benchmarks.harness.processes import Server, Worker, serving, target_of, working

MIB = 1 << 20
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


def words(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Of an option that is some of these, with commas between."""

    def parse(text: str) -> list[str]:
        found = [word for word in text.split(",") if word]
        for word in found:
            if word not in known:
                raise argparse.ArgumentTypeError(f"no {word!r}: there is {', '.join(known)}")
        return found

    return parse


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
    A table goes to standard error."""

    def __init__(
        self,
        module: str,
        asked: argparse.Namespace,
        sides: Sequence[Side],
        measure: Measure,
        service: Literal["oss", "s3"] = "oss",
    ) -> None:
        self._module = module
        self._service: Literal["oss", "s3"] = service
        self._asked = asked
        self._sides = [side for side in sides if side.peer.name in asked.peers]
        self._measure = measure

    def run(self, targets: Sequence[Target]) -> bool:
        """Whether all targets that could be judged are met. Raises RuntimeError when a create fails."""
        asked = self._asked
        pythons = {side.peer.name: python_of(side.peer, asked.cache) for side in self._sides}
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(asked.out.open("w")) if asked.out else sys.stdout
            write(out, "environment", command=command(self._module, vars(asked)), **environment())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storage-guard-benchmark-")))
            authority, certificate = make_certificates(folder)
            met = True
            for scheme in asked.schemes:
                secure = scheme == "https"
                with (
                    serving(certificate if secure else None, service=self._service, examined=True) as server,
                    self._crew(pythons, server, authority if secure else None) as crew,
                ):
                    met = self._compare(scheme, server, crew, judged_over(scheme, targets), out) and met
            return met

    @contextlib.contextmanager
    def _crew(self, pythons: Mapping[str, str], server: Server, authority: Path | None) -> Generator[dict[str, Worker]]:
        target = target_of(server, self._service)
        with contextlib.ExitStack() as stack:
            yield {
                side.name: stack.enter_context(
                    working(side.peer, pythons[side.peer.name], target, dict(side.options), authority)
                )
                for side in self._sides
            }

    def _compare(
        self, scheme: str, server: Server, crew: Mapping[str, Worker], targets: Sequence[Target], out: IO[str]
    ) -> bool:
        for number, side in enumerate(self._sides):
            worker = crew[side.name]
            write(out, "side", scheme=scheme, side=side.name, facts=worker.facts, options=dict(side.options))
            worker.carry_out({"do": "settle", "key": f"settled/{number}", "hold_bytes": side.hold_bytes})
        server.forget()  # who examines has done so; from here on bytes are thrown away
        for number, side in enumerate(self._sides):
            worker = crew[side.name]
            _succeeded(worker.carry_out({**side.warm, "key": f"warm/{number}"}), side)
        runs: dict[str, list[Figures]] = {side.name: [] for side in self._sides}
        for number, order in enumerate(shuffled(self._sides, self._asked.rounds, self._asked.seed)):
            for side in order:
                before = server.forget()
                answer = crew[side.name].carry_out({**side.job, "key": f"{side.name.replace(' ', '-')}/{number}"})
                after = server.used()
                _succeeded(answer, side)
                server_cpu_s = after.cpu_s - before.cpu_s
                figures = {
                    **{name: answer[name] for name in ("wall_s", "cpu_s", "created")},
                    **growth(answer),
                    **self._measure(answer),
                    "requests": after.requests - before.requests,
                    "server_cpu_s": server_cpu_s,
                    "server_busy": server_cpu_s / answer["wall_s"],
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
            bound = medians["server_busy"].median >= _BUSY
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


def growth(answer: Mapping[str, Any]) -> dict[str, float]:
    """Nothing where the system does not tell."""
    size_bytes = answer["growth_bytes"]
    return {} if size_bytes is None else {"growth_mib": size_bytes / MIB}


def _succeeded(answer: Mapping[str, Any], side: Side) -> None:
    if answer["failed"] or not answer["created"]:
        raise RuntimeError(f"{side.name}: {answer['failed']} creates failed: {answer['failures']}")


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Five digits: more are noise."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}


def write(out: IO[str], kind: str, **said: object) -> None:
    out.write(json.dumps({"kind": kind, **said}) + "\n")
    out.flush()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
