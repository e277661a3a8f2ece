"""One exchange and what it means; and the looks that change nothing: HEAD, ranged GET, the bucket's versioning."""

from __future__ import annotations

from collections.abc import Callable

from storage_guard.driver import Absent, Body, Changed, Limits, Lost, ObjectInfo, ObjectRef, Refused, Reply, Signal
from storage_guard.wire.services import calls, contents
from storage_guard.wire.services.sources import Sizes, bucket_gone, check_etag
from storage_guard_s3 import answers, asking
from storage_guard_s3.answers import Asked
from storage_guard_s3.failures import fault_of, signal_of
from storage_guard_s3.message import Answer, Request, Versioning
from storage_guard_s3.options import Standing
from storage_guard_s3.sending import Sender
from storage_guard_s3.sums import Known

_SILENT = ("AccessDenied", "NotImplemented", "XNotImplemented", "MethodNotAllowed")  # about versioning


class Looker:
    """Asks through a sender, and takes answers for what they are. Thread-safe."""

    def __init__(self, sender: Sender, limits: Limits, standing: Standing, known: Known) -> None:
        self._sender = sender
        self._limits = limits
        self._standing = standing
        self._known = known
        self._sizes = Sizes()
        self._bucket_seen = False
        self._sums_seen = True

    def exchange(
        self, request: Request, body: Body | bytes | None = None, *, checked: bool = False
    ) -> tuple[Asked, Answer]:
        """Raises what `Sender.send` raises, and `Refused` for what cannot be sent, unless it was `checked` before."""
        if not checked:
            calls.check(request, self._limits.max_key_bytes)
        asked = Asked(request.operation, request.about, self._sender.route())
        answer = self._sender.send(request, body)
        if answer.ok and request.bucket is None:
            self._bucket_seen = True
        return asked, answer

    def submit(self, request: Request, body: bytes, reply: Reply, read: Callable[[Asked, Answer], ObjectInfo]) -> None:
        """`exchange`, sent on its way: `read` makes an object of the answer. Of a request that was checked."""
        asked = Asked(request.operation, request.about, self._sender.route())
        self._sender.submit(request, body, reply, lambda answer: read(asked, answer))

    def ask(self, request: Request, body: Body | bytes | None = None, *, checked: bool = False) -> tuple[Asked, Answer]:
        """An answer that says it went well. Raises the signal of any other."""
        asked, answer = self.exchange(request, body, checked=checked)
        asked.check(answer)
        return asked, answer

    def versioning(self) -> tuple[Versioning, str]:
        """Versioning, unknown where we may not ask or the store cannot tell; and what the store calls itself. Raises
        `Refused` for any other refusal."""
        asked, answer = self.exchange(calls.VERSIONING)
        server = answer.headers.get("server", "")
        if fault_of_refusal(answer) in _SILENT:
            return "unknown", server
        asked.check(answer)
        return answers.versioning_of(answer), server

    def head(
        self, key: str, bucket: str | None = None, version_id: str | None = None, *, with_tags: bool = False
    ) -> ObjectInfo:
        """Raises `Absent`, and nothing else, if the object is not there."""
        asked, answer = self._head(key, bucket, version_id)
        if not answer.ok:
            raise self._not_shown(asked, answer, key, bucket, version_id)
        asked.check(answer)
        tags: dict[str, str] = {}
        if with_tags and answers.has_tags(answer):
            try:
                tags = contents.tags_of(*self.ask(calls.tags(key, bucket, version_id)))
            except Refused as exc:
                if exc.why != "access":  # who may not see the tags may still see the object
                    raise
        return answers.described(asked, answer, key, tags)

    def _head(self, key: str, bucket: str | None, version_id: str | None) -> tuple[Asked, Answer]:
        sums = self._sums_seen and self._known.sums == "crc64nvme"
        asked, answer = self.exchange(asking.head(key, self._standing, bucket, version_id, sums=sums))
        if sums and answer.status in (400, 403, 501):
            # To see the checksum of what KMS encrypts takes a right that looking does not (HeadObject, Permissions);
            # and a store may refuse what it does not know.
            refused = answer.status
            asked, answer = self.exchange(asking.head(key, self._standing, bucket, version_id, sums=False))
            if answer.status != refused:
                self._sums_seen = False
        return asked, answer

    def _not_shown(self, asked: Asked, answer: Answer, key: str, bucket: str | None, version_id: str | None) -> Signal:
        """What a HEAD that was refused means. Its answer has no body, and so no code: where the status may mean
        several things, GET is asked."""
        if answer.headers.get("x-amz-delete-marker") == "true" and answer.status == 404:
            return Absent(f"{asked.about}: a delete marker", status=404, request_id=answer.request_id)
        if answer.status // 100 in (3, 5) or (answer.status == 403 and answer.request_id is not None):
            return signal_of("head", answer, asked.route, asked.about)
        if answer.status == 404 and answer.request_id is not None and bucket is None and self._bucket_seen:
            return Absent(f"{asked.about}: it is not there", status=404, request_id=answer.request_id)
        asked, answer = self.exchange(
            asking.read(key, 0, 1, None, self._standing, bucket=bucket, version_id=version_id)
        )
        if answer.ok or answer.status == 416:
            return Lost(f"{asked.about}: it was not there a moment ago", status=answer.status)
        return signal_of("read", answer, asked.route, asked.about)

    def pinned(self, key: str, etag: str | None) -> ObjectInfo:
        """Raises `Absent`, `Changed`."""
        return check_etag(key, self.head(key), etag)

    def read(self, key: str, start: int, stop: int, etag: str | None) -> bytes | None:
        """None if the range begins behind the end of the object. Raises `Absent`, `Changed`."""
        asked, answer = self.exchange(asking.read(key, start, stop, etag, self._standing))
        if answer.status == 416 or fault_of_refusal(answer) == "InvalidRange":
            return None
        asked.check(answer)
        if etag is not None and asked.etag(answer) != etag:
            raise Changed(f"{asked.about}: it has the etag {asked.etag(answer)}, not {etag}")
        return contents.bytes_of(asked, answer, start, stop)

    def source(self, source: ObjectRef) -> ObjectInfo:
        """The source of a copy. Raises `Absent`, `Changed`."""
        bucket = source.location.container
        own = bucket == self._sender.bucket
        try:
            found = self.head(source.key, None if own else bucket, source.version_id)
        except Refused as exc:
            if exc.code == "NoSuchBucket" and not own:
                raise bucket_gone(exc) from exc
            raise
        return check_etag(source.key, found, source.etag)

    def source_of_part(self, source: ObjectRef, start: int, size_bytes: int) -> ObjectRef:
        """The source of a part, as it was seen. Raises `Absent`, `Changed`, and `Refused` if it has no such bytes."""
        return self._sizes.pinned(source, start, size_bytes, self.source)


def fault_of_refusal(answer: Answer) -> str:
    return "" if answer.ok else fault_of(answer).code
