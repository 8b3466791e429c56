"""A stand-in of Twilio: Addresses and IncomingPhoneNumbers of the REST API 2010-04-01."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from provisioner.core.providers.account import Held, Provider

_STATUS = {
    "registered": "registered",
    "absent": "unregistered",
    "pending": "pending-registration",
    "removing": "pending-unregistration",
    "failed": "registration-failure",
}
_FIELDS = {
    "name": "CustomerName", "street": "Street", "inside": "StreetSecondary", "city": "City", "state": "Region",
    "postcode": "PostalCode", "country": "IsoCountry", "label": "FriendlyName",
}  # fmt: skip
_REPLIED = {
    "name": "customer_name", "street": "street", "inside": "street_secondary", "city": "city", "state": "region",
    "postcode": "postal_code", "country": "iso_country", "label": "friendly_name",
}  # fmt: skip


class Twilio(Provider):
    """Attaching another address to a number that has one is refused: first it must have none."""

    name = "twilio"

    def error(self, status: int, code: int, words: str) -> Response:
        """The old form; the new one, of RFC 9457, for what the server itself did wrong."""
        old = {"code": code, "message": words, "more_info": "", "status": status}
        new = {"type": "about:blank", "title": words, "status": status, "code": code}
        answer = jsonify(new if status >= 500 else old)
        answer.status_code = status
        return answer

    def routes(self, app: Flask) -> None:
        """The paths."""
        root = "/2010-04-01/Accounts/<account>"
        app.add_url_rule(f"{root}/IncomingPhoneNumbers.json", "numbers", self._numbers)
        app.add_url_rule(
            f"{root}/IncomingPhoneNumbers/<sid>.json", "number", self._number, methods=["GET", "POST"]
        )
        app.add_url_rule(f"{root}/Addresses.json", "addresses", self._addresses, methods=["GET", "POST"])
        app.add_url_rule(f"{root}/Addresses/<sid>.json", "address", self._address, methods=["GET", "DELETE"])
        app.add_url_rule(f"{root}/Addresses/<sid>/DependentPhoneNumbers.json", "dependents", self._dependents)

    def _sid(self, number: str) -> str:
        return f"PN{int(number.lstrip('+')):032x}"

    def _shown(self, number: str, held: Held) -> dict[str, Any]:
        return {
            "sid": self._sid(number),
            "phone_number": number,
            "friendly_name": f"({number[2:5]}) {number[5:8]}-{number[8:]}",
            "emergency_status": "Active",
            "emergency_address_sid": held.address or None,
            "emergency_address_status": _STATUS[held.status],
        }

    def _numbers(self, account: str) -> Response:
        wanted = request.args.get("PhoneNumber", "")
        found = [number for number in self.account.numbers if not wanted or number == wanted]
        page, size = int(request.args.get("Page", 0)), 2 if self.behaviour == "pages" else 200
        shown = found[page * size : (page + 1) * size]
        rows = [self._shown(number, held) for number in shown if (held := self.held(number))]
        more = len(found) > (page + 1) * size
        following = f"{request.path}?Page={page + 1}&PageSize={size}" if more else None
        return jsonify({"incoming_phone_numbers": rows, "page": page, "next_page_uri": following})

    def _number(self, account: str, sid: str) -> Response:
        number = next((number for number in self.account.numbers if self._sid(number) == sid), "")
        held = self.held(number)
        if held is None:
            return self.error(404, 20404, "The requested resource was not found")
        if request.method == "POST" and "EmergencyAddressSid" in request.form:
            wanted = request.form["EmergencyAddressSid"]
            if wanted and held.address and held.address != wanted:
                return self.error(400, 21631, "Take the emergency address off first")
            if wanted and wanted not in self.account.addresses:
                return self.error(404, 20404, "The requested resource was not found")
            self.assign(number, wanted)
        return jsonify(self._shown(number, held))

    def _resource(self, sid: str) -> dict[str, Any]:
        held = self.account.addresses[sid]
        shown = {theirs: held.get(ours, "") for ours, theirs in _REPLIED.items()}
        return {"sid": sid, **shown, "validated": True, "emergency_enabled": True}

    def _addresses(self, account: str) -> Response:
        if request.method == "GET":
            wanted = request.args.get("FriendlyName", "")
            found = [
                sid
                for sid, held in self.account.addresses.items()
                if held.get("label") == wanted or not wanted
            ]
            return jsonify({"addresses": [self._resource(sid) for sid in found], "next_page_uri": None})
        address = {ours: request.form.get(theirs, "") for ours, theirs in _FIELDS.items()}
        if len(address["label"]) > 32 or not all(address[name] for name in ("name", "street", "city")):
            return self.error(400, 21000, "A field is missing or too long")
        judged = self.judged(address)
        if not judged:
            return self.error(400, 21628, "The address could not be validated")
        sid = self.new_id("AD")
        self.account.addresses[sid] = (
            judged[0] if request.form.get("AutoCorrectAddress") == "true" else address
        )
        answer = jsonify(self._resource(sid))
        answer.status_code = 201
        return answer

    def _address(self, account: str, sid: str) -> Response:
        if sid not in self.account.addresses:
            return self.error(404, 20404, "The requested resource was not found")
        if request.method == "DELETE":
            del self.account.addresses[sid]
            return Response("", 204)
        return jsonify(self._resource(sid))

    def _dependents(self, account: str, sid: str) -> Response:
        using = [number for number, held in self.account.numbers.items() if held.address == sid]
        return jsonify({"dependent_phone_numbers": [{"phone_number": number} for number in using]})
