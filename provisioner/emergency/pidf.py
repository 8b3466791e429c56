"""A dispatchable location as PIDF-LO, and as the second part of an INVITE's body.

In calls the device form, which RFC 5491 (rule 8) lets win over others: RFC 4479 device, RFC 4119 geopriv, RFC 5139
civic address. The order of elements is the schemas' and is not free (schemas/pidf_lo.rng).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lxml import etree

from provisioner.emergency.civic import CIVIC_ORDER, EXTENSION_ORDER
from provisioner.errors import OperatorError

PIDF = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL = f"{PIDF}:data-model"
GEOPRIV = f"{PIDF}:geopriv10"
POLICY = f"{GEOPRIV}:basicPolicy"
CIVIC = f"{GEOPRIV}:civicAddr"
CIVIC_EXTENSION = f"{CIVIC}:ext"
NAMESPACES = {None: PIDF, "dm": DATA_MODEL, "gp": GEOPRIV, "gbp": POLICY, "ca": CIVIC}
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

METHODS = frozenset({"Manual", "DHCP", "Wiremap", "Default"})  # those of the IANA registry that can be ours
RETENTION = timedelta(hours=24)  # RFC 4119's own default, said aloud
CONTENT_TYPE = "application/pidf+xml"


def pidf_lo(
    civic: dict[str, str],
    *,
    entity: str,
    at: datetime,
    mac: str = "",
    method: str = "Manual",
    language: str = "en-US",
) -> bytes:
    """The document for one device, or with no `mac` for a nameless one (RFC 5985, section 6.6), as a tuple.

    `civic`: RFC 5139 element names to values; empty values are left out. `entity` is a URI of the caller (`pres:` or
    `sip:`), `at` (aware) when this was so. Retransmission is allowed, since an emergency centre has to pass it on.
    Raises OperatorError for an address that no schema would let through.
    """
    root = etree.Element(f"{{{PIDF}}}presence", nsmap=NAMESPACES)  # type: ignore[arg-type]
    root.set("entity", entity)
    fill_presence(root, civic, at=at, mac=mac, method=method, language=language)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def fill_presence(
    presence: etree._Element, civic: dict[str, str], *, at: datetime, mac: str, method: str, language: str
) -> None:
    """Put the one location into a `presence`; arguments and errors as for pidf_lo."""
    check(civic)
    if method not in METHODS:
        raise ValueError(f"{method} is not a method that is ours to claim")
    if mac:
        holder = inner = child(presence, DATA_MODEL, "device")
    else:
        holder = child(presence, PIDF, "tuple")
        inner = child(holder, PIDF, "status")
    holder.set("id", f"d{mac}")  # an xs:ID may not begin with a digit
    geopriv = child(inner, GEOPRIV, "geopriv")
    _civic_address(child(geopriv, GEOPRIV, "location-info"), civic, language)
    rules = child(geopriv, GEOPRIV, "usage-rules")
    child(rules, POLICY, "retransmission-allowed", "true")  # xs:boolean: RFC 4119's own "yes" is not valid
    child(rules, POLICY, "retention-expiry", utc(at + RETENTION))
    child(geopriv, GEOPRIV, "method", method)
    if mac:
        child(holder, DATA_MODEL, "deviceID", f"mac:{mac}")
    child(holder, DATA_MODEL if mac else PIDF, "timestamp", utc(at))


def civic_of(presence: etree._Element) -> dict[str, str]:
    """The civic address of the first device, else of the first tuple (RFC 5491, rule 8); {} without one."""
    ways = (
        f"{{{DATA_MODEL}}}device/{{{GEOPRIV}}}geopriv",
        f"{{{PIDF}}}tuple/{{{PIDF}}}status/{{{GEOPRIV}}}geopriv",
    )
    for way in ways:
        address = presence.find(f"{way}/{{{GEOPRIV}}}location-info/{{{CIVIC}}}civicAddress")
        if address is not None:
            pairs = ((etree.QName(each), " ".join((each.text or "").split())) for each in address.iter("*"))
            return {
                name.localname: text
                for name, text in pairs
                if text and name.namespace in (CIVIC, CIVIC_EXTENSION)
            }
    return {}


def multipart(sdp: bytes, pidf: bytes, boundary: str, content_id: str) -> tuple[str, bytes]:
    """Content-Type and body of an INVITE that carries both (RFC 5621), the session first.

    `content_id` is `id@host`: `Geolocation: <cid:id@host>` names it (RFC 6442, section 3.1). Raises
    ValueError when the boundary is not one, or occurs in a part.
    """
    if not re.fullmatch(r"[A-Za-z0-9'+_-]{1,70}", boundary):
        raise ValueError(f"{boundary!r} cannot be a boundary")
    if not re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", content_id):
        raise ValueError(f"{content_id!r} cannot be a Content-ID")
    mark = b"--" + boundary.encode()
    if mark in sdp or mark in pidf:
        raise ValueError("the boundary occurs in a part")
    body = b"".join(
        (
            mark,
            b"\r\nContent-Type: application/sdp\r\n\r\n",
            sdp,
            b"\r\n",
            mark,
            f"\r\nContent-Type: {CONTENT_TYPE}\r\nContent-ID: <{content_id}>\r\n".encode(),
            # A callee that cannot read it takes the call all the same (RFC 3261, section 20.11).
            b"Content-Disposition: by-reference;handling=optional\r\n\r\n",
            pidf,
            b"\r\n",
            mark,
            b"--\r\n",
        )
    )
    return f"multipart/mixed;boundary={boundary}", body


def check(civic: dict[str, str]) -> None:
    """Raise OperatorError for an address that the schema would not let through."""
    unknown = sorted(set(civic) - set(CIVIC_ORDER) - set(EXTENSION_ORDER))
    if unknown:
        raise OperatorError(
            f"a civic address has no element {', '.join(unknown)}",
            "use the names of RFC 5139, such as A3, RD, HNO",
        )
    if not re.fullmatch(r"[A-Z]{2}", civic.get("country", "")):
        raise OperatorError("a civic address needs its country", "give two capital letters, such as US")


def _civic_address(parent: etree._Element, civic: dict[str, str], language: str) -> None:
    address = child(parent, CIVIC, "civicAddress")
    address.set(_XML_LANG, language)
    for names, namespace in ((CIVIC_ORDER, CIVIC), (EXTENSION_ORDER, CIVIC_EXTENSION)):
        for name in names:
            value = " ".join(_PRINTABLE.sub(" ", civic.get(name, "")).split())
            if value:
                child(address, namespace, name, value)


_PRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 cannot hold, and line ends


def child(parent: etree._Element, namespace: str, name: str, text: str | None = None) -> etree._Element:
    """A new last child."""
    made = etree.SubElement(parent, f"{{{namespace}}}{name}")
    made.text = text
    return made


def utc(at: datetime) -> str:
    """An xs:dateTime in UTC, the only form that RFC 5985 allows."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
