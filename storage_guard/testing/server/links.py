"""A line of stated latency and width, as arithmetic: who may go on when. Nothing here waits or knows a socket.

The width is shared out by reservation: whoever moved `count` bytes has taken the line for `count / rate` seconds, after
everybody who came before, and goes on when that time is over. Nobody moves more than a quantum at a time, so those who
want more than there is take turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_TURN_S = 0.004  # what a quantum takes: several ticks of an event loop, which are a millisecond
_CREDIT_S = 0.02
_LEAST_BYTES, _MOST_BYTES = 2 * 1024, 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Link:
    """The line between the clients and the server.

    `latency_s` is the time of a round trip. Half of it passes before a request that is whole is acted upon, half
    between that and the first byte of its answer. A round trip passes before the first request of a connection is
    looked at, two with TLS (the handshakes; the client's `connect` itself returns at once), and one before a
    "100 Continue". Bytes per second are those of bodies and heads, each way for itself: a line that is full in one
    direction is free in the other. What the systems buffer comes on top: a client's last bytes seem sent when they
    lie in its socket. Slow start and loss are not modelled.
    """

    latency_s: float = 0.0
    connection_bytes_per_s: float | None = None  # None: as fast as it goes
    total_bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.latency_s < math.inf:
            raise ValueError(f"latency_s={self.latency_s} is no time")
        for rate in self.rates:
            if not 0 < rate < math.inf:
                raise ValueError(f"{rate} bytes per second is no rate")

    @property
    def rates(self) -> list[float]:
        """Those that limit."""
        return [rate for rate in (self.connection_bytes_per_s, self.total_bytes_per_s) if rate is not None]


class Pipe:
    """One direction at a fixed rate. Time that nobody used is made up for up to 20 ms, so that a late timer costs no
    width."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_s = -math.inf

    def reserve(self, count: int, now_s: float) -> float:
        """`count` bytes go through after all that came before: when, in the seconds of `now_s`, they have passed."""
        self._free_s = max(self._free_s, now_s - _CREDIT_S) + count / self._bytes_per_s
        return self._free_s


class Lane:
    """One connection's share of the line."""

    def __init__(self, latency_s: float, quantum_bytes: int | None, inward: list[Pipe], outward: list[Pipe]) -> None:
        self.latency_s = latency_s
        self.quantum_bytes = quantum_bytes  # the most to be moved at once; None: any number
        self._inward = inward
        self._outward = outward

    def came(self, count: int, now_s: float) -> float:
        """`count` bytes of the client's were read: the seconds until the next may be."""
        return max((pipe.reserve(count, now_s) - now_s for pipe in self._inward), default=0.0)

    def went(self, count: int, now_s: float) -> float:
        """`count` bytes were written to the client: the seconds until the next may be."""
        return max((pipe.reserve(count, now_s) - now_s for pipe in self._outward), default=0.0)


class Line:
    """A link in use: it makes the lanes, which share its total width."""

    def __init__(self, link: Link) -> None:
        self._link = link
        total = link.total_bytes_per_s
        self._inward, self._outward = ([] if total is None else [Pipe(total)] for _ in "io")
        fit = min(link.rates, default=math.inf) * _TURN_S
        self.quantum_bytes = None if fit == math.inf else int(min(max(fit, _LEAST_BYTES), _MOST_BYTES))

    def lane(self) -> Lane:
        rate = self._link.connection_bytes_per_s
        own = [[] if rate is None else [Pipe(rate)] for _ in "io"]
        return Lane(self._link.latency_s, self.quantum_bytes, [*self._inward, *own[0]], [*self._outward, *own[1]])
