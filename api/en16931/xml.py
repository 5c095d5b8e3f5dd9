"""Elements in order; a document of them as bytes."""

from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree as ET

type Node = tuple[str, "str | Nodes", dict[str, str]]
type Nodes = Iterable[Node | None]

_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def node(name: str, content: "str | Nodes", **attributes: str) -> Node:
    """An element: of a text, or of elements in order, None among them left out."""
    return name, content, attributes


def maybe(name: str, text: str) -> Node | None:
    """None for the empty text: the standard knows no empty element (BR-UBL, PEPPOL R008)."""
    return node(name, text) if text else None


def document(root: Node, spaces: dict[str, str]) -> bytes:
    """UTF-8 with its declaration; `spaces`: namespaces by prefix, that of the root's own is ``."""
    name, content, _ = root
    top = ET.Element(name, {f"xmlns:{key}" if key else "xmlns": uri for key, uri in spaces.items()})
    _fill(top, content)
    written: str = ET.tostring(top, encoding="unicode")
    return _DECLARATION + written.encode()


def _fill(parent: ET.Element, content: "str | Nodes") -> None:
    if isinstance(content, str):
        parent.text = content
        return
    for one in content:
        if one is not None:
            name, inner, attributes = one
            _fill(ET.SubElement(parent, name, attributes), inner)
