"""A grid of cells, measured in an order that is drawn anew each round, and written down run by run.

A file of results that is there is gone on with: runs that stand in it are not done again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Literal, cast

from benchmarks.harness.cells import MIB, Cell, World, known_by
from benchmarks.harness.environment import command, environment
from benchmarks.harness.figures import shuffled
from benchmarks.harness.named import PERSONAL, agreed, bucket_of, bucket_options, scheme_of
from benchmarks.harness.peers import default_cache, python_of
from benchmarks.harness.places import Place, Url, bucket, loopback
from benchmarks.harness.processes import Worker, working
from benchmarks.harness.roads import MB, ROADS, Road, road_of
from benchmarks.harness.telling import growth, rounded, tell, words, write
from storage_guard.engine.concurrency import MOST

_RANDOM_BYTES = 16 * MIB
_WARM_BYTES = 256 * MIB  # of which a client opens as many connections as it uses for more
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
_SOURCE = "source-"  # what is copied; its length follows


def study_options(
    parser: argparse.ArgumentParser, *, rounds: int = 3, links: str = "region", schemes: str = "http"
) -> None:
    bucket_options(parser)
    known = f"{', '.join(ROADS)} or LATENCY_MS/MB_S/MB_S_IN_ALL, with commas between"
    parser.add_argument("--links", type=_roads, default=_roads(links), help=f"of the loopback server: {known}")
    parser.add_argument("--schemes", type=words(("http", "https")), default=schemes.split(","), help="http,https")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"of all cells ({rounds})")
    parser.add_argument("--longest-s", type=float, default=60.0, help="cells that cannot be faster are left out")
    parser.add_argument("--enough-s", type=float, help="a cell that has taken so long in all its rounds has no more")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--out", type=Path, help="where the JSON lines go; a file that is there is gone on with")
    parser.add_argument("--folder", type=Path, help="where files to send are made, if not in memory")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where the peers' environments are kept")


def _roads(text: str) -> list[str]:
    try:
        return [road_of(each).name for each in text.split(",")]
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def mibs(text: str) -> list[float]:
    """Sizes, with commas between."""
    return [float(each) for each in text.split(",")]


class Study:
    """`name` is the module below `benchmarks`. `copy_mb_s`: that the loopback server copies in a request. `run` returns
    an exit code."""

    def __init__(
        self,
        name: str,
        asked: argparse.Namespace,
        services: Sequence[Literal["oss", "s3"]] = ("oss",),
        *,
        copy_mb_s: float | None = None,
    ) -> None:
        self._name = name
        self._asked = asked
        self._url: Url | None = None
        self._services = services
        self._copy_mb_s = copy_mb_s
        self._left: list[dict[str, Any]] = []  # cells that take too long

    def run(self, cells: Sequence[Cell], cells_of: Mapping[str, Sequence[Cell]] | None = None) -> int:
        """`cells` in every world; those of `cells_of` in the worlds of that service."""
        return self.run_in(
            lambda worlds: {world: [*cells, *(cells_of or {}).get(world.service, ())] for world in worlds}
        )

    def run_in(self, grid_of: Callable[[Sequence[World]], dict[World, Sequence[Cell]]]) -> int:
        """What `grid_of` wants measured in the worlds that were asked for."""
        asked = self._asked
        try:
            self._url = bucket_of(asked)
        except ValueError as exc:
            tell(f"benchmarks.{self._name}: {exc}")
            return 2
        grid = grid_of(self._worlds())
        for world, wanted in grid.items():
            grid[world] = all_of_it = [each for each in wanted if each.possible]
            for impossible in [each for each in wanted if not each.possible]:
                tell(f"left out, as no service takes it: {impossible.words}")
            if world.link is not None:
                road = road_of(world.link)
                shortest_s = {each: self._shortest_s(road, each) for each in all_of_it}
                grid[world] = [each for each in all_of_it if shortest_s[each] <= asked.longest_s]
                for left, least_s in shortest_s.items():
                    if least_s > asked.longest_s:
                        tell(f"left out, as it takes too long on {world.link}: {left.words}")
                        self._left.append(self._said(world) | left.described | {"least_s": float(f"{least_s:.3g}")})
        if self._url is not None and not self._agreed(grid):
            return 2
        try:
            with _results(asked.out, self._start()) as (out, run, had):
                self._all(grid, out, run, had)
        except ValueError as exc:
            tell(f"benchmarks.{self._name}: {exc}")
            return 2
        return 0

    def _worlds(self) -> list[World]:
        asked = self._asked
        if self._url is not None:
            return [World(self._url.service, scheme_of(asked), None)]
        return [
            World(service, scheme, link)
            for service in self._services
            for scheme in asked.schemes
            for link in asked.links
        ]

    def _agreed(self, grid: Mapping[World, Sequence[Cell]]) -> bool:
        """Whether what it costs was said, and --yes to it."""
        cells = [cell for each in grid.values() for cell in each] * self._asked.rounds
        sent_bytes = sum(cell.sent_bytes for cell in cells)
        sent_bytes += sum(size_bytes for each in grid.values() for size_bytes in _warm_bytes(each).values())
        return agreed(self._asked, sum(cell.requests for cell in cells), sent_bytes)

    def _start(self) -> dict[str, Any]:
        """The first line of the results."""
        given = {name: value for name, value in vars(self._asked).items() if name not in (*PERSONAL, "rounds")}
        said: dict[str, Any] = {"study": self._name, "command": command(f"benchmarks.{self._name}", given)}
        if self._url is not None:
            said["command"] += f" {self._url.service}://BUCKET --yes"
            place = f"{self._url.service} {self._url.bucket} {self._url.prefix} {self._asked.endpoint}"
            said["place"] = hashlib.sha256(place.encode()).hexdigest()[:12]  # so that no two are mixed up
        return said

    def _all(self, grid: Mapping[World, Sequence[Cell]], out: IO[str], run: str, had: Mapping[str, float]) -> None:
        rounds = self._asked.rounds
        progress = _Progress(sum(len(cells) for cells in grid.values()) * rounds)
        with tempfile.TemporaryDirectory(prefix="storage-guard-benchmark-", dir=_folder(self._asked.folder)) as made:
            files = _Files(Path(made))
            for cell_left in [] if had else self._left:
                write(out, "left out", **cell_left)
            for world, cells in grid.items():
                said = self._said(world)
                todo = [
                    (number, cell)
                    for number, order in enumerate(shuffled(cells, rounds, self._asked.seed))
                    for cell in order
                ]
                left = [each for each in todo if known_by(said, each[1].described, each[0]) not in had]
                progress.skip(len(todo) - len(left))
                spent = _Spent(math.inf if self._asked.enough_s is None else self._asked.enough_s)
                for number, cell in todo:
                    spent.add(cell, had.get(known_by(said, cell.described, number), 0.0))
                if left:
                    with self._place(world, run, Path(made)) as place:
                        cache = self._asked.cache
                        _World(said, place, files=files, cache=cache, out=out, progress=progress).measure(left, spent)

    @contextlib.contextmanager
    def _place(self, world: World, run: str, folder: Path) -> Generator[Place]:
        if self._url is not None:
            with bucket(self._url.target(run)) as place:
                yield place
        else:
            secure = world.scheme == "https"
            with loopback(world.service, world.link or "", folder, secure=secure, copy_mb_s=self._copy_mb_s) as place:
                yield place

    def _said(self, world: World) -> dict[str, Any]:
        """Of it, in each line of the results."""
        pace = {} if self._copy_mb_s is None else {"copy_mb_s": None if world.link is None else self._copy_mb_s}
        return {**asdict(world), **_road_of(world), **pace}

    def _shortest_s(self, road: Road, cell: Cell) -> float:
        if cell.do == "count":
            return -(-cell.objects // MOST) * road.latency_ms / 1000
        if cell.do == "copy":
            road = road.of_copies(self._copy_mb_s or math.inf)
        one = cell.in_flight == 1 or (cell.ours and cell.part_bytes is None)
        if cell.do == "stream" or (not cell.ours and not one):
            return road.floor_s(cell.size_bytes)
        lanes = cell.in_flight or MOST
        return cell.size_bytes / (min(road.total_mb_s, road.connection_mb_s * (1 if one else lanes)) * MB)


def _road_of(world: World) -> dict[str, float | None]:
    names = ("latency_ms", "connection_mb_s", "total_mb_s")
    road = None if world.link is None else road_of(world.link)
    return {name: None if road is None else getattr(road, name) for name in names}


def _warm_bytes(cells: Sequence[Cell]) -> dict[str, int]:
    """How much each side sends before anything is counted."""
    return {
        cell.side: min(_WARM_BYTES, max(each.size_bytes for each in cells if each.side == cell.side)) for cell in cells
    }


class _Spent:
    """How long cells have taken so far."""

    def __init__(self, enough_s: float) -> None:
        self._enough_s = enough_s
        self._spent_s: dict[Cell, float] = {}

    def add(self, cell: Cell, wall_s: float) -> None:
        self._spent_s[cell] = self._spent_s.get(cell, 0.0) + wall_s

    def enough(self, cell: Cell) -> bool:
        return self._spent_s.get(cell, 0.0) >= self._enough_s


class _World:
    """One place, with a worker for each peer that is asked there."""

    def __init__(
        self, said: dict[str, Any], place: Place, *, files: _Files, cache: Path, out: IO[str], progress: _Progress
    ) -> None:
        self._said = said
        self._place = place
        self._files = files
        self._cache = cache
        self._out = out
        self._progress = progress
        self._sources = set[str]()  # of copies, their keys
        self._keep = ""  # in this place
        self._ran = 0

    def measure(self, todo: Sequence[tuple[int, Cell]], spent: _Spent) -> None:
        self._keep = _SOURCE if any(cell.do == "copy" for _, cell in todo) else ""
        warm_bytes = _warm_bytes([cell for _, cell in todo])
        with contextlib.ExitStack() as stack:
            crew: dict[str, Worker] = {}
            for _, cell in todo:
                if cell.side not in crew:
                    crew[cell.side] = self._worker(stack, cell, warm_bytes[cell.side])
            for number, cell in todo:
                if spent.enough(cell):
                    self._progress.skip(1, told=False)
                else:
                    spent.add(cell, self._run(crew[cell.side], number, cell))

    def _worker(self, stack: contextlib.ExitStack, cell: Cell, warm_bytes: int) -> Worker:
        place = self._place
        python = python_of(cell.peer, self._cache)
        worker = stack.enter_context(working(cell.peer, python, place.target, dict(cell.options), place.authority))
        write(self._out, "side", **self._said, side=cell.side, facts=worker.facts, options=dict(cell.options))
        place.fresh()
        worker.carry_out({"do": "settle", "key": "settled", "hold_bytes": 0})
        warm = {"do": "file", "path": str(self._files.of(warm_bytes)), "key": "warm"}
        _succeeded(worker.carry_out(warm))
        return worker

    def _run(self, worker: Worker, number: int, cell: Cell) -> float:
        """How long it took."""
        self._ran += 1
        job: dict[str, Any] = {"do": cell.do, "key": f"object-{self._ran}", "bytes": cell.size_bytes}
        if cell.do == "copy":
            job["source"] = self._source(worker, cell)
        elif cell.do == "count":
            job["objects"] = cell.objects
        else:
            job["path"] = str(self._files.of(cell.size_bytes))
        if cell.ours and cell.warmed:
            worker.carry_out({"do": "warm", "key": "warm-again", "settings": cell.settings})
        before = self._place.fresh(keep=self._keep)
        answer = worker.carry_out(job)
        after = self._place.used()
        _succeeded(answer, cell.objects, cell.words)
        figures = {
            **{name: answer[name] for name in ("wall_s", "cpu_s")},
            **growth(answer),
            "mb_per_s": cell.sent_bytes / MB / answer["wall_s"],
        }
        if cell.do == "count":
            figures |= {
                "creates_per_s": cell.objects / answer["wall_s"],
                "cpu_us": answer["cpu_s"] / cell.objects * 1e6,
            }
        if before is not None and after is not None:
            figures |= {
                "requests": after.requests - before.requests,
                "connections": after.connections - before.connections,
                "server_busy": (after.cpu_s - before.cpu_s) / answer["wall_s"],
            }
        write(self._out, "run", **self._said, **cell.described, round=number, **rounded(figures))
        self._progress.done(f"{self._said['link'] or 'bucket'}: {cell.words}: {answer['wall_s']:.2f} s")
        wall_s: float = answer["wall_s"]
        return wall_s

    def _source(self, worker: Worker, cell: Cell) -> str:
        """The key of what is copied, which is written once and stays."""
        key = f"{_SOURCE}{cell.size_bytes}"
        if key not in self._sources:
            path = str(self._files.of(cell.size_bytes, random_bytes=0))
            _succeeded(worker.carry_out({"do": "file", "path": path, "key": key}))
            self._sources.add(key)
        return key


def _succeeded(answer: Mapping[str, Any], objects: int = 1, words: str = "to begin with") -> None:
    if answer["failed"] or answer["created"] != objects:
        raise RuntimeError(f"{words}: {answer['failures']}")


def _folder(asked: Path | None) -> Path | None:
    """Where nothing else is said in memory, if that is a folder here: of a file of ten gibibytes, nearly all a hole,
    nothing has to be read there, and none of it be kept. None: where temporary files are."""
    return _IN_MEMORY if asked is None and os.access(_IN_MEMORY, os.W_OK) else asked


class _Files:
    """Files to send, made when they are first asked for: 16 MiB of chance, and behind them a hole; or nothing but a
    hole, of which the copy of a range is what the discarding server says it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, size_bytes: int, random_bytes: int = _RANDOM_BYTES) -> Path:
        path = self._folder / f"{size_bytes}-{random_bytes}"
        if not path.exists():
            with path.open("wb") as file:
                file.write(os.urandom(min(size_bytes, random_bytes)))
                file.truncate(size_bytes)
        return path


class _Progress:
    def __init__(self, total: int) -> None:
        self._total = total
        self._done = self._skipped = 0
        self._began_s = time.monotonic()

    def skip(self, count: int, *, told: bool = True) -> None:
        self._skipped += count
        if count and told:
            tell(f"{count} runs are there already")

    def done(self, what: str) -> None:
        self._done += 1
        left = self._total - self._skipped - self._done
        left_min = (time.monotonic() - self._began_s) / self._done * left / 60
        tell(f"[{self._skipped + self._done}/{self._total}, {left_min:.0f} min left] {what}")


@contextlib.contextmanager
def _results(path: Path | None, start: dict[str, Any]) -> Generator[tuple[IO[str], str, dict[str, float]]]:
    """Where lines go, the name of the run, and how long each took that was done in it before. Raises ValueError for a
    file of another command."""
    run = secrets.token_hex(4)
    if path is None:
        write(sys.stdout, "environment", **start, run=run, **environment())
        yield sys.stdout, run, {}
        return
    lines = _lines_of(path)
    had: dict[str, float] = {}
    if lines:
        same = ("study", "command", "place")
        if [lines[0].get(name) for name in same] != [start.get(name) for name in same]:
            raise ValueError(f"--out is a file of another command: {lines[0].get('command')}")
        run = str(lines[0]["run"])
        had = {known_by(line, line, line["round"]): line["wall_s"] for line in lines if line["kind"] == "run"}
    with path.open("a", encoding="utf-8") as out:
        write(out, "environment", **start, run=run, **environment())
        yield out, run, had


def _lines_of(path: Path) -> list[dict[str, Any]]:
    """What is there; a last line that was not written to its end is cut off."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole, newline, rest = text.rpartition("\n")
    if rest:
        path.write_text(whole + newline, encoding="utf-8")
    return [cast("dict[str, Any]", json.loads(line)) for line in whole.splitlines()]
