"""Shrinking: from a script that breaks a law to a short one that breaks the same law, and telling it to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from storage_guard.testing.histories.checker import Violation, check
from storage_guard.testing.histories.history import History
from storage_guard.testing.histories.run import Played
from storage_guard.testing.histories.script import Script

Replay = Callable[[Script], Played]


def shrink(played: Played, law: str, replay: Replay, *, most_replays: int = 600) -> Played:
    """The shortest play that was found to break `law`: without clients, operations, faults and changes of turn that
    it does not need, and with plainer operations. Plays at most `most_replays` times."""
    left = most_replays
    again = True
    while again:
        again = False
        for script in _smaller(played.script):
            if left == 0:
                return played
            left -= 1
            smaller = replay(script)
            if any(violation.law == law for violation in check(smaller.history)):
                # What did not strike, and turns that nobody took, are gone from the script of what was played.
                played, again = smaller, True
                break
    return played


def _smaller(script: Script) -> Iterator[Script]:
    """Scripts with less in them, the boldest first."""
    numbers = [step.number for step in script.steps]
    for client in script.clients:
        if len(script.clients) > 1:
            own = {step.number for step in client}
            yield script.only(number for number in numbers if number not in own)
    chunk = len(numbers) // 2
    while chunk:
        for start in range(0, len(numbers), chunk):
            yield script.only(numbers[:start] + numbers[start + chunk :])
        chunk //= 2
    yield from _with_fewer_faults(script)
    for step in script.steps:
        for simpler in step.operation.simpler():
            yield script.with_operation(step.number, simpler)
    yield from _with_fewer_changes(script)


def _with_fewer_faults(script: Script) -> Iterator[Script]:
    faults = list((script.faults or {}).items())
    chunk = len(faults)
    while chunk:
        for start in range(0, len(faults), chunk):
            yield replace(script, faults=dict(faults[:start] + faults[start + chunk :]))
        chunk //= 2
    milder = {"LATE": "LOST_AFTER", "TWICE": "LOST_AFTER", "INTERRUPT_AFTER": "LOST_AFTER", "CUT": "LOST_BEFORE"}
    for at, name in faults:
        if name in milder:
            yield replace(script, faults={**dict(faults), at: milder[name]})


def _with_fewer_changes(script: Script) -> Iterator[Script]:
    """One client after the other as long as possible: a turn moves to the one before it of the same operation."""
    turns = list(script.turns or ())
    for place in range(1, len(turns)):
        earlier = [at for at in range(place) if turns[at].number == turns[place].number]
        if earlier and earlier[-1] != place - 1 and turns[place].late is None:
            moved = [*turns[: earlier[-1] + 1], turns[place], *turns[earlier[-1] + 1 : place], *turns[place + 1 :]]
            yield replace(script, turns=tuple(moved))


def show(history: History, violations: list[Violation] | None = None) -> str:
    """The history, one line an operation or late arrival, in the order of their beginnings; names are shortened.

    What was asked when all was over is left out, but for what a violation speaks of. `@n` and `n..m` are moments of
    one order; `!FAULT` is what a request met.
    """
    spoken = {number for violation in violations or () for number in violation.calls}
    names: dict[str, str] = {}
    for call in history.calls:
        for write_id in call.write_ids:
            names.setdefault(write_id, f"id#{call.number}" if len(write_id) == 32 else write_id)
    lines: list[tuple[int, str]] = []
    for call in history.calls:
        if call.client == "end" and call.number not in spoken:
            continue
        told = call.told
        heard: str = "nothing" if told is None else told.what
        if told is not None:
            heard += "".join(f" {seen.key} {_short(seen.write_id, names)}" for seen in told.seen[:4])
            heard += f" ({_shortened(told.words, names)})" if told.words else ""
        line = f"{call.began}..{call.ended} {call.client} #{call.number} {call.asked.words} [{' '.join(call.trace)}]"
        lines.append((call.began, f"{line} -> {heard}"))
    lines += [(each.at, f"{each.at} the late {each.words} of #{each.number} arrives") for each in history.arrivals]
    told_of = [f"BROKEN {_shortened(str(each), names)}" for each in violations or ()]
    return "\n".join([line for _, line in sorted(lines)] + told_of)


def length(history: History) -> int:
    """How many lines `show` needs for what the clients did."""
    return sum(call.client != "end" for call in history.calls) + len(history.arrivals)


def _short(write_id: str | None, names: Mapping[str, str]) -> str:
    return "-" if write_id is None else names.get(write_id, write_id[:8])


def _shortened(words: str, names: Mapping[str, str]) -> str:
    for write_id, name in names.items():
        words = words.replace(write_id, name)
    return words if len(words) <= 160 else words[:157] + "..."
