"""One exchange and what it means; and the looks that change nothing: HEAD, ranged GET, the bucket's versioning."""

from __future__ import annotations

from collections.abc import Callable

from storage_guard.driver import Absent, Body, Changed, Limits, Lost, ObjectInfo, ObjectRef, Refused, Reply, Signal
from storage_guard.wire.services import calls, contents
from storage_guard.wire.services.sources import Sizes, bucket_gone, check_etag
from storage_guard_oss import answers, asking
from storage_guard_oss.answers import Asked
from storage_guard_oss.failures import fault_of, signal_of
from storage_guard_oss.message import Answer, Request, Versioning
from storage_guard_oss.sending import Sender


class Looker:
    """Asks through a sender, and takes answers for what they are. Thread-safe."""

    def __init__(self, sender: Sender, limits: Limits) -> None:
        self._sender = sender
        self._limits = limits
        self._sizes = Sizes()

    def exchange(
        self, request: Request, body: Body | bytes | None = None, *, checked: bool = False
    ) -> tuple[Asked, Answer]:
        """Raises what `Sender.send` raises, and `Refused` for what cannot be sent, unless it was `checked` before."""
        if not checked:
            calls.check(request, self._limits.max_key_bytes)
        asked = Asked(request.operation, request.about, self._sender.route())
        return asked, self._sender.send(request, body)

    def ask(self, request: Request, body: Body | bytes | None = None, *, checked: bool = False) -> tuple[Asked, Answer]:
        """An answer that says it went well. Raises the signal of any other."""
        asked, answer = self.exchange(request, body, checked=checked)
        asked.check(answer)
        return asked, answer

    def submit(self, request: Request, body: bytes, reply: Reply, read: Callable[[Asked, Answer], ObjectInfo]) -> None:
        """`ask`, sent on its way: `read` makes an object of an answer that says it went well. Of a request that was
        checked."""
        asked = Asked(request.operation, request.about, self._sender.route())

        def checked(answer: Answer) -> ObjectInfo:
            asked.check(answer)
            return read(asked, answer)

        self._sender.submit(request, body, reply, checked)

    def versioning(self) -> Versioning:
        """Raises `Refused` (AccessDenied) if neither of the two calls that tell it is allowed."""
        try:
            return answers.versioning_of(*self.ask(calls.VERSIONING))
        except Refused as exc:
            if exc.code != "AccessDenied":
                raise
        return answers.versioning_in_info(*self.ask(asking.BUCKET_INFO))

    def head(
        self, key: str, bucket: str | None = None, version_id: str | None = None, *, with_tags: bool = False
    ) -> ObjectInfo:
        """Raises `Absent`, and nothing else, if the object is not there."""
        asked, answer = self.exchange(asking.head(key, bucket, version_id))
        if answer.status == 404 and answer.request_id is not None:
            raise self._not_found(asked, answer, asking.read(key, 0, 1, None, bucket=bucket, version_id=version_id))
        asked.check(answer)
        tags: dict[str, str] = {}
        if with_tags and answers.has_tags(answer):
            try:
                tags = contents.tags_of(*self.ask(calls.tags(key, bucket, version_id)))
            except Refused as exc:
                if exc.why != "access":  # who may not see the tags may still see the object
                    raise
        return answers.described(asked, answer, key, tags)

    def _not_found(self, asked: Asked, answer: Answer, get: Request) -> Signal:
        """What a 404 to HEAD means: its code is in a header. Where it is not, GET is asked, whose answer has a body."""
        if answer.headers.get("x-oss-delete-marker") == "true":
            return Absent(f"{asked.about}: a delete marker", status=404, request_id=answer.request_id)
        if fault_of(answer).code:
            return signal_of("head", answer, asked.route, asked.about)
        asked, answer = self.exchange(get)
        if answer.ok or answer.status == 416:
            return Lost(f"{asked.about}: it was not there a moment ago", status=answer.status)
        return signal_of("read", answer, asked.route, asked.about)

    def pinned(self, key: str, etag: str | None) -> ObjectInfo:
        """Raises `Absent`, `Changed`."""
        return check_etag(key, self.head(key), etag)

    def read(self, key: str, start: int, stop: int, etag: str | None) -> bytes | None:
        """None if the range begins behind the end of the object. Raises `Absent`, `Changed`."""
        asked, answer = self.exchange(asking.read(key, start, stop, etag))
        if answer.request_id is not None and fault_of(answer).code == "InvalidRange":
            return None
        asked.check(answer)
        if etag is not None and asked.etag(answer) != etag:
            raise Changed(f"{asked.about}: it has the etag {asked.etag(answer)}, not {etag}")
        return contents.bytes_of(asked, answer, start, stop)

    def source(self, source: ObjectRef) -> ObjectInfo:
        """The source of a copy. Raises `Absent`, `Changed`."""
        bucket = source.location.container
        try:
            found = self.head(source.key, bucket, source.version_id)
        except Refused as exc:
            if exc.code == "NoSuchBucket" and bucket != self._sender.bucket_name:
                raise bucket_gone(exc) from exc
            raise
        return check_etag(source.key, found, source.etag)

    def source_of_part(self, source: ObjectRef, start: int, size_bytes: int) -> ObjectRef:
        """The source of a part, as it was seen. Raises `Absent`, `Changed`, and `Refused` if it has no such bytes."""
        return self._sizes.pinned(source, start, size_bytes, self.source)
