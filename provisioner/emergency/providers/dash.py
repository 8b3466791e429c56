"""Bandwidth's 911 Access Dashboard (DASH): locations of a URI, of which one is provisioned (XML, HTTP Basic, at once).

Another location takes the provisioned one's place in one step. The submitted text is the key of corrections that people
at Bandwidth made by hand, so what was accepted is submitted again letter by letter.
"""

from __future__ import annotations

from lxml import etree

from provisioner.emergency import postal
from provisioner.emergency.providers import wire
from provisioner.emergency.providers.wire import Account, Broken, Denied, Owned, Reply, Request, Steps
from provisioner.emergency.providers.xml import parsed
from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.store.records import Postal, Registration

NAME = "Bandwidth DASH"
_TAKEN = frozenset({"GEOCODED", "PROVISIONED"})


class Dash:
    """An account of DASH."""

    url = "https://service.dashcs.com"
    abilities = Abilities(
        validates=True, suggests=True, candidates=True, swaps=True, asynchronous=False, discards=True,
        needs_name=True, needs_callback=False, test_number="933", street=150, inside=60, name=32, per_second=3.0,
    )  # fmt: skip

    def __init__(self, account: Account) -> None:
        self._headers = {"Accept": "text/xml", **wire.basic(account.user, account.password)}

    def _ask(self, path: str, body: etree._Element | None = None) -> Steps[etree._Element | None]:
        """The root of the answer; None where DASH knows no such thing."""
        path = f"/dash-api/xml/emergencyprovisioning/v1/{path}"
        if body is None:
            request = Request("GET", path, {}, self._headers)
        else:
            headers = {**self._headers, "Content-Type": "application/xml"}
            request = Request(
                "POST", path, {}, headers, etree.tostring(body, xml_declaration=True, encoding="UTF-8")
            )
        reply = yield request
        fault = _fault(reply)
        if fault == "NotFoundException":
            return None
        if fault == "LockedException":
            raise Denied(
                f"{NAME} has this number in another account{wire.own_words(reply, _words)}", "number"
            )
        wire.checked(reply, NAME, _words)
        if reply.status == 404:
            return None
        if reply.status >= 400:
            raise Denied(f"{NAME} refuses{wire.own_words(reply, _words)}", "address")
        return _root(reply)

    def numbers(self) -> Steps[list[Owned]]:
        """The numbers that have a location there; DASH knows no others."""
        root = yield from self._ask("uris")
        found = [] if root is None else [_text(each, "uri") for each in root.iterfind(".//uris")]
        return [Owned("+" + uri.removeprefix("tel:").lstrip("+")) for uri in found if uri]

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """The provisioned location, else none."""
        root = yield from self._ask(f"provisionedlocationbyuri/{_uri(number)}")
        for each in [] if root is None else root.iterfind(".//Location"):
            if _code(each) == "PROVISIONED":
                return Read("registered", _lines(each), _text(each, "locationid"))
        return Read("absent")

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Judge an address; where there are several of that kind, each is a choice."""
        body = etree.Element("validateLocation")
        body.append(_location(address))
        root = yield from self._ask("validatelocation", body)
        if root is None:  # that is said of what is asked for by name; here it is no word on the address
            raise Broken(f"{NAME} failed (status 404)")
        found = list(root.iterfind(".//Location"))
        good = tuple(_lines(each, address.name) for each in found if _code(each) in _TAKEN)
        if not good:
            said = next((_text(each, "status/description") for each in found), "")
            raise Denied(
                f"{NAME} does not know this address: {wire.plain(said) or 'it says no more'}", "address"
            )
        if any(postal.same(address, each) for each in good):
            return Valid()
        return Corrected(good)

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Add the location, unless the number has it already."""
        root = yield from self._ask(f"locationsbyuri/{_uri(number)}")
        for each in [] if root is None else root.iterfind(".//Locations"):
            if _code(each) in _TAKEN and postal.same(address, _lines(each)):
                return Prepared(_text(each, "locationid"), _lines(each, address.name))
        body = etree.Element("addLocation")
        uri = etree.SubElement(body, "uri")
        etree.SubElement(uri, "uri").text = _uri(number)
        etree.SubElement(uri, "callername").text = address.name
        body.append(_location(address))
        root = yield from self._ask("addlocation", body)
        made = root.find(".//Location") if root is not None else None
        if made is None:
            raise Broken(f"{NAME} gave an answer without a location")
        if _code(made) not in _TAKEN or not _text(made, "locationid"):
            said = wire.plain(_text(made, "status/description"))
            raise Denied(f"{NAME} does not take this address: {said or 'it says no more'}", "address")
        return Prepared(_text(made, "locationid"), _lines(made, address.name))

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Provision a location; the one before is no longer provisioned from then on."""
        root = yield from self._ask(
            "provisionlocation", _named("provisionLocation", "locationid", held.address_id)
        )
        if root is None:
            raise wire.Forgotten(f"{NAME} does not know the address any more")
        if _text(root, ".//LocationStatus/code") != "PROVISIONED":
            said = wire.plain(_text(root, ".//LocationStatus/description"))
            raise Broken(f"{NAME} did not provision it: {said or 'it says no more'}")
        return ""

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Remove the number with all its locations."""
        yield from self._ask("removeuri", _named("removeUri", "uri", _uri(number)))
        return ""

    def discard(self, address_id: str) -> Steps[None]:
        """Remove a location of ours that is not provisioned; there is room for three."""
        yield from self._ask("removelocation", _named("removeLocation", "locationid", address_id))


def _uri(number: str) -> str:
    return number.lstrip("+")


def _named(root: str, child: str, text: str) -> etree._Element:
    element = etree.Element(root)
    etree.SubElement(element, child).text = text
    return element


def _location(address: Postal) -> etree._Element:
    location = etree.Element("location")
    for name, value in (
        ("address1", address.street),
        ("address2", address.inside),
        ("community", address.city),
        ("state", address.state),
        (
            "postalcode",
            address.postcode.replace(" ", "") if address.country == "CA" else address.postcode[:5],
        ),
        ("plusfour", address.postcode[6:] if address.country == "US" else ""),
        ("type", "ADDRESS"),
    ):
        if value:
            etree.SubElement(location, name).text = value
    return location


def _lines(location: etree._Element, name: str = "") -> Postal:
    postcode = _text(location, "postalcode")
    return Postal(
        street=_text(location, "address1"),
        inside=_text(location, "address2"),
        city=_text(location, "community"),
        state=_text(location, "state"),
        postcode=postcode,
        country="US" if postcode[:5].isdecimal() else "CA",
        name=_text(location, "callername") or name,
    )


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _code(location: etree._Element) -> str:
    return _text(location, "status/code")


def _root(reply: Reply) -> etree._Element:
    try:
        root = parsed(reply.body)
    except ValueError:
        raise Broken(f"{NAME} gave an answer that cannot be read") from None
    if etree.QName(root).namespace != "http://dashcs.com/api/v1/emergency":
        raise Broken(f"{NAME} gave an answer that is none of its own")
    return root


def _fault(reply: Reply) -> str:
    """The name of the fault that an error speaks of, "" for none."""
    kinds = ("ParseException", "NotFoundException", "LockedException", "ProvisionException")
    return next((kind for kind in kinds if reply.status >= 400 and kind.encode() in reply.body[:4096]), "")


def _words(body: bytes) -> str:
    return " ".join(str(text) for text in parsed(body).itertext())
