"""What the logger "storage_guard" is told when a write does not go as it should: INFO, and WARNING for what stays in
the store. Nothing else, and nothing secret: no data, no ticket, no header, of an answer its code but not its words."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from storage_guard.signals import Signal


def troubled(url: str, request: str, signal: Signal) -> None:
    """`request` came to nothing, or to nobody knows what: it is asked about or sent again while there is time."""
    about = [str(each) for each in (signal.status, signal.code, signal.request_id) if each is not None]
    _logger().info("%s: %s: %s", url, request, " ".join([type(signal).__name__, *about]))


def decided(url: str, verdict: str, attempts: int) -> None:
    """What became of a write that was sent more than once, or whose answer was lost."""
    _logger().info("%s: %s, sent %d times", url, verdict, attempts)


def left_open(url: str, upload_id: str | None) -> None:
    """None: it is not known whether there is one."""
    _logger().warning("%s: upload %s is left open; Store.sweep removes it", url, upload_id or "(if there is one)")


def examined(url: str, operation: str, verdict: str) -> None:
    """What was found of an operation of a store."""
    _logger().info("%s: %s was examined: %s", url, operation, verdict)


@cache
def _logger() -> Logger:
    import logging  # noqa: PLC0415 - costs as much as the rest of the import, and most programs meet no trouble

    logger = logging.getLogger("storage_guard")
    # Who has set up no logging has warnings on standard error otherwise, and errors and receipts have them as notes.
    logger.addHandler(logging.NullHandler())
    return logger
