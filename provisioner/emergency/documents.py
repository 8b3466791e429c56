"""XML of strangers, read without harm, and documents of ours, held against the schemas in schemas/."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from lxml import etree

from provisioner.errors import PeerError

MAX_DOCUMENT = 16384  # bytes; a civic address with all its elements is under 4 KiB
_SCHEMAS = Path(__file__).with_name("schemas")


def read(document: bytes) -> etree._Element:
    """The root of a stranger's document. Raises PeerError for what is too long, not XML, or has a DOCTYPE."""
    if len(document) > MAX_DOCUMENT:
        raise PeerError("the document is too long")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise PeerError("the document is not XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise PeerError("a document with a DOCTYPE is not read")
    return root


@cache
def _schema(name: str) -> etree.RelaxNG:
    return etree.RelaxNG(file=str(_SCHEMAS / f"{name}.rng"))


def faults(document: bytes, schema: Literal["pidf_lo", "held"]) -> list[str]:
    """What the schema has against a document of ours, in its words; [] when it is valid."""
    validator = _schema(schema)
    if validator.validate(etree.fromstring(document)):
        return []
    return [f"line {each.line}: {each.message}" for each in validator.error_log]
