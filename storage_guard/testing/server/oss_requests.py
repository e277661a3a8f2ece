"""The calls of OSS, as requests name them."""

from __future__ import annotations

from storage_guard.testing.server.calls import Calls

MAX_KEY_BYTES = 1023

# Names in the query that make another call of a request; an unknown one would be taken for a plain call otherwise.
_SUBRESOURCES = (
    *("accessPoint", "accessPointPolicy", "accessmonitor", "acl", "append", "asyncFetch", "bucketInfo"),
    *("callback", "cname", "comp", "cors", "delete", "encryption", "group", "httpsConfig", "inventory"),
    *("lifecycle", "live", "location", "logging", "metaQuery", "objectInfo", "objectMeta", "overwriteConfig"),
    *("policy", "policyStatus", "position", "publicAccessBlock", "qos", "qosInfo", "redundancyTransition"),
    *("referer", "regionList", "replication", "replicationLocation", "replicationProgress", "requestPayment"),
    *("resourceGroup", "restore", "rtc", "seal", "sequential", "stat", "status", "style", "symlink", "tagging"),
    *("transferAcceleration", "uploadId", "uploads", "versioning", "versions", "vod", "website", "worm"),
    *("wormExtend", "wormId", "x-oss-async-process", "x-oss-process"),
)

# Method, what is named, the subresources, and the call.
_ROWS = (
    ("PUT", "key", "", "put"),
    ("PUT", "key", "uploadId", "put_part"),
    ("GET", "key", "", "read"),
    ("GET", "key", "uploadId", "list_parts"),
    ("GET", "key", "acl", "get_acl"),
    ("GET", "key", "tagging", "get_tags"),
    ("HEAD", "key", "", "head"),
    ("HEAD", "key", "objectMeta", "head"),
    ("POST", "key", "uploads", "begin"),
    ("POST", "key", "uploads sequential", "begin"),
    ("POST", "key", "uploadId", "finish"),
    ("DELETE", "key", "", "remove"),
    ("DELETE", "key", "uploadId", "abort"),
    ("GET", "bucket", "", "list_v1"),
    ("GET", "bucket", "uploads", "list_uploads"),
    ("GET", "bucket", "versioning", "get_versioning"),
    ("PUT", "bucket", "versioning", "put_versioning"),
    ("GET", "bucket", "bucketInfo", "bucket_info"),
    ("POST", "bucket", "delete", "remove_many"),
)

CALLS = Calls(_ROWS, _SUBRESOURCES, source="x-oss-copy-source")
