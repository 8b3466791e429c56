"""The location server's answers (RFC 5985, 6155, 6753): a phone asks where it is and learns that, and of no other.

Sans-I/O: who asks is told by the caller, as beyond doubt; nothing in a request changes it.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from lxml import etree

from provisioner.emergency import documents, pidf
from provisioner.errors import PeerError
from provisioner.store.records import Phone, Snapshot

HELD = "urn:ietf:params:xml:ns:geopriv:held"
IDENTITY = f"{HELD}:id"
CONTENT_TYPE = "application/held+xml"
TYPES = ("civic", "geodetic", "locationURI")
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NAMESPACES: dict[str, str] = {
    None: HELD,  # type: ignore[dict-item]
    "id": IDENTITY,
    **{prefix or "p": space for prefix, space in pidf.NAMESPACES.items()},
}
_OWN: dict[str, str] = {None: HELD}  # type: ignore[dict-item]
_log = logging.getLogger(__name__)

# Codes of RFC 5985, section 6.3, and RFC 6155, section 7.3, with what we say in each case.
WORDS = {
    "requestError": "A request has one locationRequest with at most one locationType and one device.",
    "xmlError": "The request is not XML as RFC 5985 has it.",
    "generalLisError": "The address of this place cannot be sent; the practice has to correct it.",
    "locationUnknown": "It is not known where this phone is; the practice has to place it.",
    "unsupportedMessage": "Only locationRequest is answered here.",
    "timeout": "The places are not read yet; ask again in a few seconds.",
    "cannotProvideLiType": "Only civic addresses and location URIs are given here.",
    "notLocatable": "This address is not one of the practice.",
    "badIdentifier": "A phone may ask for its own location only.",
}


class HeldError(PeerError):
    """What a request is refused with; `code` is a key of WORDS."""

    def __init__(self, code: str) -> None:
        super().__init__(WORDS[code])
        self.code = code


class Asker(NamedTuple):
    """Who sent a request. `phone`: the MAC of the phone that it is beyond doubt, or "".

    `inside`: its address is in the practice's networks; `trusted`: it may ask for others.
    """

    address: str
    phone: str = ""
    inside: bool = True
    trusted: bool = False


@dataclass(frozen=True)
class Knowledge:
    """What is known at the moment. `registered`: address to MAC; `reference`: a location URI for a MAC, and its end."""

    snapshot: Snapshot | None
    now: float
    pseudonym: Callable[[], str]
    registered: Callable[[str], str] = field(default=lambda _address: "")
    reference: Callable[[str], tuple[str, float] | None] = field(default=lambda _mac: None)


class Question(NamedTuple):
    """A locationRequest. `milliseconds`: how long the asker waits, None without a word on it; `device`: as it said."""

    types: tuple[str, ...]
    exact: bool
    milliseconds: int | None
    device: tuple[tuple[str, str], ...]


def answer(document: bytes, asker: Asker, knowledge: Knowledge) -> bytes:
    """The response to a request, an error response included; it never raises."""
    try:
        question = read(document)
        mac = _target(question, asker, knowledge)
        return _response(question, mac, knowledge, refer=True)
    except HeldError as error:
        return _error(error.code)
    except Exception:
        _log.exception("a location request cannot be answered")
        return _error("generalLisError")


def dereferenced(document: bytes | None, mac: str, knowledge: Knowledge) -> bytes:
    """The response to who holds a location URI of phone `mac`; no document: a GET (RFC 6753, section 3.2)."""
    try:
        question = (
            read(document) if document is not None else Question(("geodetic", "civic"), False, None, ())
        )
        if question.device:
            raise HeldError("badIdentifier")
        return _response(question, mac, knowledge, refer=False)
    except HeldError as error:
        return _error(error.code)
    except Exception:
        _log.exception("a location URI cannot be answered")
        return _error("generalLisError")


def presence(mac: str, knowledge: Knowledge) -> bytes | None:
    """The bare document, for who holds a location URI and asks for it; None when there is none."""
    place = knowledge.snapshot.place(_placed(mac, knowledge)) if knowledge.snapshot else None
    if place is None:
        return None
    at = datetime.fromtimestamp(knowledge.now, UTC)
    return pidf.pidf_lo(place.civic, entity=_entity(knowledge), at=at)


# the request


def read(document: bytes) -> Question:
    """A request as it was meant. Raises HeldError.

    Lists of types with commas and MACs in any spelling are taken as well: phones send them.
    """
    if not document.strip():
        raise HeldError("requestError")
    try:
        root = documents.read(document)
    except PeerError:
        raise HeldError("xmlError") from None
    if root.tag != f"{{{HELD}}}locationRequest":
        raise HeldError("unsupportedMessage")
    kinds, devices = root.findall(f"{{{HELD}}}locationType"), root.findall(f"{{{IDENTITY}}}device")
    if len(kinds) > 1 or len(devices) > 1:
        raise HeldError("requestError")
    types, exact = _types(kinds[0]) if kinds else (("any",), False)
    device = tuple(_identifiers(devices[0])) if devices else ()
    return Question(types, exact, _milliseconds(root.get("responseTime", "")), device)


def _types(element: etree._Element) -> tuple[tuple[str, ...], bool]:
    types = tuple((element.text or "").replace(",", " ").split())
    exact = (element.get("exact") or "false").strip()
    if types == ("any",):
        return types, False  # section 6.2.1
    if not types or set(types) - set(TYPES) or exact not in ("true", "false", "1", "0"):
        raise HeldError("xmlError")
    return types, exact in ("true", "1")


def _milliseconds(text: str) -> int | None:
    text = text.strip()
    if text in ("", "emergencyRouting", "emergencyDispatch"):
        return None
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise HeldError("xmlError")
    return int(text)


def _identifiers(device: etree._Element) -> Iterable[tuple[str, str]]:
    for each in device:
        name = etree.QName(each)
        if name.namespace == IDENTITY:
            yield name.localname, " ".join((each.text or "").split())


# who is meant


def _target(question: Question, asker: Asker, knowledge: Knowledge) -> str:
    """The MAC of the phone whose location is given: the asker's own, or another's for who is trusted."""
    snapshot = knowledge.snapshot
    if snapshot is None:
        raise HeldError("timeout" if question.milliseconds is not None else "locationUnknown")
    own = asker.phone if asker.phone in snapshot.phones else ""
    if asker.trusted and question.device:
        named = [_meant(kind, value, snapshot, knowledge) for kind, value in question.device]
        if not named or set(named) != {named[0]} or not named[0]:
            raise HeldError("badIdentifier")
        return named[0]
    if not own:
        raise HeldError("locationUnknown" if asker.inside else "notLocatable")
    for kind, value in question.device:
        if not _is_own(kind, value, snapshot.phones[own], asker):
            raise HeldError("badIdentifier")
    return own


def _is_own(kind: str, value: str, phone: Phone, asker: Asker) -> bool:
    """Whether an identifier may be the asker's: what cannot be told apart is let pass, since it changes nothing."""
    if kind == "mac":
        return mac_of(value) == phone.id
    if kind == "ip":
        return _address(value) == _address(asker.address)
    if kind in ("uri", "nai", "tel-number", "msisdn", "mdn"):
        return not _user(value).isdecimal() or _user(value) in _users(phone)
    return True


def _meant(kind: str, value: str, snapshot: Snapshot, knowledge: Knowledge) -> str:
    """The phone that a trusted asker means by one identifier, "" for none."""
    if kind == "mac":
        mac = mac_of(value)
    elif kind == "ip":
        mac = knowledge.registered(_address(value))
    elif kind in ("uri", "nai"):
        mac = next((phone.id for phone in snapshot.phones.values() if _user(value) in _users(phone)), "")
    else:
        mac = ""
    return mac if mac in snapshot.phones else ""


def mac_of(text: str) -> str:
    """A MAC in any spelling as twelve lower-case hex digits, "" when it is none."""
    digits = re.sub(r"[-:.\s]", "", text).lower()
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) else ""


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _user(text: str) -> str:
    return re.sub(r"^(sips?|tel|pres):", "", text).partition("@")[0].partition(";")[0].removeprefix("+")


def _users(phone: Phone) -> set[str]:
    lines = [(line.extension, line.number.removeprefix("+")) for line in phone.lines]
    return {user for line in lines for user in line if user}


# the response


def _placed(mac: str, knowledge: Knowledge) -> str:
    phone = knowledge.snapshot.phones.get(mac) if knowledge.snapshot else None
    return phone.location if phone else ""


def _response(question: Question, mac: str, knowledge: Knowledge, refer: bool) -> bytes:
    place = knowledge.snapshot.place(_placed(mac, knowledge)) if knowledge.snapshot else None
    if place is None:
        raise HeldError("locationUnknown")
    uri = knowledge.reference(mac) if refer and {"any", "locationURI"} & set(question.types) else None
    civic = bool({"any", "civic"} & set(question.types)) or (
        not question.exact and "geodetic" in question.types
    )
    if question.exact and ("geodetic" in question.types or ("locationURI" in question.types and uri is None)):
        raise HeldError("cannotProvideLiType")
    root = etree.Element(f"{{{HELD}}}locationResponse", nsmap=_NAMESPACES)
    if uri:
        held = pidf.child(root, HELD, "locationUriSet")
        held.set("expires", pidf.utc(datetime.fromtimestamp(uri[1], UTC)))
        pidf.child(held, HELD, "locationURI", uri[0])
    if civic or not uri:
        document = pidf.child(root, pidf.PIDF, "presence")
        document.set("entity", _entity(knowledge))
        at = datetime.fromtimestamp(knowledge.now, UTC)
        pidf.fill_presence(document, place.civic, at=at, mac="", method="Manual", language="en-US")
    if {"mac", "ip"} & {kind for kind, _ in question.device}:
        _echo(root, question)
    return _bytes(root)


def _echo(root: etree._Element, question: Question) -> None:
    """The identifiers that the location was found by (RFC 6155, section 2.2)."""
    device = pidf.child(root, IDENTITY, "device")
    for kind, value in question.device:
        if kind == "mac" and (mac := mac_of(value)):
            pidf.child(device, IDENTITY, "mac", "-".join(re.findall("..", mac)).upper())
        elif kind == "ip":
            pidf.child(device, IDENTITY, "ip", _address(value)).set(
                "v", "6" if ":" in _address(value) else "4"
            )


def _entity(knowledge: Knowledge) -> str:
    """A name that says nothing of the phone, and is another each time (RFC 5985, section 6.6)."""
    return f"pres:{knowledge.pseudonym()}@provisioner.invalid"


def _error(code: str) -> bytes:
    root = etree.Element(f"{{{HELD}}}error", nsmap=_OWN)
    root.set("code", code)
    pidf.child(root, HELD, "message", WORDS[code]).set(_XML_LANG, "en")
    return _bytes(root)


def _bytes(root: etree._Element) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
