"""The smallest service there is: a dict. And a client that is a socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator

from storage_guard.testing.server import Answer, Asked, Dialect, Receiving, Request, Server


class SmallDialect(Dialect):
    """PUT writes if the path is free (200, else 409), GET and HEAD read, DELETE removes, POST raises.

    `acted` lists what took place, `cuts` what was forgotten; `threads` is who asked.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.acted: list[str] = []
        self.cuts: list[str] = []
        self.threads = set[int]()

    def asked(self, request: Request) -> Asked:
        members = {"PUT": "put_new", "GET": "read", "HEAD": "head", "DELETE": "remove"}
        return Asked(members.get(request.method, "other"), request.host, request.raw_path[1:])

    def receive(self, request: Request) -> Receiving:
        self.requests.append(request)
        return _Receiving(self, request)

    def refusal(self, request: Request, status: int, code: str) -> Answer:
        return Answer(status, {"X-Code": code}, f"{code} for {request.raw_path}".encode())


class _Receiving(Receiving):
    def __init__(self, dialect: SmallDialect, request: Request) -> None:
        self._dialect = dialect
        self._request = request
        self._body = bytearray()

    def take(self, data: memoryview) -> None:
        assert len(data)
        self._body += data

    def end(self) -> Answer:
        here, name = self._dialect, self._request.raw_path[1:]
        here.threads.add(threading.get_ident())
        here.acted.append(f"{self._request.method} {name}")
        match self._request.method:
            case "PUT" if name in here.objects:
                return here.refusal(self._request, 409, "There")
            case "PUT":
                here.objects[name] = bytes(self._body)
                return Answer(200, {"ETag": '"e"'})
            case "GET" | "HEAD" if name in here.objects:
                data = here.objects[name]
                return Answer(200, {}, iter([memoryview(data)]) if len(data) > 1000 else data, len(data))
            case "GET" | "HEAD":
                return here.refusal(self._request, 404, "Missing")
            case "DELETE":
                here.objects.pop(name, None)
                return Answer(204)
            case _:
                raise RuntimeError("a bug of the dialect")

    def cut(self) -> None:
        self._dialect.cuts.append(f"{self._request.method} {self._request.raw_path[1:]} {len(self._body)}")


class Client:
    """A connection of which every byte can be seen."""

    def __init__(self, server: Server) -> None:
        self.sock = socket.create_connection((server.host, server.port), timeout=20)
        self._rest = bytearray()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.sock.sendall(piece)

    def answer(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body. Raises EOFError, or what the socket raises."""
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        length = 0 if bodiless or status in (100, 204) else int(headers["content-length"])
        while len(self._rest) < length:
            self._receive()
        body = bytes(self._rest[:length])
        del self._rest[:length]
        return status, headers, body

    def _receive(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError(f"after {len(self._rest)} bytes")
        self._rest += data

    def rest(self) -> bytes:
        """Everything up to the end of the connection. A reset raises ConnectionResetError."""
        with contextlib.suppress(EOFError):
            while True:
                self._receive()
        return bytes(self._rest)


@contextlib.contextmanager
def client_of(server: Server) -> Generator[Client]:
    client = Client(server)
    try:
        yield client
    finally:
        client.sock.close()


def put(name: str, body: bytes = b"data", *headers: str) -> bytes:
    lines = [f"PUT /{name} HTTP/1.1", "Host: bucket", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(name: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} /{name} HTTP/1.1", "Host: bucket", *headers, "", ""]).encode()
