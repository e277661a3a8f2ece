"""Create-only writes that tell the truth about what happened.

    store = open_store("file:///data")
    receipt = store.create("models/v1.bin", Path("model.bin"))

`storage_guard.driver` is for writers of backends, `storage_guard.testing` for those who test with or against one.
"""

from storage_guard.errors import (
    AccessDenied,
    ChecksumMismatch,
    GuaranteeBroken,
    GuaranteeMissing,
    GuaranteeWarning,
    InvalidKey,
    NotWritten,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    OutcomeUnknown,
    RenameIncomplete,
    SourceChanged,
    StorageGuardError,
    StoreUnavailable,
    Unsupported,
    ticket_of,
)
from storage_guard.model import Capabilities, Checksum, ObjectInfo, ObjectOptions, Prefix, Receipt
from storage_guard.registry import open_store
from storage_guard.retry import RetryPolicy
from storage_guard.store import Store

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Capabilities",
    "Checksum",
    "ChecksumMismatch",
    "GuaranteeBroken",
    "GuaranteeMissing",
    "GuaranteeWarning",
    "InvalidKey",
    "NotWritten",
    "ObjectChanged",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectOptions",
    "OutcomeUnknown",
    "Prefix",
    "Receipt",
    "RenameIncomplete",
    "RetryPolicy",
    "SourceChanged",
    "StorageGuardError",
    "Store",
    "StoreUnavailable",
    "Unsupported",
    "open_store",
    "ticket_of",
]
