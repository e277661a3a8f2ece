"""One connection: its requests are received and answered, one after the other.

A request that is simply answered is dealt with in the call that brings its last byte. One that waits for something (a
cue, the line, a client that does not read) goes on in a task of its own; what comes meanwhile is kept for later.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import cast

from storage_guard.testing.server.answering import (
    CONTINUE,
    WrongLength,
    bodiless,
    close_body,
    length_of,
    pieces_of,
    whole_body,
)
from storage_guard.testing.server.cues import HALF, Action, Refusal
from storage_guard.testing.server.exchange import Answer, Receiving
from storage_guard.testing.server.heads import Malformed
from storage_guard.testing.server.inlet import Cut, Inlet, Underway
from storage_guard.testing.server.outlet import PAUSE_S, Outlet
from storage_guard.testing.server.shared import Seen, Shared

_SMALL_BYTES = 64 * 1024  # a body that is copied behind its head, to go out in one piece
_KEPT_BYTES = 64 * 1024
_LINGER_S = 1.0
_ANSWERED = Action()


class Connection(asyncio.BufferedProtocol):
    """Whatever the dialect, a cue's function or this class raises is kept in `shared.failures`."""

    _transport: asyncio.Transport
    _outlet: Outlet

    def __init__(self, shared: Shared, *, secure: bool) -> None:
        shared.accepted += 1
        self._shared = shared
        self._number = shared.accepted
        self._secure = secure
        self._lane = shared.lane()
        room = memoryview(shared.room)
        self._room = room if self._lane is None else room[: self._lane.quantum_bytes]
        self._inlet = Inlet(shared, secure=secure)
        self._kept = bytearray()  # what came, and its turn did not
        self._busy = False  # a task answers
        self._begun = False  # the task's answer is on its way
        self._deaf = False  # the connection is being closed: what comes is dropped
        self._half_closed = False
        self._full = self._braked = False  # why nothing is read

    @property
    def receives(self) -> bool:
        return self._inlet.now is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._outlet = Outlet(self._transport, self._lane)
        self._shared.connections.add(self)
        if self._lane is not None and self._lane.latency_s:
            self._brake(self._lane.latency_s * (2 if self._secure else 1))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the room is as large as it is
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self._deaf:
            return
        if self._lane is not None:
            pause_s = self._lane.came(nbytes, asyncio.get_running_loop().time())
            if pause_s > PAUSE_S:
                self._brake(pause_s)
        if not self._busy and not self._kept:
            self._read(self._shared.room, nbytes)
            return
        self._kept += self._room[:nbytes]
        if not self._busy:
            self._read_kept()
        elif len(self._kept) > _KEPT_BYTES:
            self._full = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        if not self._busy:
            return False
        # The client may wait for its answer. TLS knows no half: there it is gone.
        self._half_closed = True
        return not self._secure

    def pause_writing(self) -> None:
        self._outlet.pause()

    def resume_writing(self) -> None:
        self._outlet.go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        self._deaf = True
        self._outlet.lose()
        self._shared.connections.discard(self)
        self._forget(None)

    def abandon(self) -> None:
        """The server stops."""
        self._deaf = True
        self._outlet.reset()

    def _read_kept(self) -> None:
        kept, self._kept = self._kept, bytearray()
        self._read(kept, len(kept))

    def _read(self, buffer: bytearray, end: int) -> None:
        try:
            at = self._read_requests(buffer, end)
            if at < end and not self._deaf:
                self._kept += memoryview(buffer)[at:end]
        except Malformed as exc:
            self._forget(exc.status)
            self._refuse(exc.status, str(exc))
        except Cut:
            cut = self._forget(None) or _ANSWERED
            self._sever(reset=cut.reset)
        except Exception as exc:  # noqa: BLE001 - kept, and raised at the server's end
            self._fail(exc)

    def _read_requests(self, buffer: bytearray, end: int) -> int:
        """Deals with what is whole; returns where the rest begins."""
        at = 0
        inlet = self._inlet
        view = memoryview(buffer)
        while not self._busy and not self._deaf:
            at, now = inlet.read(buffer, view, at, end)
            if now is None:
                if inlet.asks_leave:
                    inlet.asks_leave = False
                    self._invite()
                break
            if now.action is None and self._lane is None:
                self._answer(now, now.receiving.end())
            else:
                self._busy = True
                self._shared.start(self._act(now, now.action or _ANSWERED))
        return at

    def _invite(self) -> None:
        """The client waits for leave to send its body."""
        latency_s = 0 if self._lane is None else self._lane.latency_s
        if latency_s:
            asyncio.get_running_loop().call_later(latency_s, self._say, CONTINUE)
        else:
            self._transport.write(CONTINUE)

    def _say(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _brake(self, pause_s: float) -> None:
        self._braked = True
        self._transport.pause_reading()
        asyncio.get_running_loop().call_later(pause_s, self._unbrake)

    def _unbrake(self) -> None:
        self._braked = False
        if not self._full:
            self._transport.resume_reading()

    def _answer(self, now: Underway, answer: Answer) -> None:
        """The short way: a small answer, at once."""
        length = length_of(answer)
        silent = bodiless(answer, now.head.request.method)
        if length > _SMALL_BYTES and not silent:
            self._busy = True
            self._shared.start(self._answer_long(now, answer))
            return
        body = b"" if silent else whole_body(answer, length)
        close_body(answer)
        head, closes = self._shared.heads.head(answer, length, closes=now.head.closes)
        self._note(now, answer.status)
        self._transport.write(head + body)
        if closes:
            self._close()
        elif self._outlet.paused:
            self._busy = True
            self._shared.start(self._catch_up())

    async def _answer_long(self, now: Underway, answer: Answer) -> None:
        try:
            await self._deliver(now, answer, _ANSWERED)
        except Exception as exc:  # noqa: BLE001 - kept, and raised at the server's end
            self._fail(exc)

    async def _catch_up(self) -> None:
        await self._outlet.drained()
        self._go_on()

    async def _act(self, now: Underway, action: Action) -> None:
        """The long way: as the line and the cue say. The client may be gone meanwhile; that changes nothing."""
        half_s = 0 if self._lane is None else self._lane.latency_s / 2
        receiving: Receiving | None = now.receiving
        try:
            if half_s + action.delay_before_s:
                await asyncio.sleep(half_s + action.delay_before_s)
            if action.hold is not None:
                await action.hold.passed()
            answer, receiving = None, None
            if action.acts:
                answer = now.receiving.end()
            else:
                now.receiving.cut()
            if half_s + action.delay_after_s:
                await asyncio.sleep(half_s + action.delay_after_s)
            if isinstance(action.answer, Refusal):
                answer = self._shared.dialect.refusal(now.head.request, action.answer.status, action.answer.code)
            elif action.answer is not None and answer is not None:
                answer = action.answer(answer)
            if answer is None or action.cut_answer_bytes == 0:
                self._note(now, None)
                self._sever(reset=action.reset)
            else:
                await self._deliver(now, answer, action)
        except asyncio.CancelledError:
            if receiving is not None:
                self._drop(receiving)
            raise
        except Exception as exc:  # noqa: BLE001 - kept, and raised at the server's end
            self._fail(exc)

    async def _deliver(self, now: Underway, answer: Answer, action: Action) -> None:
        if self._outlet.is_lost():
            self._note(now, None)
            return
        length = length_of(answer)
        head, closes = self._shared.heads.head(answer, length, closes=now.head.closes)
        silent = bodiless(answer, now.head.request.method)
        whole = len(head) + (0 if silent else length)
        cut = whole // 2 if action.cut_answer_bytes == HALF else action.cut_answer_bytes
        self._note(now, answer.status)
        self._begun = True
        try:
            if isinstance(answer.body, bytes) and len(answer.body) <= _SMALL_BYTES:
                pieces = iter([memoryview(head if silent else head + answer.body)])
            else:
                pieces = itertools.chain([memoryview(head)], () if silent else pieces_of(answer))
            sent, more = await self._outlet.send(pieces, whole if cut is None else min(cut, whole))
        finally:
            close_body(answer)
        if self._outlet.is_lost():
            return
        if cut is not None:
            await self._outlet.flushed()
            self._sever(reset=action.reset)
        elif sent == whole and not more:
            self._go_on(closes=closes)
        elif callable(action.answer):
            self._leave()
        else:
            raise WrongLength(f"{now.asked}: {sent - len(head)}{' and more' * more} bytes of a body of {length}")

    def _go_on(self, *, closes: bool = False) -> None:
        """A task has answered: the next request, if it came meanwhile."""
        self._busy = self._begun = False
        if self._deaf:
            return
        if closes:
            self._close()
            return
        if self._full:
            self._full = False
            if not self._braked:
                self._transport.resume_reading()
        if self._kept:
            self._read_kept()
        if self._half_closed and not self._busy and not self._deaf:
            self._close()

    def _forget(self, status: int | None) -> Action | None:
        """The body that was coming will not become whole. Returns the cue's action, if the request has one."""
        now, self._inlet.now = self._inlet.now, None
        if now is None:
            return None
        self._note(now, status)
        self._drop(now.receiving)
        return now.action

    def _drop(self, receiving: Receiving) -> None:
        try:
            receiving.cut()
        except Exception as exc:  # noqa: BLE001 - kept, and raised at the server's end
            self._shared.failures.append(exc)

    def _note(self, now: Underway, status: int | None) -> None:
        self._shared.note(Seen(now.asked, status, now.body.came_bytes, self._number))

    def _fail(self, exc: Exception) -> None:
        self._shared.failures.append(exc)
        self._forget(500)
        if self._begun:
            self._sever(reset=True)
        else:
            self._refuse(500, "the server failed: its log says how")

    def _refuse(self, status: int, reason: str) -> None:
        """For want of a request that the dialect could refuse: in plain words, and the connection ends."""
        if not self._outlet.is_lost():
            body = f"{reason}\n".encode()
            answer = Answer(status, {"Content-Type": "text/plain"})
            self._transport.write(self._shared.heads.head(answer, len(body), closes=True)[0] + body)
            self._leave()

    def _sever(self, *, reset: bool) -> None:
        if not reset:
            self._leave()
        elif not self._outlet.is_lost():
            self._deaf = True
            self._outlet.reset()

    def _close(self) -> None:
        self._deaf = True
        self._transport.close()

    def _leave(self) -> None:
        """Ends the connection after what was written. What the client still sends is read for up to a second: left
        unread, it would make the system reset the connection, and what was written might be lost."""
        if self._deaf:
            return
        self._deaf = True
        self._busy = False
        self._kept.clear()
        self._transport.resume_reading()
        self._shared.start(self._end())

    async def _end(self) -> None:
        await self._outlet.flushed()
        self._outlet.end()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.abort)
