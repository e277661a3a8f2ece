"""`ObjectOptions` as headers, and back. Pure.

What the service gives an object that asks for nothing reads back as nothing: the type application/octet-stream and
the class Standard are None. An acl is not read back, because HEAD does not tell it. `request_payer` belongs to the
whole driver, because parts and reads must carry it too: a write may only ask for what the driver has.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from storage_guard.driver import NO_OPTIONS, Encryption, ObjectOptions, Refused, Unsupported, WriteMeta
from storage_guard.names import WRITE_ID

META = "x-oss-meta-"
WRITE_ID_HEADER = META + WRITE_ID
ACL = "x-oss-object-acl"
PAYER = "x-oss-request-payer"
_ENCRYPTION = "x-oss-server-side-encryption"
_KEY_ID = "x-oss-server-side-encryption-key-id"
_DEFAULT_TYPE = "application/octet-stream"
_DEFAULT_CLASS = "Standard"
_ALGORITHMS = ("AES256", "KMS", "SM4")

_PLAIN = {
    "cache_control": "Cache-Control",
    "content_disposition": "Content-Disposition",
    "content_encoding": "Content-Encoding",
    "content_language": "Content-Language",
}


def check_options(options: ObjectOptions, payer: str | None) -> None:
    """Raises `Unsupported` for what OSS does not do, or does not do under this condition."""
    for name in ("retention", "expected_bucket_owner"):
        if getattr(options, name) is not None:
            raise Unsupported(f"OSS has no {name} for a write")
    if options.request_payer not in (None, payer):
        raise Unsupported(
            f"request_payer={options.request_payer!r} must be given to the driver: every request has to carry it"
        )
    encryption = options.encryption
    if encryption is None:
        return
    if encryption.customer_key is not None:
        raise Unsupported("OSS takes no keys of customers: encrypt with AES256, or KMS and a key_id")
    if encryption.algorithm not in _ALGORITHMS:
        raise Unsupported(f"OSS encrypts with {', '.join(_ALGORITHMS)}, not {encryption.algorithm!r}")
    if encryption.key_id is not None and encryption.algorithm != "KMS":
        raise Unsupported(f"a key_id goes with KMS only, not with {encryption.algorithm}")


def headers_of(meta: WriteMeta, payer: str | None) -> dict[str, str]:
    """What a put, a copy or a begin says about the object, its acl excepted. Raises `Unsupported`, `Refused`."""
    options = meta.options
    if options is NO_OPTIONS:
        return {"Content-Type": _DEFAULT_TYPE, WRITE_ID_HEADER: meta.write_id}
    check_options(options, payer)
    headers = {"Content-Type": options.content_type or _DEFAULT_TYPE, WRITE_ID_HEADER: meta.write_id}
    for name, header in _PLAIN.items():
        value: str | None = getattr(options, name)
        if value is not None:
            headers[header] = value
    for name, value in options.metadata.items():
        if name.lower() == WRITE_ID:
            raise Refused(f"the metadata name {name!r} is the library's own", why="request")
        headers[META + name] = value
    if options.tags:
        headers["x-oss-tagging"] = urlencode(options.tags, quote_via=quote, safe="")
    if options.storage_class is not None:
        headers["x-oss-storage-class"] = options.storage_class
    if options.encryption is not None:
        headers[_ENCRYPTION] = options.encryption.algorithm
        if options.encryption.key_id is not None:
            headers[_KEY_ID] = options.encryption.key_id
    return headers


def acl_of(options: ObjectOptions) -> dict[str, str]:
    """For every create. Of an upload it is *complete* that sets it (CompleteMultipartUpload, request headers); oss2's
    own uploads tell it to both."""
    return {} if options.acl is None else {ACL: options.acl}


def options_of(headers: Mapping[str, str], tags: Mapping[str, str]) -> ObjectOptions:
    """What HEAD tells. `headers` in lower case; `tags` are asked for apart."""
    encryption = headers.get(_ENCRYPTION)
    content_type = headers.get("content-type")
    storage_class = headers.get("x-oss-storage-class")
    return ObjectOptions(
        content_type=None if content_type == _DEFAULT_TYPE else content_type,
        cache_control=headers.get("cache-control"),
        content_disposition=headers.get("content-disposition"),
        content_encoding=headers.get("content-encoding"),
        content_language=headers.get("content-language"),
        metadata={
            name[len(META) :]: value
            for name, value in headers.items()
            if name.startswith(META) and name != WRITE_ID_HEADER
        },
        tags=dict(tags),
        storage_class=None if storage_class == _DEFAULT_CLASS else storage_class,
        encryption=None if encryption is None else Encryption(encryption, headers.get(_KEY_ID)),
    )
