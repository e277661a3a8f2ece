"""The calls of S3, as requests name them."""

from __future__ import annotations

from storage_guard.testing.server.calls import Calls

MAX_KEY_BYTES = 1024

# Names in the query that make another call of a request; an unknown one would be taken for a plain call otherwise.
_SUBRESOURCES = (
    *("accelerate", "acl", "analytics", "append", "attributes", "cors", "delete", "encryption", "intelligent-tiering"),
    *("inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification"),
    *("object-lock", "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock"),
    *("renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging"),
    *("torrent", "uploadId", "uploads", "versioning", "versions", "website"),
)

# Method, what is named, the subresources, and the call.
_ROWS = (
    ("PUT", "key", "", "put"),
    ("PUT", "key", "uploadId partNumber", "put_part"),
    ("PUT", "key", "tagging", "put_tags"),
    ("PUT", "key", "acl", "put_acl"),
    ("GET", "key", "", "read"),
    ("GET", "key", "uploadId", "list_parts"),
    ("GET", "key", "tagging", "get_tags"),
    ("GET", "key", "acl", "get_acl"),
    ("HEAD", "key", "", "head"),
    ("POST", "key", "uploads", "begin"),
    ("POST", "key", "uploadId", "finish"),
    ("DELETE", "key", "", "remove"),
    ("DELETE", "key", "uploadId", "abort"),
    ("DELETE", "key", "tagging", "remove_tags"),
    ("GET", "bucket", "", "list_v1"),
    ("GET", "bucket", "uploads", "list_uploads"),
    ("GET", "bucket", "versions", "list_versions"),
    ("GET", "bucket", "versioning", "get_versioning"),
    ("PUT", "bucket", "versioning", "put_versioning"),
    ("GET", "bucket", "location", "location"),
    ("HEAD", "bucket", "", "head_bucket"),
    ("PUT", "bucket", "", "create_bucket"),
    ("DELETE", "bucket", "", "remove_bucket"),
    ("POST", "bucket", "delete", "remove_many"),
    ("GET", "service", "", "list_buckets"),
)

CALLS = Calls(_ROWS, _SUBRESOURCES, source="x-amz-copy-source")
