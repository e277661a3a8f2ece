"""Answers by which the services refuse, and what the drivers make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

import storage_guard_oss.failures
import storage_guard_oss.message
import storage_guard_s3.failures
import storage_guard_s3.message
from storage_guard.driver import Signal
from storage_guard.wire.services.message import A, Operation, Route

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def error(code: str, message: str = "As it is.", **more: str) -> bytes:
    fields = {"Code": code, "Message": message, **more}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


@dataclass(frozen=True)
class Service(Generic[A]):
    """`request_id`: the header by which it signs. `throttle`: one of its codes for what comes too fast."""

    kind: type[A]
    signal_of: Callable[[Operation, A, Route, str], Signal]
    request_id: Mapping[str, str]
    throttle: str

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> A:
        """One that the service itself gave."""
        return self.kind(status, {**self.request_id, **(headers or {})}, body, NOW)

    def signal(
        self,
        operation: Operation,
        status: int,
        code: str,
        message: str = "As it is.",
        more: Mapping[str, str] | None = None,
        *,
        sole: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Signal:
        told = self.answer(status, error(code, message, **(more or {})), headers)
        return self.signal_of(operation, told, Route(sole), f"{operation} of 'k'")


OSS = Service(
    storage_guard_oss.message.Answer,
    storage_guard_oss.failures.signal_of,
    {"x-oss-request-id": "5C3D9175B6FC201293AD4890"},
    throttle="TotalQpsLimitExceeded",
)
S3 = Service(
    storage_guard_s3.message.Answer,
    storage_guard_s3.failures.signal_of,
    {"x-amz-request-id": "4442587FB7D0A2F9"},
    throttle="SlowDown",
)
