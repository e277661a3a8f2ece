"""XML in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_AWKWARD = re.compile("[&<>\x00-\x08\x0b-\x1f]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Malformed(Exception):
    """Not a document that we read."""


class Node:
    """An element of a document that was received; names go without their namespaces."""

    __slots__ = ("_element",)

    def __init__(self, element: ElementTree.Element) -> None:
        self._element = element

    @property
    def name(self) -> str:
        return self._element.tag.rpartition("}")[2]

    def all(self, name: str) -> Iterator[Node]:
        return (node for child in self._element if (node := Node(child)).name == name)

    def text(self, name: str) -> str | None:
        """The text of the first child of this name, without blanks around it; None if there is none."""
        for child in self.all(name):
            return child.whole_text().strip()
        return None

    def whole_text(self) -> str:
        return "".join(self._element.itertext())


def parse(data: bytes) -> Node:
    """The root of a document in UTF-8. One that declares entities or a type is not read.

    Raises: Malformed.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Malformed("declares a document type")
    try:
        return Node(ElementTree.fromstring(text))  # noqa: S314 - without a document type there are no entities
    except (ElementTree.ParseError, ValueError) as error:
        raise Malformed(str(error)) from error


def document(root: str) -> bytes:
    return (_DECLARATION + root).encode("utf-8", "xmlcharrefreplace")


def element(name: str, *children: str) -> str:
    """An element of elements."""
    return f"<{name}>{''.join(children)}</{name}>"


def leaf(name: str, text: str | int) -> str:
    """An element of text. Control characters go as references, which XML 1.0 knows only for three of them: names that
    have others are asked for in another encoding."""
    return f"<{name}>{_AWKWARD.sub(_escaped, str(text))}</{name}>"


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return _ESCAPES.get(character) or f"&#{ord(character)};"
