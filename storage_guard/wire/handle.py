"""One easy handle of libcurl: it is set up once, loaded with a request, performed by somebody, and read.

Used by one thread at a time, and never by a child of the process that made it.
"""

from __future__ import annotations

import math
from io import BytesIO
from time import monotonic

import pycurl

from storage_guard.driver import WINDOW_BYTES, Body, Lost, Signal
from storage_guard.wire.heads import Head, parse
from storage_guard.wire.meanings import failure, proxy_refused
from storage_guard.wire.messages import Answer, Request, lines_of
from storage_guard.wire.options import set_proxy, set_up
from storage_guard.wire.outgoing import Outgoing, whole
from storage_guard.wire.proxies import Proxy
from storage_guard.wire.settings import Settings

_ERROR_BYTES = 1024 * 1024
SHORT_IDLE_S = 10.0
"""Which libcurl, where it counts itself, stretches by the half and more."""


class Handle:
    """`certificates`: a file or a folder to believe; None is libcurl's own choice. `alone`: its connections are not
    those of a multi handle, where another may use one before we look at it."""

    def __init__(self, settings: Settings, certificates: str | None, *, alone: bool) -> None:
        self.curl = curl = pycurl.Curl()
        self._settings = settings
        self._alone = alone
        self._outgoing: Outgoing | None = None
        self._failure: BaseException | None = None
        self._size_bytes = 0
        self._most_bytes = 0
        self._begun = 0
        self._mode = ""
        self._method = ""
        self._proxy: Proxy | None = None
        self._watched: bool | None = None
        self._moved_bytes = 0
        self._moved_s = 0.0
        self._idled = False
        # Built-in methods: libcurl calls them for every line and every piece, and no frame of ours is made for it.
        self._lines: list[bytes] = []
        self._sink = BytesIO()
        curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._sink.write)
        curl.setopt(pycurl.READFUNCTION, self._read)
        curl.setopt(pycurl.PREREQFUNCTION, self._before)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._watch)
        set_up(curl, settings, certificates)

    def load(self, request: Request, proxy: Proxy | None, *, watched: bool) -> None:
        """The next request. `watched`: signals of the process are to be noticed meanwhile.

        Raises `Refused` for one that cannot be sent, and what its body raises.
        """
        curl = self.curl
        data = self._take(request.body)
        lines = lines_of(request, self._size_bytes)
        self._set_method(request.method, data)
        curl.setopt(pycurl.URL, request.url)
        curl.setopt(pycurl.HTTPHEADER, lines)
        if data is None:
            curl.setopt(pycurl.INFILESIZE_LARGE, self._size_bytes)
        elif self._mode == "fields":
            curl.setopt(pycurl.POSTFIELDS, data)
        if proxy != self._proxy:
            set_proxy(curl, proxy)
            self._proxy = proxy
        # Of a HEAD libcurl takes the object's length for that of an answer: 0 is no bound.
        most_bytes = 0 if request.method == "HEAD" else max(request.answer_bytes, _ERROR_BYTES)
        if most_bytes != self._most_bytes:
            curl.setopt(pycurl.MAXFILESIZE_LARGE, most_bytes)
            self._most_bytes = most_bytes
        # A call of ours for each of libcurl's steps makes threads wait for the interpreter's lock: a quarter of all the
        # time of a large upload. But libcurl's own count is an average, some seconds behind once much has moved.
        short = self._alone and self._settings.idle_timeout_s < SHORT_IDLE_S
        self._set_watch(watched=watched or short)
        self._begun = 0

    def _take(self, body: Body | bytes | None) -> bytes | None:
        """The bytes of a body that goes at once, for which libcurl needs no callback; None of one in windows."""
        self._outgoing = None
        if isinstance(body, bytes) or body is None:
            data = body or b""
        elif body.size_bytes <= WINDOW_BYTES:
            data = whole(body)
        else:
            self._outgoing = Outgoing(body)
            self._size_bytes = self._outgoing.size_bytes
            return None
        self._size_bytes = len(data)
        return data

    def _set_method(self, method: str, data: bytes | None) -> None:
        if data is None:
            mode = "upload"
        elif data or method in ("PUT", "POST"):
            mode = "fields"
        else:
            mode = "head" if method == "HEAD" else "bare"
        curl = self.curl
        if mode != self._mode:
            curl.setopt(pycurl.HTTPGET, 1)  # takes back what the others set
            if mode != "bare":
                curl.setopt({"upload": pycurl.UPLOAD, "fields": pycurl.POST, "head": pycurl.NOBODY}[mode], 1)
            self._mode = mode
            self._method = ""
        if method != self._method:
            curl.setopt(pycurl.CUSTOMREQUEST, method)
            self._method = method

    def _set_watch(self, *, watched: bool) -> None:
        if watched:
            self._moved_bytes, self._moved_s, self._idled = 0, monotonic(), False
        if watched != self._watched:
            self._watched = watched
            self.curl.setopt(pycurl.NOPROGRESS, not watched)
            self.curl.setopt(pycurl.LOW_SPEED_LIMIT, 0 if watched else 1)
            self.curl.setopt(pycurl.LOW_SPEED_TIME, 0 if watched else math.ceil(self._settings.idle_timeout_s))

    def answer(self, request: Request, code: int, text: str) -> Answer:
        """What came of the request that was loaded, by libcurl's code. Raises `Lost`, `Busy`, `Refused`, and what its
        body raised."""
        if self._failure is not None:
            raise self._failure
        about = request.about or request.method
        if code:
            raise self._unanswered(code, text, about)
        trouble: Signal | None
        try:
            head = parse(self._lines, request.method)
        except Lost as exc:
            trouble = Lost(f"{about}: {exc}", status=exc.status)
        else:
            body = self._sink.getvalue() if self._sink.tell() else b""
            trouble = self._trouble(head, len(body), request, about)
            if trouble is None:
                self.forget()
                return Answer(head.status, head.headers, body)
        raise trouble

    def _unanswered(self, code: int, text: str, about: str) -> Signal:
        if self._idled:
            text = f"nothing moved for {self._settings.idle_timeout_s} s"
        elif self._begun > 1:
            text = "the connection, which was used before, broke without an answer"
        tunnel_status = self.curl.getinfo(pycurl.HTTP_CONNECTCODE) if self._proxy is not None else 0
        return failure(code, text, about, begun=bool(self._begun), tunnel_status=tunnel_status)

    def _trouble(self, head: Head, body_bytes: int, request: Request, about: str) -> Signal | None:
        """What makes a whole answer worth nothing."""
        status = head.status
        fine = status // 100 == 2
        if status == 407 and self._proxy is not None:
            return proxy_refused(about, status)
        if not head.delimited:
            return Lost(f"{about}: nothing says whether the answer came to its end", status=status)
        if body_bytes > (request.answer_bytes if fine else _ERROR_BYTES):
            return Lost(f"{about}: the answer has {body_bytes} bytes", status=status)
        if self._alone and self.curl.getinfo(pycurl.ACTIVESOCKET) >= 0:
            return None
        # libcurl gave the connection up, or nobody knows.
        sent_bytes = self.curl.getinfo(pycurl.SIZE_UPLOAD_T)
        if sent_bytes < self._size_bytes:
            if fine:
                return Lost(f"{about}: a {status} came when {sent_bytes} bytes had been sent", status=status)
        elif self._alone and not head.closes:
            return Lost(f"{about}: more came than one answer", status=status)
        return None

    def forget(self) -> None:
        """Lets go of the request, and of what came of it."""
        self._lines.clear()
        if self._sink.tell():
            self._sink.seek(0)
            self._sink.truncate()
        self._failure = None
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is not None:
            outgoing.close()

    def connection(self) -> int:
        """The descriptor of its connection; -1 if it has none."""
        return self.curl.getinfo(pycurl.ACTIVESOCKET)

    def close(self) -> None:
        """Closes the connection too."""
        try:
            self.forget()
        finally:
            self.curl.close()

    # What libcurl calls. KeyboardInterrupt, which Python raises wherever we are, ends the exchange and comes out of it;
    # of other exceptions pycurl prints a traceback, and says that a callback failed.

    def _before(self, _their_address: str, _our_address: str, _their_port: int, _our_port: int) -> int:
        self._begun += 1
        # libcurl sends a request again when a connection that was used before breaks, and reports one answer.
        return pycurl.PREREQFUNC_OK if self._begun == 1 else pycurl.PREREQFUNC_ABORT

    def _read(self, most_bytes: int) -> memoryview | bytes | int:
        outgoing = self._outgoing
        try:
            piece = outgoing.read(most_bytes) if outgoing is not None else b""
        except BaseException as exc:  # noqa: BLE001 - raised again by `answer`
            self._failure = exc
            return pycurl.READFUNC_ABORT
        self._moved_s = monotonic()  # what the body took is not the service's
        return piece

    def _watch(self, _down: int, down_bytes: int, _up: int, up_bytes: int) -> int:
        moved_bytes = down_bytes + up_bytes
        if moved_bytes != self._moved_bytes:
            self._moved_bytes, self._moved_s = moved_bytes, monotonic()
        elif monotonic() - self._moved_s > self._settings.idle_timeout_s:
            self._idled = True
            return 1
        return 0
