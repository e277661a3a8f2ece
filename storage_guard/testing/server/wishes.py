"""What a client asks for: in the headers of a call, in its query, and in the documents that it sends."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from storage_guard.testing.server.documents import Malformed, Node, parse
from storage_guard.testing.server.refusals import Refusal, invalid
from storage_guard.testing.server.versions import Versioning

MAX_TAGS = 10
MAX_REMOVED = 1000


def kept_of(headers: Mapping[str, str], kept: frozenset[str], prefix: str) -> tuple[dict[str, str], dict[str, str]]:
    """The headers that are `kept`, and the user metadata, whose names begin with `prefix` and go without it."""
    held: dict[str, str] = {}
    meta: dict[str, str] = {}
    for name, value in headers.items():
        if name in kept:
            held[name] = value
        elif name.startswith(prefix):
            meta[name[len(prefix) :]] = value
    return held, meta


def tags_of(text: str) -> dict[str, str]:
    """The tags in a header. Raises: Refusal."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_TAGS)
    except ValueError as error:
        raise Refusal("InvalidTag") from error
    return checked_tags(pairs)


def checked_tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Raises: Refusal."""
    tags = dict(pairs)
    if len(pairs) > MAX_TAGS or len(tags) != len(pairs):
        raise Refusal("InvalidTag")
    if any(not 1 <= len(name) <= 128 or len(value) > 256 for name, value in pairs):
        raise Refusal("InvalidTag")
    return tags


def wanted_md5(headers: Mapping[str, str]) -> bytes | None:
    """What the client says the MD5 of the body is. Raises: Refusal."""
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        md5 = b64decode(text, validate=True)
    except (NotBase64, ValueError) as error:
        raise Refusal("InvalidDigest", more={"Content-MD5": text}) from error
    if len(md5) != 16:
        raise Refusal("InvalidDigest", more={"Content-MD5": text})
    return md5


def replaces(headers: Mapping[str, str], prefix: str) -> tuple[bool, bool]:
    """Whether a copy has metadata of its own, and tags of its own; the names of its directives begin with `prefix`.
    Raises: Refusal."""
    names = (f"{prefix}metadata-directive", f"{prefix}tagging-directive")
    values = [headers.get(name, "COPY").upper() for name in names]
    for name, value in zip(names, values, strict=True):
        if value not in {"COPY", "REPLACE"}:
            raise invalid(name, value)
    return values[0] == "REPLACE", values[1] == "REPLACE"


def count_in(text: str, *, digits: int) -> int | None:
    """A number of at most so many digits; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def read_document(body: bytes, root_name: str) -> Node:
    """Raises: Refusal, if it is none with this root."""
    try:
        root = parse(body)
    except Malformed as error:
        raise Refusal("MalformedXML") from error
    if root.name != root_name:
        raise Refusal("MalformedXML")
    return root


def versioning_of(body: bytes) -> Versioning:
    """Raises: Refusal."""
    status = read_document(body, "VersioningConfiguration").text("Status")
    if status not in {"Enabled", "Suspended"}:
        raise Refusal("MalformedXML")
    return "enabled" if status == "Enabled" else "suspended"


def to_remove(body: bytes, max_key_bytes: int) -> tuple[list[tuple[str, Node]], bool]:
    """The keys to be removed, each with what else is said of it, and whether the answer leaves out those that were.
    Raises: Refusal."""
    root = read_document(body, "Delete")
    wanted: list[tuple[str, Node]] = []
    for node in root.all("Object"):
        # A key keeps its blanks.
        key = next((child.whole_text() for child in node.all("Key")), "")
        if not 1 <= len(key.encode()) <= max_key_bytes:
            raise Refusal("MalformedXML")
        wanted.append((key, node))
    quiet = root.text("Quiet") or "false"
    if not 1 <= len(wanted) <= MAX_REMOVED or quiet not in {"true", "false"}:
        raise Refusal("MalformedXML")
    return wanted, quiet == "true"


def parts_named(body: bytes) -> Iterator[tuple[int, str, Node]]:
    """The parts that an object is to be made of: number, ETag, and what else is said. Raises: Refusal."""
    nodes = list(read_document(body, "CompleteMultipartUpload").all("Part"))
    if not nodes:
        raise Refusal("MalformedXML")
    for node in nodes:
        number = count_in(node.text("PartNumber") or "", digits=9)
        etag = node.text("ETag")
        if number is None or etag is None:
            raise Refusal("MalformedXML")
        yield number, etag.strip('"').lower(), node
