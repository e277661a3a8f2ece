"""From a host's name to a connected socket, within a time."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from time import monotonic
from typing import NamedTuple

from storage_guard.wire.watching import WRITABLE, Poll, poll

# So long one address has before the next is tried beside it (RFC 8305, 5).
_HEAD_START_S = 0.25
# What Windows says instead of EINPROGRESS; Linux says it where it has no ports left.
_BEGUN = (0, errno.EWOULDBLOCK) if sys.platform == "win32" else (0, errno.EINPROGRESS)
_KNOWN_S = 5.0  # an address is asked for anew, as services spread their load by them


class _Socket(socket.socket):
    """Who forgets one closes it, and is not warned: that is how a Transport, which need not be closed, ends."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


class _Address(NamedTuple):
    family: int
    where: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


class Addresses:
    """Any thread may ask."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[_Address]]] = {}

    def connect(self, host: str, port: int, until_s: float) -> socket.socket:
        """A connected socket that does not block, of the first address that answers. `until_s` by the monotonic clock.
        Raises OSError, and ValueError for what is no name."""
        addresses = self._find(host, port, until_s)
        waiting: dict[int, socket.socket] = {}
        watched = poll()
        trouble: OSError | None = None
        try:
            while addresses or waiting:
                if addresses:
                    trouble = _begin(addresses.pop(0), waiting, watched) or trouble
                left_s = until_s - monotonic()
                if left_s <= 0:
                    raise TimeoutError(errno.ETIMEDOUT, "no connection in time")
                if not waiting:
                    continue
                wait_s = min(left_s, _HEAD_START_S) if addresses else left_s
                for descriptor, _ in watched.poll(max(1, int(wait_s * 1000))):
                    watched.unregister(descriptor)
                    sock = waiting.pop(descriptor)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return sock
                    sock.close()
                    trouble = OSError(code, os.strerror(code))
        finally:
            for sock in waiting.values():
                sock.close()
        raise trouble or OSError(errno.EHOSTUNREACH, f"{host} has no address")

    def _find(self, host: str, port: int, until_s: float) -> list[_Address]:
        found = self._known.get((host, port))
        if found is None or found[0] < monotonic():
            found = monotonic() + _KNOWN_S, _looked_up(host, port, until_s)
            self._known[host, port] = found
        return found[1].copy()


def _begin(address: _Address, waiting: dict[int, socket.socket], watched: Poll) -> OSError | None:
    """Why it failed at once, if it did."""
    try:
        sock = _Socket(address.family, socket.SOCK_STREAM)
    except OSError as exc:
        return exc
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        code = sock.connect_ex(address.where)
    except BaseException:
        sock.close()
        raise
    if code not in _BEGUN:
        sock.close()
        return OSError(code, os.strerror(code))
    watched.register(sock.fileno(), WRITABLE)
    waiting[sock.fileno()] = sock
    return None


def _looked_up(host: str, port: int, until_s: float) -> list[_Address]:
    try:
        return _ask(host, port, socket.AI_NUMERICHOST)  # which sees, too, whether it is a name
    except OSError:
        pass
    # The system's call knows no time, and Ctrl-C does not reach it: it has a thread of its own.
    found: list[_Address] = []
    trouble: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(_ask(host, port, 0))
        except OSError as exc:
            trouble.append(exc)

    thread = threading.Thread(target=ask, name="storage-guard-name", daemon=True)
    thread.start()
    thread.join(max(0.0, until_s - monotonic()))
    if trouble:
        raise trouble[0]
    if not found:
        raise TimeoutError(errno.ETIMEDOUT, f"nobody said in time where {host} is")
    return found


def _ask(host: str, port: int, flags: int) -> list[_Address]:
    return [
        _Address(family, where)
        for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    ]
