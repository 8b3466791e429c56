"""A stand-in of Bandwidth's 911 Access Dashboard."""

from __future__ import annotations

from flask import Flask, Response, request
from lxml import etree

from provisioner.core.providers.account import Held, Provider

_NS = "http://dashcs.com/api/v1/emergency"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{_XSI}}}nil"
_FIELDS = {
    "street": "address1", "inside": "address2", "city": "community", "state": "state", "postcode": "postalcode",
    "name": "callername",
}  # fmt: skip
MOST = 3  # locations of a number


class Dash(Provider):
    """Numbers come to be by a location, and go with `removeuri`."""

    name = "bandwidth-dash"

    def error(self, status: int, code: int, words: str) -> Response:
        """A fault; DASH names its kind."""
        kinds = {404: "NotFoundException", 400: "ParseException", 423: "LockedException"}
        kind = kinds.get(status, "ProvisionException")
        root = etree.Element(f"{{{_NS}}}{kind}", nsmap={"ns2": _NS})
        etree.SubElement(root, "message").text = words
        return _answer(root, status)

    def routes(self, app: Flask) -> None:
        """The paths."""
        root = "/dash-api/xml/emergencyprovisioning/v1"
        app.add_url_rule(f"{root}/uris", "uris", self._uris)
        app.add_url_rule(f"{root}/locationsbyuri/<uri>", "locations", self._locations)
        app.add_url_rule(f"{root}/provisionedlocationbyuri/<uri>", "provisioned", self._provisioned)
        app.add_url_rule(f"{root}/validatelocation", "validate", self._validate, methods=["POST"])
        app.add_url_rule(f"{root}/addlocation", "add", self._add, methods=["POST"])
        app.add_url_rule(f"{root}/provisionlocation", "provision", self._provision, methods=["POST"])
        app.add_url_rule(f"{root}/removelocation", "remove", self._remove, methods=["POST"])
        app.add_url_rule(f"{root}/removeuri", "removeuri", self._remove_uri, methods=["POST"])

    def _root(self, name: str) -> etree._Element:
        return etree.Element(f"{{{_NS}}}{name}", nsmap={"ns0": _NS, "xsi": _XSI})

    def _location(
        self, parent: etree._Element, tag: str, fields: dict[str, str], name: str, code: str
    ) -> None:
        location = etree.SubElement(parent, tag)
        for ours, theirs in _FIELDS.items():
            element = etree.SubElement(location, theirs)
            if fields.get(ours):
                element.text = fields[ours].upper() if ours != "name" else fields[ours]
            else:
                element.set(_NIL, "true")
        etree.SubElement(location, "locationid").text = name
        status = etree.SubElement(location, "status")
        etree.SubElement(status, "code").text = code
        etree.SubElement(status, "description").text = f"Location is {code.lower()}"

    def _mine(self, uri: str) -> dict[str, dict[str, str]]:
        return {name: held for name, held in self.account.addresses.items() if held["uri"] == uri}

    def _code(self, name: str, uri: str) -> str:
        held = self.account.numbers.get(f"+{uri}")
        return "PROVISIONED" if held and held.address == name and held.status == "registered" else "GEOCODED"

    def _uris(self) -> Response:
        root = self._root("getURIsResponse")
        parent = etree.SubElement(root, "URIs")
        for number in self.account.numbers:
            uris = etree.SubElement(parent, "uris")
            etree.SubElement(uris, "callername").text = "Practice"
            etree.SubElement(uris, "uri").text = f"tel:{number[1:]}"
        return _answer(root)

    def _locations(self, uri: str) -> Response:
        if not (mine := self._mine(uri)):
            return self.error(404, 0, "URI not found")
        root = self._root("getLocationsByURIResponse")
        for name, held in mine.items():
            self._location(root, "Locations", held, name, self._code(name, uri))
        return _answer(root)

    def _provisioned(self, uri: str) -> Response:
        root = self._root("getProvisionedLocationByURIResponse")
        held = self.held(f"+{uri}")
        force = held.address if held and held.status == "registered" else held.before if held else ""
        if force in self.account.addresses:
            self._location(root, "Location", self.account.addresses[force], force, "PROVISIONED")
        elif self.behaviour == "unknown-number":
            return self.error(423, 0, "The URI is of another account")
        return _answer(root)

    def _given(self, root: etree._Element) -> dict[str, str]:
        return {ours: root.findtext(f".//{theirs}") or "" for ours, theirs in _FIELDS.items()}

    def _body(self) -> etree._Element:
        return etree.fromstring(request.get_data(), etree.XMLParser(resolve_entities=False, no_network=True))

    def _validate(self) -> Response:
        given = self._given(self._body())
        root = self._root("validateLocationResponse")
        for judged in self.judged(given):
            self._location(root, "Location", judged, "", "GEOCODED")
        if not len(root):
            self._location(root, "Location", given, "", "INVALID")
        return _answer(root)

    def _add(self) -> Response:
        body = self._body()
        uri, given = body.findtext("uri/uri") or "", self._given(body)
        if len(self._mine(uri)) >= MOST:
            return self.error(400, 0, "There are too many locations for this URI")
        good = given in self.judged(given)
        root, name = self._root("addLocationResponse"), str(int(self.new_id(""), 16))
        if good:
            self.account.numbers.setdefault(f"+{uri}", Held())
            self.account.addresses[name] = {**given, "uri": uri}
        self._location(root, "Location", given, name if good else "", "GEOCODED" if good else "INVALID")
        return _answer(root)

    def _provision(self) -> Response:
        name = self._body().findtext("locationid") or ""
        if name not in self.account.addresses:
            return self.error(404, 0, "Location not found")
        self.assign("+" + self.account.addresses[name]["uri"], name)
        return self._status("provisionLocationResponse", "LocationStatus", "PROVISIONED")

    def _remove(self) -> Response:
        name = self._body().findtext("locationid") or ""
        if name not in self.account.addresses:
            return self.error(404, 0, "Location not found")
        del self.account.addresses[name]
        return self._status("removeLocationResponse", "LocationStatus", "REMOVED")

    def _remove_uri(self) -> Response:
        uri = self._body().findtext("uri") or ""
        for name in self._mine(uri):
            del self.account.addresses[name]
        if f"+{uri}" not in self.account.numbers:
            return self.error(404, 0, "URI not found")
        self.assign(f"+{uri}", "")
        return self._status("removeURIResponse", "URIStatus", "REMOVED")

    def _status(self, root: str, tag: str, code: str) -> Response:
        element = self._root(root)
        status = etree.SubElement(element, tag)
        etree.SubElement(status, "code").text = code
        return _answer(element)


def _answer(root: etree._Element, status: int = 200) -> Response:
    return Response(
        etree.tostring(root, xml_declaration=True, encoding="UTF-8"), status, content_type="text/xml"
    )
