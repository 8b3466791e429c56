"""Where a 911 caller is: the PIDF-LO of an INVITE (RFC 4119, 5139, 6442), and the address read aloud."""

from __future__ import annotations

import re
from email.message import Message as Part
from email.parser import BytesParser

from lxml import etree

from provisioner.errors import PeerError
from provisioner.media import prompts
from provisioner.sip.message import Request

CIVIC = "{urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr}"
PIDF = "application/pidf+xml"
MAX_PIDF = 16384  # bytes; a civic address with all elements is under 2 KiB

# How an address is spoken: elements of RFC 5139 in reading order, with the word before each that needs one.
READING = (
    ("HNO", ""), ("HNS", ""), ("PRD", ""), ("RD", ""), ("STS", ""), ("POD", ""), ("BLD", "building"),
    ("FLR", "floor"), ("UNIT", "suite"), ("ROOM", "room"), ("LOC", ""), ("A3", ""), ("A1", ""), ("PC", ""),
)  # fmt: skip


def civic_of(pidf: bytes) -> dict[str, str]:
    """The civic address of a PIDF-LO by RFC 5139 element names. Raises PeerError (424) without one."""
    if len(pidf) > MAX_PIDF:
        raise PeerError("PIDF-LO too large", 424)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(pidf, parser)
    except etree.XMLSyntaxError:
        raise PeerError("PIDF-LO is not XML", 424) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise PeerError("PIDF-LO with a DOCTYPE", 424)
    address = next(root.iter(CIVIC + "civicAddress"), None)
    if address is None:
        raise PeerError("PIDF-LO without a civic address", 424)
    return {
        str(element.tag).removeprefix(CIVIC): " ".join((element.text or "").split())
        for element in address
        if isinstance(element.tag, str) and element.tag.startswith(CIVIC) and (element.text or "").strip()
    }


def location_of(invite: Request) -> dict[str, str] | None:
    """The civic address that `invite` carries, None without one. Raises PeerError (424)."""
    pidf = pidf_of(invite)
    return None if pidf is None else civic_of(pidf)


def pidf_of(invite: Request) -> bytes | None:
    """The PIDF-LO body part: the one that Geolocation names by Content-ID, else the first, else None."""
    kind = invite.get("content-type")
    if kind.partition(";")[0].strip().lower() == PIDF:
        return invite.body
    if not kind.lower().startswith("multipart/"):
        return None
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + invite.body)
    parts = [part for part in whole.walk() if part.get_content_type() == PIDF]
    named = re.findall(r"<\s*cid:([^>\s]+)\s*>", ",".join(invite.all("geolocation")), re.I)
    chosen = [part for part in parts if _content_id(part) in named] or parts
    content = chosen[0].get_payload(decode=True) if chosen else None
    return content if isinstance(content, bytes) else None


def _content_id(part: Part) -> str:
    return str(part.get("content-id", "")).strip().strip("<>")


def spoken(civic: dict[str, str]) -> str:
    """An address as words in the order in which it is read."""
    return " ".join(f"{word} {civic[name]}".strip() for name, word in READING if civic.get(name))


def read_back(prompt: str, civic: dict[str, str] | None, callback: str) -> list[str]:
    """Audio names: `prompt`, the address (or that there is none) and the callback number."""
    address = [prompt, *prompts.spell(spoken(civic))] if civic else ["no-address"]
    return [*address, "callback-number", *prompts.spell(callback.removeprefix("+1"))]
