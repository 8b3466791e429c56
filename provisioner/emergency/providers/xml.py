"""XML that a provider sent: read without fetching, expanding or believing anything."""

from __future__ import annotations

from lxml import etree

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def parsed(body: bytes) -> etree._Element:
    """The root element. Raises ValueError for what is no XML, or has a DOCTYPE."""
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError:
        raise ValueError("no XML") from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise ValueError("a document with a DOCTYPE is not read")
    return root
