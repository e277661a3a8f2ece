"""Create-only writes that tell the truth about what happened.

    store = open_store("file:///data")
    receipt = store.create("models/v1.bin", Path("model.bin"))

`storage_guard.driver` is for writers of backends, `storage_guard.testing` for those who test with or against one.
"""

from typing import TYPE_CHECKING, Any

from storage_guard.errors import (
    AccessDenied,
    ChecksumMismatch,
    GuaranteeBroken,
    GuaranteeMissing,
    GuaranteeWarning,
    InvalidKey,
    NotWritten,
    ObjectChanged,
    ObjectDamaged,
    ObjectExists,
    ObjectNotFound,
    OutcomeUnknown,
    RenameIncomplete,
    SourceChanged,
    SourceMissing,
    StorageGuardError,
    StoreUnavailable,
    Unsupported,
    ticket_of,
)
from storage_guard.model import (
    Capabilities,
    Checksum,
    Encryption,
    ObjectInfo,
    ObjectOptions,
    Prefix,
    Receipt,
    Retention,
    Swept,
    Upload,
)
from storage_guard.registry import open_store
from storage_guard.retry import RetryPolicy
from storage_guard.store import Store

if TYPE_CHECKING:
    from storage_guard.engine.results import NewObject
    from storage_guard.files.reader import ObjectReader
    from storage_guard.files.textual import ObjectTextWriter
    from storage_guard.files.writer import ObjectWriter

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Capabilities",
    "Checksum",
    "ChecksumMismatch",
    "Encryption",
    "GuaranteeBroken",
    "GuaranteeMissing",
    "GuaranteeWarning",
    "InvalidKey",
    "NewObject",
    "NotWritten",
    "ObjectChanged",
    "ObjectDamaged",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectOptions",
    "ObjectReader",
    "ObjectTextWriter",
    "ObjectWriter",
    "OutcomeUnknown",
    "Prefix",
    "Receipt",
    "RenameIncomplete",
    "Retention",
    "RetryPolicy",
    "SourceChanged",
    "SourceMissing",
    "StorageGuardError",
    "Store",
    "StoreUnavailable",
    "Swept",
    "Unsupported",
    "Upload",
    "open_store",
    "ticket_of",
]


def __getattr__(name: str) -> Any:
    """What not every program needs."""
    if name == "ObjectReader":
        from storage_guard.files.reader import ObjectReader  # noqa: PLC0415

        return ObjectReader
    if name == "NewObject":
        from storage_guard.engine.results import NewObject  # noqa: PLC0415

        return NewObject
    if name in ("ObjectTextWriter", "ObjectWriter"):
        from storage_guard.files import opening  # noqa: PLC0415

        return getattr(opening, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
