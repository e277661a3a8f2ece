"""XML of services, read without surprises; names are found in any namespace. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree as ET


class NotUnderstoodError(ValueError):
    """The document is not what the service's pages say it is."""


class Element:
    """An element whose children are found by name, whatever namespace they are in."""

    __slots__ = ("_found",)

    def __init__(self, found: ET.Element) -> None:
        self._found = found

    @property
    def name(self) -> str:
        return _local(self._found)

    def all(self, name: str) -> Iterator[Element]:
        return (Element(child) for child in self._found if _local(child) == name)

    def get(self, name: str) -> str | None:
        """The text of the first such child; None if there is none."""
        for child in self._found:
            if _local(child) == name:
                return (child.text or "").strip()
        return None

    def raw(self, name: str, *, quoted: bool) -> str:
        """The text of a child with the blanks that belong to it, percent-decoded if `quoted`; "" if there is none."""
        for child in self._found:
            if _local(child) == name:
                text = child.text or ""
                return unquote(text, errors="strict") if quoted else text
        return ""

    def need(self, name: str) -> str:
        text = self.get(name)
        if text is None:
            raise NotUnderstoodError(f"<{self.name}> has no <{name}>")
        return text

    def fields(self) -> dict[str, str]:
        return {_local(child): (child.text or "").strip() for child in self._found}

    def flag(self, name: str) -> bool:
        text = self.need(name)
        if text not in ("true", "false"):
            raise NotUnderstoodError(f"<{name}> is {text!r}")
        return text == "true"


def read(body: bytes, *roots: str) -> Element:
    """The root of a document, which must have one of these names. Blanks before it keep a connection awake while the
    service works (S3: CompleteMultipartUpload). Raises `NotUnderstoodError`."""
    body = body.lstrip()
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise NotUnderstoodError("the document declares entities, which the service's never do")
    try:
        element = Element(ET.fromstring(body))  # noqa: S314 - without a document type there is nothing to expand
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise NotUnderstoodError(f"not XML: {exc}") from exc
    if element.name not in roots:
        raise NotUnderstoodError(f"the root is <{element.name}>, not <{roots[0]}>")
    return element


def quoted(etag: str) -> str:
    """An etag as HTTP writes it."""
    return f'"{etag}"'


def unquoted(etag: str) -> str:
    return etag.strip().strip('"')


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
