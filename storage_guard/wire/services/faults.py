"""The document of a refusal, and how it is told to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage_guard.driver import Refused
from storage_guard.wire import document
from storage_guard.wire.services.message import Answer


@dataclass(frozen=True)
class Fault:
    """What an error document says; all empty if there is none."""

    code: str = ""
    message: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


def fault_in(body: bytes, hidden: tuple[str, ...]) -> Fault:
    """`hidden`: what must not be repeated to anybody."""
    try:
        fields = document.read(body, "Error").fields()
    except document.NotUnderstoodError:
        return Fault()
    for secret in hidden:
        fields = {name: value.replace(secret, "***") for name, value in fields.items()}
    return Fault(fields.get("Code", ""), fields.get("Message", ""), fields)


def told(about: str, answer: Answer, fault: Fault, advice: Mapping[str, str]) -> str:
    """What was asked, and what the service says, with the `advice` on its code."""
    code = fault.code or f"status {answer.status} without a code"
    pieces = [f"{about}: {code}"]
    if fault.message:
        pieces.append(" ".join(fault.message.split())[:300])
    if fault.code in advice:
        pieces.append(advice[fault.code])
    return ": ".join(pieces)


def redirected(answer: Answer, text: str) -> Refused:
    where = answer.headers.get("location", "elsewhere").partition("?")[0]
    return Refused(f"{text}: redirected to {where}, which is not followed: is the endpoint right?", why="request")


def proxy_refused(text: str) -> Refused:
    """A 407: by its meaning nothing was passed on."""
    return Refused(f"{text}: the proxy wants credentials", why="access")
