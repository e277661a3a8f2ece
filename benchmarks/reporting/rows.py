"""Lines of results, put together: a row for each cell, with its median, what the link allows, and what was to be
expected. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.harness.figures import Spread, spread
from benchmarks.harness.roads import MIB, ROADS, Road, Timed, fitted

OURS = "storage-guard"
A_BUCKET = "a bucket"
_LEAST_MIB = {"s3": 5.0}  # of a part: a line says what the library would like
MISS = 0.10  # a prediction that is off by more is told


@dataclass(frozen=True)
class World:
    service: str
    scheme: str
    link: str

    @property
    def words(self) -> str:
        return f"{self.link} ({self.service.upper()}, {self.scheme})"

    @property
    def place(self) -> tuple[int, str, str, str]:
        """To sort by: the links that have a name come first, in the order of their names."""
        order = list(ROADS).index(self.link) if self.link in ROADS else len(ROADS)
        return order, self.link, self.service, self.scheme


@dataclass(frozen=True)
class Row:
    """A cell. `part_mib` None: in one request, or of a peer. `default`: nothing was said. `floor_s` and `predicted_s`
    are None where nothing is known of the way. `walls_s` by the number of the round. `objects` in one call, and how
    many a second, and what each cost the client's processor. `copy_mb_s`: what the service copied in a request."""

    study: str
    world: World
    side: str
    do: str
    size_mib: float
    part: str
    part_mib: float | None
    in_flight: int | None
    memory_mib: float | None
    rounds: int
    wall_s: Spread
    mb_per_s: Spread
    cpu_s: float
    growth_mib: float | None
    requests: float | None
    server_busy: float | None
    floor_s: float | None
    predicted_s: float | None
    walls_s: Mapping[int, float]
    objects: int = 1
    creates_per_s: Spread | None = None
    cpu_us: Spread | None = None
    copy_mb_s: float | None = None

    @property
    def ours(self) -> bool:
        return self.side == OURS

    @property
    def default(self) -> bool:
        """Nobody said how to cut it, or how much memory it may have."""
        return self.ours and self.part == "default" and self.in_flight is None

    @property
    def ratio(self) -> float | None:
        """To the floor."""
        return None if self.floor_s is None else self.wall_s.median / self.floor_s

    @property
    def gap(self) -> float | None:
        """By how much of the prediction it took longer; negative: it took less."""
        return None if self.predicted_s is None else self.wall_s.median / self.predicted_s - 1

    @property
    def setting(self) -> str:
        if not self.ours:
            return self.side
        memory = "" if self.memory_mib is None else f", {self.memory_mib:g} MiB of memory"
        if self.default:
            return f"nothing said{memory}"
        part = "one request" if self.part_mib is None else f"parts of {self.part_mib:g} MiB"
        lanes = "adaptive" if self.in_flight is None else f"{self.in_flight} at a time"
        return part if self.part_mib is None else f"{part}, {lanes}{memory}"


@dataclass(frozen=True)
class Left:
    """A cell that was left out, because it takes `least_s` at least."""

    study: str
    world: World
    side: str
    size_mib: float
    least_s: float


@dataclass(frozen=True)
class Results:
    """`environments` are the lines that say where and by which command; `facts` of each side of a service, in words;
    `roads` of each link, `guessed` those that were found from the figures; `left` is what took too long to be
    measured."""

    rows: tuple[Row, ...]
    environments: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, str]
    roads: Mapping[str, Road]
    guessed: frozenset[str]
    left: tuple[Left, ...] = ()

    def of(self, study: str) -> list[Row]:
        return [row for row in self.rows if row.study == study]


def parsed(texts: Iterable[str]) -> Results:
    """Of files of JSON lines, as the studies write them. Raises ValueError for what is none, and for no run at all."""
    runs: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    environments: list[Mapping[str, Any]] = []
    facts: dict[str, str] = {}
    roads: dict[str, Road] = {}
    left: list[Left] = []
    for text in texts:
        study = ""
        for line in _objects(text):
            kind = line.get("kind")
            if kind == "environment":
                study = str(line.get("study", ""))
                environments.append(line)
            elif kind == "side":
                facts[f"{line['service']} {line['side']}"] = ", ".join(
                    f"{name} {value}" for name, value in line["facts"].items()
                )
            elif kind == "left out":
                world = World(line["service"], line["scheme"], line["link"])
                left.append(Left(study, world, line["side"], line["size_mib"], line["least_s"]))
            elif kind == "run" and study:
                link = line["link"] or A_BUCKET
                if line["latency_ms"] is not None:
                    roads[link] = Road(link, line["latency_ms"], line["connection_mb_s"], line["total_mb_s"])
                runs.setdefault(_cell(study, line), []).append(line)
    if not runs:
        raise ValueError("no runs of a study are in these files")
    guessed = {line["link"] or A_BUCKET for lines in runs.values() for line in lines} - roads.keys()
    for link in guessed:
        timed = [
            Timed(
                int(lines[0]["size_mib"] * MIB),
                _part_bytes(lines[0]),
                lines[0].get("in_flight"),
                spread([line["wall_s"] for line in lines]).median,
            )
            for lines in runs.values()
            if (lines[0]["link"] or A_BUCKET) == link and lines[0]["side"] == OURS and lines[0]["do"] == "file"
        ]
        if len(timed) >= 4:
            roads[link] = fitted(link, timed)
    rows = [_row(str(key[0]), lines, roads) for key, lines in runs.items()]
    rows.sort(key=lambda row: (row.world.place, row.size_mib))
    return Results(tuple(rows), tuple(environments), facts, roads, frozenset(guessed & roads.keys()), tuple(left))


def _objects(text: str) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found = json.loads(line)
        except ValueError as exc:
            raise ValueError(f"line {number} is no JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise ValueError(f"line {number} is no object")  # noqa: TRY004 - a file may be wrong, no type is
        yield cast("dict[str, Any]", found)


def _cell(study: str, line: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("service", "scheme", "link", "side", "do", "size_mib", "part", "part_mib", "in_flight", "memory_mib")
    return (study, *(line.get(name) for name in (*names, "objects", "copy_mb_s")))


def _part_mib(line: Mapping[str, Any]) -> float | None:
    mib: float | None = line.get("part_mib")
    return None if mib is None else max(mib, _LEAST_MIB.get(line["service"], 0.0))


def _part_bytes(line: Mapping[str, Any]) -> int | None:
    mib = _part_mib(line)
    return None if mib is None else int(mib * MIB)


def _row(study: str, lines: Sequence[Mapping[str, Any]], roads: Mapping[str, Road]) -> Row:
    first = lines[0]
    link = first["link"] or A_BUCKET
    road = roads.get(link)
    size_bytes = int(first["size_mib"] * MIB)
    ours = first["side"] == OURS
    copying, copy_mb_s = first["do"] == "copy", first.get("copy_mb_s")
    look_s = 0.0
    if road is not None and copying:
        # Which takes as long as an upload over connections that are as fast as the service copies, and a look at the
        # source; in a bucket nobody knows how fast that is.
        look_s = road.latency_ms / 1000
        road = None if copy_mb_s is None else road.of_copies(copy_mb_s)
    predicted_s = None
    if road is not None and ours and (first["do"] == "file" or copying):
        predicted_s = look_s + road.predicted_s(size_bytes, _part_bytes(first), first.get("in_flight"))

    def median(name: str) -> float | None:
        values = [line[name] for line in lines if name in line]
        return spread(values).median if values else None

    def spread_of(name: str) -> Spread | None:
        return spread([line[name] for line in lines]) if name in first else None

    return Row(
        study,
        World(first["service"], first["scheme"], link),
        first["side"],
        first["do"],
        first["size_mib"],
        str(first.get("part", "")),
        _part_mib(first),
        first.get("in_flight"),
        first.get("memory_mib"),
        len(lines),
        spread([line["wall_s"] for line in lines]),
        spread([line["mb_per_s"] for line in lines]),
        median("cpu_s") or 0.0,
        median("growth_mib"),
        median("requests"),
        median("server_busy"),
        None if road is None or first["do"] == "count" else road.floor_s(size_bytes) + look_s,
        predicted_s,
        {line["round"]: line["wall_s"] for line in lines},
        first.get("objects", 1),
        spread_of("creates_per_s"),
        spread_of("cpu_us"),
        copy_mb_s if copying else None,
    )


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
