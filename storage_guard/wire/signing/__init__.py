"""Signatures: what a service wants to see before it believes who asks. Nothing here does I/O or looks at a clock."""

from __future__ import annotations

from storage_guard.wire.signing.credentials import Credentials
from storage_guard.wire.signing.encoding import canonical_path, key_path, query_string
from storage_guard.wire.signing.oss_v1 import OSSV1Signer
from storage_guard.wire.signing.oss_v4 import OSSV4Signer
from storage_guard.wire.signing.s3_v4 import SigV4Signer
from storage_guard.wire.signing.signer import Signer, Unsigned

__all__ = [
    "Credentials",
    "OSSV1Signer",
    "OSSV4Signer",
    "SigV4Signer",
    "Signer",
    "Unsigned",
    "canonical_path",
    "key_path",
    "query_string",
]
