"""Stores that do not keep the condition, each in one way that was seen of a server: memory, with a switch for each."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from storage_guard.driver import (
    Absent,
    Body,
    Capabilities,
    Exists,
    Limits,
    ObjectInfo,
    ObjectRef,
    Part,
    Unsupported,
    WriteMeta,
)
from storage_guard.memory import MemoryDriver
from storage_guard.model import KiB
from storage_guard.testing import BytesBody

Operation = Literal["put", "finish", "copy"]
Way = Literal["keeps", "ignores", "looks early", "looks late", "overwrites", "unsupported", "own lock"]

LIMITS = Limits(
    max_put_bytes=200 * KiB,
    min_part_bytes=KiB,
    max_part_bytes=200 * KiB,
    max_parts=100,
    max_object_bytes=10_000 * KiB,
)


@dataclass(frozen=True)
class Switches:
    """How each operation behaves.

    "ignores": writes, whatever is there. "looks early": looks, then reads the body, then writes; "looks late": reads,
    looks, and writes `gap_s` later. "overwrites": writes, and answers as if it had refused. "unsupported": 501.
    "own lock": excludes its like, but no other operation.
    """

    put: Way = "keeps"
    finish: Way = "keeps"
    copy: Way = "keeps"
    gap_s: float = 0.0
    loses_ids: bool = False
    stale_heads: bool = False


class BadStore(MemoryDriver):
    """For which nobody vouches. `client()` gives a second client of the same store, as bad as the first."""

    def __init__(
        self, switches: Switches | None = None, *, limits: Limits | None = LIMITS, reason: str = "", server: str = ""
    ) -> None:
        super().__init__(limits=limits, refuse_at_begin=False)
        self.switches = switches or Switches()
        self.can = Capabilities(
            put="unproven", finish="unproven", copy="unproven", uploads_stay=False, reason=reason, server=server
        )
        self._replacing = threading.Lock()
        self._locks = {"put": threading.Lock(), "finish": threading.Lock(), "copy": threading.Lock()}
        self._heads: dict[str, ObjectInfo | None] = {}

    def capabilities(self) -> Capabilities:
        return self.can

    def put_new(self, key: str, body: Body, meta: WriteMeta, /) -> ObjectInfo:
        if self.switches.put == "looks early":
            self._look(key)
        held = BytesBody(b"".join(bytes(window) for window in body.windows()))
        return self._commit("put", key, lambda: super(BadStore, self).put_new(key, held, meta))

    def finish_new(self, key: str, upload_id: str, parts: Sequence[Part], meta: WriteMeta, /) -> ObjectInfo:
        def finish() -> ObjectInfo:
            return super(BadStore, self).finish_new(key, upload_id, parts, meta)

        return self._commit("finish", key, finish)

    def begin(self, key: str, meta: WriteMeta, /) -> str:
        return super().begin(key, meta)

    def copy_new(self, source: ObjectRef, key: str, meta: WriteMeta, /) -> ObjectInfo:
        return self._commit("copy", key, lambda: super(BadStore, self).copy_new(source, key, meta))

    def head(self, key: str, /) -> ObjectInfo | None:
        found = self._heads.setdefault(key, super().head(key)) if self.switches.stale_heads else super().head(key)
        return replace(found, write_id=None) if found is not None and self.switches.loses_ids else found

    def _commit(self, operation: Operation, key: str, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        way: Way = getattr(self.switches, operation)
        match way:
            case "keeps":
                return write()
            case "ignores":
                return self._replace(key, write)
            case "looks early":
                return self._replace(key, write)
            case "looks late":
                self._look(key)
                self._wait()
                return self._replace(key, write)
            case "own lock":
                with self._locks[operation]:
                    self._look(key)
                    self._wait()
                    return self._replace(key, write)
            case "overwrites":
                if super().head(key) is None:
                    return write()
                self._replace(key, write)
                raise Exists(key, sole=True)
            case "unsupported":
                raise Unsupported("a header you provided implies functionality that is not implemented", status=501)

    def _look(self, key: str) -> None:
        if super().head(key) is not None:
            raise Exists(key, sole=True)

    def _wait(self) -> None:
        if self.switches.gap_s:
            threading.Event().wait(self.switches.gap_s)

    def _replace(self, key: str, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        with self._replacing:
            with contextlib.suppress(Absent):
                self.remove(key, None)
            return write()
