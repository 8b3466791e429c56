"""A stand-in of Telnyx: addresses and phone numbers of the API v2."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from provisioner.core.providers.account import Provider

_STATUS = {
    "registered": "active",
    "absent": "disabled",
    "pending": "provisioning",
    "removing": "deprovisioning",
    "failed": "provisioning-failed",
}
_FIELDS = {
    "street": "street_address", "inside": "extended_address", "city": "locality", "state": "administrative_area",
    "postcode": "postal_code", "country": "country_code", "name": "business_name", "label": "customer_reference",
}  # fmt: skip


class Telnyx(Provider):
    """Another address takes the old one's place when it is registered."""

    name = "telnyx"

    def authorised(self) -> bool:
        """A bearer token."""
        return request.headers.get("Authorization") == f"Bearer {self.account.password}"

    def error(self, status: int, code: int, words: str) -> Response:
        """A list of errors."""
        answer = jsonify({"errors": [{"code": str(code), "title": "Error", "detail": words, "meta": {}}]})
        answer.status_code = status
        return answer

    def routes(self, app: Flask) -> None:
        """The paths."""
        app.add_url_rule("/v2/phone_numbers", "numbers", self._numbers)
        app.add_url_rule("/v2/phone_numbers/<name>/voice", "voice", self._voice)
        enable = "/v2/phone_numbers/<name>/actions/enable_emergency"
        app.add_url_rule(enable, "enable", self._enable, methods=["POST"])
        app.add_url_rule("/v2/addresses", "addresses", self._addresses, methods=["GET", "POST"])
        app.add_url_rule("/v2/addresses/actions/validate", "validate", self._validate, methods=["POST"])
        app.add_url_rule("/v2/addresses/<name>", "address", self._address, methods=["GET", "DELETE"])

    def _numbers(self) -> Response:
        wanted = request.args.get("filter[phone_number]", "")
        found = [number for number in self.account.numbers if not wanted or number == wanted]
        if self.behaviour == "unknown-number":
            found = []
        page, size = int(request.args.get("page[number]", 1)), 2 if self.behaviour == "pages" else 250
        rows = [
            {"id": number[1:], "phone_number": number} for number in found[(page - 1) * size : page * size]
        ]
        return jsonify({"data": rows, "meta": {"total_pages": -(-len(found) // size), "page_number": page}})

    def _settings(self, name: str) -> Response:
        held = self.held(f"+{name}")
        if held is None:
            return self.error(404, 10005, "Resource not found")
        on = held.status not in ("absent", "removing")
        emergency = {
            "emergency_enabled": on,
            "emergency_address_id": held.address or None,
            "emergency_status": _STATUS[held.status],
        }
        return jsonify({"data": {"id": name, "emergency": emergency}})

    def _voice(self, name: str) -> Response:
        return self._settings(name)

    def _enable(self, name: str) -> Response:
        body = request.get_json()
        if f"+{name}" not in self.account.numbers:
            return self.error(404, 10005, "Resource not found")
        wanted = (body["emergency_address_id"] or "") if body["emergency_enabled"] else ""
        if wanted and wanted not in self.account.addresses:
            return self.error(422, 10015, "There is no such address")
        self.assign(f"+{name}", wanted)
        return self._settings(name)

    def _resource(self, name: str) -> dict[str, Any]:
        held = self.account.addresses[name]
        return {"id": name, **{theirs: held.get(ours, "") for ours, theirs in _FIELDS.items()}}

    def _given(self) -> dict[str, str]:
        body = request.get_json()
        return {ours: str(body.get(theirs) or "") for ours, theirs in _FIELDS.items()}

    def _validate(self) -> Response:
        given = self._given()
        judged = self.judged(given)
        if given in judged:
            return jsonify({"data": {"result": "valid", "suggested": {}, "errors": []}})
        suggested = {"locality": judged[0]["city"]} if judged else {}
        errors = [{"code": "10015", "title": "Invalid", "detail": "The address is not known"}]
        return jsonify({"data": {"result": "invalid", "suggested": suggested, "errors": errors}})

    def _addresses(self) -> Response:
        if request.method == "GET":
            wanted = request.args.get("filter[customer_reference][eq]", "")
            found = [
                name for name, held in self.account.addresses.items() if held["label"] == wanted or not wanted
            ]
            return jsonify({"data": [self._resource(name) for name in found], "meta": {"total_pages": 1}})
        given = self._given()
        if request.get_json().get("validate_address", True) and given not in self.judged(given):
            return self.error(422, 10015, "The address is not known")
        name = self.new_id("")
        self.account.addresses[name] = given
        answer = jsonify({"data": self._resource(name)})
        answer.status_code = 201
        return answer

    def _address(self, name: str) -> Response:
        if name not in self.account.addresses:
            return self.error(404, 10005, "Resource not found")
        if request.method == "DELETE":
            if any(held.address == name for held in self.account.numbers.values()):
                return self.error(422, 10015, "The address is in use")
            shown = jsonify({"data": self._resource(name)})
            del self.account.addresses[name]
            return shown
        return jsonify({"data": self._resource(name)})
