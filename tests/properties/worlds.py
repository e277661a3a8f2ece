"""Small worlds, explored to the end: one key, two creators that run `outcome.step`, and everything that can go wrong.

A state of the world is a tuple of small numbers and strings. `explore` visits every state that can be reached, in
every order in which requests can be answered, lost, delayed, sent twice, delivered after the verdict, while a rival
writes, somebody removes, sweeps uploads, or time runs out; each visited state is held against the laws. A creator may
go on with an upload that a process left which died, and whose finish may still be on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from storage_guard import outcome
from storage_guard.outcome import Answer, Doing, IfExists, Verdict, Write

Step = Callable[[Write, Answer], Write]
RIVAL = "r"


@dataclass(frozen=True)
class Creator:
    """One `create` call. Creators with equal names and bytes are the same logical write, made by two processes."""

    multipart: bool
    if_exists: IfExists = "error"
    write_id: str = ""  # "" is a fresh one
    data: str = "x"
    rewindable: bool = True
    may_look: bool = True  # False: HEAD is forbidden to this role
    left: Literal["", "open", "finishing"] = ""  # goes on with an upload left open, or behind a finish that was sent


@dataclass(frozen=True)
class World:
    """What may happen, and how often."""

    creators: tuple[Creator, ...]
    losses: int = 0  # a commit or abort goes unanswered: acted, not acted, or still on its way
    blind: int = 0  # HEAD and ListParts get no answer
    twice: int = 0  # a proxy sends a commit twice
    busy: int = 0
    conflicts: int = 0
    refusals: int = 0
    removals: int = 0
    rivals: int = 0
    sweeps: int = 0
    looks: int = 0  # a glance at the key while parts are sent
    lateness: bool = True


class Client(NamedTuple):
    write: int  # index into Explorer.writes
    upload: str = ""  # "" none, "open", "finishing" (the store is at it), "gone"
    serial: int = 0  # which upload of this client that is
    whole: bool = False  # that upload has all its parts
    troubled: bool = False  # something of its own went wrong, or a pause ran out
    final: str = ""  # the verdict's name, once there is one
    landed_then: int = 0  # how often it had landed when the verdict came


class State(NamedTuple):
    at_key: str  # "" or whose object it is
    landed: tuple[int, ...]
    clients: tuple[Client, ...]
    floating: tuple[tuple[str, int, int], ...]  # (request, client, serial) that may yet be carried out
    spent: tuple[int, ...]  # by the order of _BUDGETS
    removed: int


_BUDGETS = ("losses", "blind", "twice", "busy", "conflicts", "refusals", "removals", "rivals", "sweeps", "looks")
_LOSSES, _BLIND, _TWICE, _BUSY, _CONFLICTS, _REFUSALS, _REMOVALS, _RIVALS, _SWEEPS, _LOOKS = range(len(_BUDGETS))


class LawBroken(AssertionError):
    """A reachable state breaks a law; `args[0]` says which and tells the way there."""


@dataclass
class Explorer:
    """Breadth first, so that the story of a broken law is a shortest one."""

    world: World
    step: Step = outcome.step
    writes: list[Write] = field(default_factory=list[Write])
    _index: dict[Write, int] = field(default_factory=dict[Write, int])
    _stepped: dict[tuple[int, Answer], int] = field(default_factory=dict[tuple[int, Answer], int])

    def explore(self) -> int:
        """Visit everything; the number of states. Raises LawBroken with a shortest story."""
        first = self._first()
        came_from: dict[State, tuple[State, str] | None] = {first: None}
        todo = deque([first])
        while todo:
            state = todo.popleft()
            for what, after in self._moves(state):
                if after in came_from:
                    continue
                came_from[after] = (state, what)
                try:
                    self._check(state, after)
                except AssertionError as exc:
                    raise LawBroken(f"{exc}\n{_story(came_from, after)}") from exc
                todo.append(after)
        return len(came_from)

    def _first(self) -> State:
        """Nothing is at the key, and of dead processes there are uploads, and perhaps a finish that may yet arrive."""
        floating = tuple(
            ("dead one's finish", which, 1)
            for which, each in enumerate(self.world.creators)
            if each.left == "finishing"
        )
        clients = tuple(self._client(each) for each in self.world.creators)
        return State("", (0,) * len(clients), clients, floating, (0,) * len(_BUDGETS), 0)

    def _client(self, creator: Creator) -> Client:
        named = bool(creator.write_id)
        if not creator.left:
            write = outcome.start(
                multipart=creator.multipart,
                if_exists=creator.if_exists,
                named=named,
                rewindable=creator.rewindable,
            )
            return Client(self._intern(write))
        finishing = creator.left == "finishing"
        write = outcome.go_on(committing=finishing, if_exists=creator.if_exists, named=named)
        return Client(self._intern(write), upload="open", serial=1, troubled=finishing)

    def _intern(self, write: Write) -> int:
        if write not in self._index:
            self._index[write] = len(self.writes)
            self.writes.append(write)
        return self._index[write]

    # What the world can do next

    def _moves(self, state: State) -> Iterator[tuple[str, State]]:
        for which, client in enumerate(state.clients):
            write = self.writes[client.write]
            if write.verdict is not None:
                continue
            if write.pause and self.world.lateness:
                yield f"{which}: time is up", self._answer(state, which, Answer.LATE, trouble=True)
            yield from self._requests(state, which, write)
        for index, (request, which, serial) in enumerate(state.floating):
            rest = state._replace(floating=state.floating[:index] + state.floating[index + 1 :])
            yield f"{which}: a late {request} is carried out", self._deliver(rest, request, which, serial)
            if request == "dead one's finish" and (started := self._start_finish(rest, which, serial)):
                yield f"{which}: a late {request} is at work", started
        if not state.at_key and (spent := self._spend(state, _RIVALS)):
            yield "a rival writes", spent._replace(at_key=RIVAL)
        if state.at_key and (spent := self._spend(state, _REMOVALS)):
            yield "somebody removes the object", spent._replace(at_key="", removed=state.removed + 1)
        for which, client in enumerate(state.clients):
            if client.upload == "open" and (spent := self._spend(state, _SWEEPS)):
                yield f"{which}: somebody sweeps the upload", _with(spent, which, upload="gone", troubled=True)

    def _requests(self, state: State, which: int, write: Write) -> Iterator[tuple[str, State]]:
        match write.doing:
            case Doing.BEGIN:
                state = _with(state, which, whole=False)
                begun = _with(state, which, upload="open", serial=state.clients[which].serial + 1)
                yield f"{which}: begin", self._answer(begun, which, Answer.DONE)
                if state.at_key:
                    yield f"{which}: begin is refused", self._answer(state, which, Answer.EXISTS_SOLE)
                if spent := self._spend(state, _LOSSES):
                    yield f"{which}: begin is lost", self._answer(spent, which, Answer.LOST, trouble=True)
            case Doing.PARTS:
                yield from self._parts(state, which)
            case Doing.COMMIT:
                yield from self._commits(state, which)
            case Doing.ABORT:
                yield from self._aborts(state, which)
            case Doing.LIST:
                known = state.clients[which].upload in ("open", "finishing")
                yield f"{which}: list", self._answer(state, which, Answer.OPEN if known else Answer.GONE_SOLE)
                if spent := self._spend(state, _BLIND):
                    yield f"{which}: list fails", self._answer(spent, which, Answer.FAILED, trouble=True)
            case Doing.HEAD:
                yield from self._heads(state, which)
            case Doing.COMPARE:
                yield f"{which}: compare", self._answer(state, which, self._compare(state, which))
            case Doing.NOTHING:
                pass

    def _parts(self, state: State, which: int) -> Iterator[tuple[str, State]]:
        upload = state.clients[which].upload
        if upload in ("open", "finishing"):
            yield f"{which}: parts", self._answer(_with(state, which, whole=True), which, Answer.DONE)
        if upload in ("gone", "finishing"):
            yield f"{which}: parts of an upload that is gone", self._answer(state, which, Answer.GONE_SOLE)
        if spent := self._spend(state, _REFUSALS):
            yield f"{which}: a part is refused", self._answer(spent, which, Answer.REFUSED, trouble=True)
        looks = state.at_key and self.world.creators[which].may_look
        if looks and (spent := self._spend(state, _LOOKS)):
            yield f"{which}: a glance beside the parts", self._answer(spent, which, self._whose(state, which))

    def _commits(self, state: State, which: int) -> Iterator[tuple[str, State]]:
        name = f"{which}: {'finish' if self.world.creators[which].multipart else 'put'}"
        serial = state.clients[which].serial
        acted, answer = self._act(state, which)
        yield name, self._answer(acted, which, answer)
        if spent := self._spend(state, _LOSSES):
            lost = self._act(spent, which)[0]
            yield f"{name}, its answer is lost", self._answer(lost, which, Answer.LOST, trouble=True)
            yield f"{name} never arrives", self._answer(spent, which, Answer.LOST, trouble=True)
            late = spent._replace(floating=_sorted(spent.floating, ("commit", which, serial)))
            yield f"{name} is delayed", self._answer(late, which, Answer.LOST, trouble=True)
            if started := self._start_finish(spent, which, serial):
                yield f"{name} is at work, its answer is lost", self._answer(started, which, Answer.LOST, trouble=True)
        if spent := self._spend(state, _TWICE):
            first = self._act(spent, which)[0]
            second, answer = self._act(first, which)
            yield f"{name} twice", self._answer(second, which, _doubtful(answer), trouble=True)
            if started := self._start_finish(spent, which, serial):
                yield f"{name} twice, the first is at work", self._answer(started, which, Answer.GONE, trouble=True)
                yield (
                    f"{name} twice, the first is at work, the second in conflict",
                    self._answer(started, which, Answer.CONFLICT, trouble=True),
                )
        for budget, kind in ((_BUSY, Answer.BUSY), (_CONFLICTS, Answer.CONFLICT), (_REFUSALS, Answer.REFUSED)):
            if spent := self._spend(state, budget):
                yield f"{name}: {kind.name.lower()}", self._answer(spent, which, kind, trouble=True)

    def _act(self, state: State, which: int) -> tuple[State, Answer]:
        """The store carries a commit out, now and whole."""
        multipart = self.world.creators[which].multipart
        if multipart and state.clients[which].upload != "open":
            return state, Answer.GONE_SOLE
        if state.at_key:
            return state, Answer.EXISTS_SOLE
        if multipart:
            state = _with(state, which, upload="gone")
        return _land(state, which), Answer.DONE

    def _start_finish(self, state: State, which: int, serial: int) -> State | None:
        client = state.clients[which]
        if client.upload != "open" or client.serial != serial or state.at_key:
            return None
        busy = _with(state, which, upload="finishing")
        return busy._replace(floating=_sorted(busy.floating, ("landing", which, client.serial)))

    def _deliver(self, state: State, request: str, which: int, serial: int) -> State:
        client = state.clients[which]
        if not self.world.creators[which].multipart:
            return state if state.at_key else _land(state, which)
        wanted = "finishing" if request == "landing" else "open"
        if serial != client.serial or client.upload != wanted:
            return state  # an upload that is gone, or a newer one: this request finds nothing
        if state.at_key:
            return _with(state, which, upload="open")
        return _land(_with(state, which, upload="gone"), which)

    def _aborts(self, state: State, which: int) -> Iterator[tuple[str, State]]:
        upload = state.clients[which].upload
        outcomes: list[tuple[str, State, Answer]] = []
        if upload == "open":
            outcomes.append(("abort", _with(state, which, upload="gone"), Answer.DONE))
        elif upload == "finishing":
            outcomes.append(("abort stops the finish", _with(state, which, upload="gone"), Answer.DONE))
            outcomes.append(("abort comes too late", state, Answer.GONE_SOLE))
            outcomes.append(("abort is accepted, the finish goes on", state, Answer.DONE))
        else:
            outcomes.append(("abort finds nothing", state, Answer.GONE_SOLE))
        for what, after, answer in outcomes:
            yield f"{which}: {what}", self._answer(after, which, answer)
            if spent := self._spend(after, _LOSSES):
                yield f"{which}: {what}, answer lost", self._answer(spent, which, Answer.LOST, trouble=True)
        if spent := self._spend(state, _LOSSES):
            yield f"{which}: abort never arrives", self._answer(spent, which, Answer.LOST, trouble=True)
        if spent := self._spend(state, _REFUSALS):
            yield f"{which}: abort is refused", self._answer(spent, which, Answer.REFUSED, trouble=True)

    def _heads(self, state: State, which: int) -> Iterator[tuple[str, State]]:
        if not self.world.creators[which].may_look:
            yield f"{which}: head is forbidden", self._answer(state, which, Answer.FORBIDDEN, trouble=True)
            return
        seen = self._whose(state, which) if state.at_key else Answer.ABSENT
        yield f"{which}: head: {seen.name.lower()}", self._answer(state, which, seen)
        if spent := self._spend(state, _BLIND):
            yield f"{which}: head fails", self._answer(spent, which, Answer.FAILED, trouble=True)

    def _whose(self, state: State, which: int) -> Answer:
        return Answer.OURS if self._id(state.at_key) == self._id(str(which)) else Answer.THEIRS

    def _compare(self, state: State, which: int) -> Answer:
        if not state.at_key:
            return Answer.ABSENT
        return Answer.EQUAL if self._data(state.at_key) == self._data(str(which)) else Answer.UNEQUAL

    def _id(self, who: str) -> str:
        return who if who == RIVAL else (self.world.creators[int(who)].write_id or f"fresh {who}")

    def _data(self, who: str) -> str:
        return "x" if who == RIVAL else self.world.creators[int(who)].data

    def _spend(self, state: State, budget: int) -> State | None:
        if state.spent[budget] >= getattr(self.world, _BUDGETS[budget]):
            return None
        spent = tuple(each + (index == budget) for index, each in enumerate(state.spent))
        return state._replace(spent=spent)

    def _answer(self, state: State, which: int, answer: Answer, *, trouble: bool = False) -> State:
        client = state.clients[which]
        at = (client.write, answer)
        if at not in self._stepped:
            self._stepped[at] = self._intern(self.step(self.writes[client.write], answer))
        verdict = self.writes[self._stepped[at]].verdict
        return _with(
            state,
            which,
            write=self._stepped[at],
            troubled=client.troubled or trouble,
            final=verdict.name if verdict else "",
            landed_then=state.landed[which] if verdict else 0,
        )

    # The laws

    def _check(self, before: State, after: State) -> None:
        for which, client in enumerate(after.clients):
            if self.writes[client.write].doing is Doing.COMMIT and self.world.creators[which].multipart:
                assert client.whole, f"{which} finishes an upload that has not got its parts"
            if not client.final:
                continue
            alike = [
                each
                for each in range(len(after.clients))
                if self._id(str(each)) == self._id(str(which)) and self._data(str(each)) == self._data(str(which))
            ]
            ours = sum(after.landed[each] for each in alike)
            just_now = not before.clients[which].final
            verdict = Verdict[client.final]
            if verdict is Verdict.CREATED:
                assert ours, f"{which} was told created, and nothing of its landed"
            if verdict in (Verdict.EXISTS, Verdict.PRESENT, Verdict.SAME) and not after.removed:
                own = ours if verdict is Verdict.EXISTS else after.landed[which]
                assert not own, f"{which} was told {verdict.name} about its own write"
                assert after.at_key, f"{which} was told {verdict.name}, and nothing is there"
            if verdict is Verdict.NOT_WRITTEN:
                # Landed and removed again before we looked is told "not written" too: nothing of ours is there, and
                # that is so for good.
                assert after.landed[which] == client.landed_then, f"{which} was told not written, then it landed"
                assert not after.landed[which] or after.removed, f"{which} was told not written, and it landed"
            if just_now and not client.troubled and not after.removed:
                assert verdict not in (Verdict.UNKNOWN, Verdict.NOT_WRITTEN), f"{which}: {verdict.name} for no reason"
        for which, count in enumerate(after.landed):
            assert count <= 1 + after.removed, f"{which} was created {count} times with {after.removed} removals"


def _with(state: State, which: int, **changes: Any) -> State:
    client = state.clients[which]._replace(**changes)
    return state._replace(clients=(*state.clients[:which], client, *state.clients[which + 1 :]))


def _land(state: State, which: int) -> State:
    landed = tuple(count + (index == which) for index, count in enumerate(state.landed))
    return state._replace(at_key=str(which), landed=landed)


def _sorted(floating: tuple[tuple[str, int, int], ...], more: tuple[str, int, int]) -> tuple[tuple[str, int, int], ...]:
    return tuple(sorted({*floating, more}))


def _doubtful(answer: Answer) -> Answer:
    return {Answer.EXISTS_SOLE: Answer.EXISTS, Answer.GONE_SOLE: Answer.GONE}.get(answer, answer)


def _story(came_from: dict[State, tuple[State, str] | None], state: State) -> str:
    lines: list[str] = []
    while step := came_from[state]:
        state, what = step
        lines.append(f"  {what}")
    return "\n".join(reversed(lines))
