"""Pictures as SVG, in code of our own: heat maps, lines, bars. Pure.

Colours are viridis', which those who see few colours can tell apart and which print as grey from dark to light; and
each cell has its number, each line its name and its own marks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.reporting.words import figure

_VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
# Okabe and Ito's, without those that are too pale on white.
_LINES = ("0072b2", "d55e00", "009e73", "cc79a7", "56b4e9", "000000", "e69f00", "888888", "5b3a8e")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2", "6 6", "3 1")
_LEGEND_WIDE = 460
_WORST = 4.0  # times the floor: from here on a cell is as dark as can be
_FONT = "font-family='system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif'"


def viridis(share: float) -> tuple[int, int, int]:
    """0: dark, 1: light."""
    at = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    low = min(int(at), len(_VIRIDIS) - 2)
    one, two = (_rgb(_VIRIDIS[each]) for each in (low, low + 1))
    return tuple(round(a + (b - a) * (at - low)) for a, b in zip(one, two, strict=True))  # type: ignore[return-value]


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def _ink(rgb: tuple[int, int, int]) -> str:
    """Black or white, whatever can be read on it (WCAG's relative luminance)."""
    parts = [value / 255 for value in rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return "#000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#fff"


def _text(x: float, y: float, words: str, *, anchor: str = "middle", size: int = 13, more: str = "") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' {_FONT} {more}>{escape(words)}</text>"
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    # A page has many pictures, and what one has a name for must not be found by another: no ids.
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' "
        f"height='{height:.0f}' role='img' aria-label='{escape(title, quote=True)}'>{''.join(parts)}</svg>"
    )


@dataclass(frozen=True)
class Spot:
    """A cell of a heat map: how many times the floor it took; `best` has a frame."""

    ratio: float
    best: bool = False


def heat_map(
    title: str,
    columns: Sequence[str],
    rows: Sequence[str],
    spots: Mapping[tuple[int, int], Spot],
    *,
    across: str,
    down: str,
) -> str:
    """`spots` by (row, column); what is missing was not measured."""
    wide, high, left, top = 74, 34, 118, 62
    width, height = left + max(wide * len(columns) + 20, _LEGEND_WIDE), top + high * len(rows) + 66
    parts = [_text(left + wide * len(columns) / 2, 20, across, more="font-weight='600'")]
    parts += [_text(left + wide * (number + 0.5), 48, name) for number, name in enumerate(columns)]
    parts.append(_text(8, 48, down, anchor="start", more="font-weight='600'"))
    framed: list[str] = []
    for row, name in enumerate(rows):
        y = top + high * row
        parts.append(_text(left - 10, y + high / 2 + 5, name, anchor="end"))
        for column in range(len(columns)):
            x = left + wide * column
            spot = spots.get((row, column))
            if spot is None:
                parts.append(f"<rect x='{x}' y='{y}' width='{wide}' height='{high}' fill='#fff' stroke='#ddd'/>")
                parts.append(_text(x + wide / 2, y + high / 2 + 5, "-", more="fill='#666'"))
                continue
            rgb = viridis(1 - math.log(max(spot.ratio, 1.0)) / math.log(_WORST))
            parts.append(
                f"<rect x='{x}' y='{y}' width='{wide}' height='{high}' fill='rgb{rgb}' stroke='#fff' stroke-width='1'/>"
            )
            weight = "font-weight='700' " if spot.best else ""
            parts.append(_text(x + wide / 2, y + high / 2 + 5, f"{spot.ratio:.2f}", more=f"{weight}fill='{_ink(rgb)}'"))
            if spot.best:
                framed.append(
                    f"<rect x='{x + 2}' y='{y + 2}' width='{wide - 4}' height='{high - 4}' fill='none' stroke='#000' "
                    "stroke-width='3'/>"
                    f"<rect x='{x + 4.5}' y='{y + 4.5}' width='{wide - 9}' height='{high - 9}' fill='none' "
                    "stroke='#fff' stroke-width='1.5'/>"
                )
    parts += framed
    parts.append(_legend(left, top + high * len(rows) + 18))
    return _svg(width, height, title, parts)


def _legend(x: float, y: float) -> str:
    parts: list[str] = []
    for number, ratio in enumerate((1.0, 1.25, 1.5, 2.0, 3.0, 4.0)):
        rgb = viridis(1 - math.log(ratio) / math.log(_WORST))
        at = x + number * 46
        parts.append(f"<rect x='{at}' y='{y}' width='46' height='14' fill='rgb{rgb}'/>")
        words = f"{ratio:g}" if ratio < _WORST else f"{ratio:g} and more"
        parts.append(
            _text(
                at + 23 if ratio < _WORST else at + 4,
                y + 29,
                words,
                size=11,
                anchor="middle" if ratio < _WORST else "start",
            )
        )
    parts.append(_text(x + 6 * 46 + 8, y + 11, "times what the link allows", anchor="start", size=11))
    return "".join(parts)


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    floor: bool = False


def lines(title: str, drawn: Sequence[Line], across: str, down: str, *, base: int = 2) -> str:
    """Both axes are logarithmic; what grows by `base` goes one step on."""
    left, top, wide, high = 76, 24, 500, 300
    width, height = left + wide + 230, top + high + 56
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]

    def log(value: float) -> float:
        return math.log2(value) / math.log2(base)

    x0, x1 = math.floor(log(min(xs))), math.ceil(log(max(xs)))
    y0, y1 = math.floor(log(min(ys))), math.ceil(log(max(ys)))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + wide * (log(x) - x0) / (x1 - x0),
            top + high - high * (log(y) - y0) / (y1 - y0),
        )

    parts: list[str] = []
    names_wide = 9 * max(len(_number(float(base) ** power)) for power in (x0, x1))
    for power in range(x0, x1 + 1, max(1, math.ceil((x1 - x0) * names_wide / wide))):
        x, _ = at(float(base) ** power, float(base) ** y0)
        parts.append(f"<line x1='{x:.1f}' y1='{top}' x2='{x:.1f}' y2='{top + high}' stroke='#e2e2e2'/>")
        parts.append(_text(x, top + high + 18, _number(float(base) ** power), size=12))
    for power in range(y0, y1 + 1, max(1, (y1 - y0) // 8)):
        _, y = at(float(base) ** x0, float(base) ** power)
        parts.append(f"<line x1='{left}' y1='{y:.1f}' x2='{left + wide}' y2='{y:.1f}' stroke='#e2e2e2'/>")
        parts.append(_text(left - 8, y + 4, _number(float(base) ** power), anchor="end", size=12))
    parts.append(_text(left + wide / 2, top + high + 42, across, more="font-weight='600'"))
    parts.append(_text(18, top + high / 2, down, more=f"font-weight='600' transform='rotate(-90 18 {top + high / 2})'"))
    # Names stand at the ends of their lines, moved apart where they would lie on each other.
    ends = sorted((at(*line.points[-1])[1], number) for number, line in enumerate(drawn))
    placed: dict[int, float] = {}
    below = -math.inf
    for y, number in ends:
        below = placed[number] = max(y, below + 16)
    for number, line in enumerate(drawn):
        colour = "#999" if line.floor else f"#{_LINES[number % len(_LINES)]}"
        points = [at(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = "2 2" if line.floor else _DASHES[number % len(_DASHES)]
        parts.append(
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2' stroke-dasharray='{dash}'/>"
        )
        if not line.floor:
            parts += [_mark(number, x, y, colour) for x, y in points]
        x, y = points[-1]
        parts.append(
            f"<line x1='{x + 5:.1f}' y1='{y:.1f}' x2='{left + wide + 12}' y2='{placed[number]:.1f}' stroke='#bbb' "
            "stroke-width='0.7'/>"
        )
        parts.append(
            _text(left + wide + 15, placed[number] + 4, line.name, anchor="start", size=12, more=f"fill='{colour}'")
        )
    return _svg(width, max(height, below + 20), title, parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def _mark(number: int, x: float, y: float, colour: str) -> str:
    match number % 4:
        case 0:
            return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>"
        case 1:
            return f"<rect x='{x - 4:.1f}' y='{y - 4:.1f}' width='8' height='8' fill='{colour}'/>"
        case 2:
            return f"<path d='M{x:.1f} {y - 5:.1f} l5 9 h-10 z' fill='{colour}'/>"
        case _:
            return f"<path d='M{x:.1f} {y - 5:.1f} l5 5 l-5 5 l-5 -5 z' fill='{colour}'/>"


@dataclass(frozen=True)
class Bar:
    """`low` to `high` is the spread."""

    name: str
    value: float
    low: float
    high: float
    ours: bool = False
    hatched: bool = False


def bars(title: str, drawn: Sequence[Bar], unit: str, *, mark: tuple[float, str] | None = None) -> str:
    """One below the other. `mark`: a value that means something, and what. Hatched ones are not quite the same work."""
    left, top, wide, high = 300, 30, 380, 26
    width, height = left + wide + 110, top + high * len(drawn) + 44
    most = max([bar.high for bar in drawn] + ([mark[0]] if mark else [])) or 1.0
    parts: list[str] = []
    for number, bar in enumerate(drawn):
        y = top + high * number
        long = wide * bar.value / most
        fill = "#0072b2" if bar.ours else "#b8b8b8"
        parts.append(_text(left - 10, y + 17, bar.name, anchor="end", more="font-weight='700'" if bar.ours else ""))
        parts.append(f"<rect x='{left}' y='{y + 4}' width='{long:.1f}' height='{high - 8}' fill='{fill}'/>")
        if bar.hatched:
            parts += [
                f"<line x1='{left + at:.1f}' y1='{y + 4}' x2='{left + max(0, at - 9):.1f}' y2='{y + high - 4}' "
                "stroke='#fff' stroke-width='2'/>"
                for at in range(9, int(long) + 1, 9)
            ]
        low, upper = left + wide * bar.low / most, left + wide * bar.high / most
        parts.append(
            f"<path d='M{low:.1f} {y + 9} v8 M{low:.1f} {y + 13} H{upper:.1f} M{upper:.1f} {y + 9} v8' stroke='#000' "
            "fill='none'/>"
        )
        parts.append(_text(max(left + long, upper) + 8, y + 17, f"{figure(bar.value)} {unit}", anchor="start", size=12))
    if mark is not None:
        x = left + wide * mark[0] / most
        end = top + high * len(drawn)
        parts.append(
            f"<line x1='{x:.1f}' y1='{top - 6}' x2='{x:.1f}' y2='{end}' stroke='#d55e00' stroke-dasharray='4 3'/>"
        )
        parts.append(_text(x, end + 18, mark[1], size=12, more="fill='#a04000'"))
    return _svg(width, height, title, parts)
