"""A stand-in of Bandwidth's Unified Emergency Services Provisioning API, with its tokens and its list of numbers."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from provisioner.core.providers.account import Held, Provider

_ROOT = "/api/v2/accounts/<account>"


class Bandwidth(Provider):
    """Endpoints and addresses have the names that they are given; what is ordered is done later."""

    name = "bandwidth"

    def authorised(self) -> bool:
        """Client credentials for a token, the token for all else."""
        if request.path.endswith("/oauth2/token"):
            return super().authorised()
        return request.headers.get("Authorization") == f"Bearer {self._token}"

    def error(self, status: int, code: int, words: str) -> Response:
        """A list of errors."""
        answer = jsonify({"errors": [{"type": "error", "description": words, "code": code}]})
        answer.status_code = status
        return answer

    def routes(self, app: Flask) -> None:
        """The paths."""
        self._token = ""
        self._orders: dict[str, str] = {}
        self._made: set[str] = set()
        both = ["GET", "POST"]
        app.add_url_rule("/api/v1/oauth2/token", "token", self._new_token, methods=["POST"])
        app.add_url_rule(f"{_ROOT}/inserviceNumbers", "numbers", self._numbers)
        app.add_url_rule(f"{_ROOT}/emergency/addresses", "addresses", self._addresses, methods=["POST"])
        app.add_url_rule(
            f"{_ROOT}/emergency/addresses/<name>", "address", self._address, methods=["GET", "DELETE"]
        )
        app.add_url_rule(f"{_ROOT}/emergency/endpoints", "endpoints", self._endpoints, methods=both)
        app.add_url_rule(
            f"{_ROOT}/emergency/endpoints/<name>",
            "endpoint",
            self._endpoint,
            methods=["GET", "PATCH", "DELETE"],
        )
        app.add_url_rule(f"{_ROOT}/emergency/orders/<name>/details", "order", self._order)

    def _new_token(self) -> Response:
        self._token = self.new_id("token")
        return jsonify({"access_token": self._token, "token_type": "bearer", "expires_in": 3600})

    def _numbers(self, account: str) -> Response:
        found = sorted(self.account.numbers)
        page, size = int(request.args.get("page", 1)), 2 if self.behaviour == "pages" else 500
        shown = found[(page - 1) * size : page * size]
        numbers = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in shown)
        link = f"Link=&lt;https://elsewhere.example/api?size={size}&amp;page={page + 1}&gt;;rel=&quot;next&quot;;"
        links = f"<Links><next>{link}</next></Links>" if len(found) > page * size else "<Links/>"
        body = f"<TNs><TotalCount>{len(found)}</TotalCount>{links}<TelephoneNumbers>{numbers}</TelephoneNumbers></TNs>"
        return Response(body, content_type="application/xml")

    def _resource(self, name: str) -> dict[str, Any]:
        held = self.account.addresses[name]
        number, _space, street = held["street"].partition(" ")
        return {
            "id": name, "validationStatus": "VALID", "address": held["street"].upper(), "houseNumber": number,
            "streetName": street, "city": held["city"], "state": held["state"], "postalCode": held["postcode"],
            "country": held["country"],
        }  # fmt: skip

    def _addresses(self, account: str) -> Response:
        body = request.get_json()
        if body["id"] in self.account.addresses:
            return self.error(400, 8028, "The address id is in use")
        given = {
            "street": body["addressLine1"], "inside": body["addressLine2"], "city": body["city"],
            "state": body["state"], "postcode": body["postalCode"], "country": body["country"],
            "name": body["companyName"],
        }  # fmt: skip
        judged = self.judged(given)
        if not judged:
            return self.error(400, 8006, "The address is not recognised")
        self.account.addresses[body["id"]] = judged[0]
        answer = jsonify(self._resource(body["id"]))
        answer.status_code = 201
        return answer

    def _address(self, account: str, name: str) -> Response:
        if name not in self.account.addresses:
            return self.error(404, 50420, "The resource specified cannot be found")
        if request.method == "DELETE":
            if any(held.address == name for held in self.account.numbers.values()):
                return self.error(400, 8051, "Endpoints are bound to the address")
            del self.account.addresses[name]
            return Response("", 204)
        return jsonify(self._resource(name))

    def _ordered(self, number: str) -> Response:
        name = self.new_id("order")
        self._orders[name] = number
        answer = jsonify({"orderId": name, "orderStatus": "RECEIVED"})
        answer.status_code = 202
        return answer

    def _endpoints(self, account: str) -> Response:
        (given,) = request.get_json()["endpoints"]
        number = given["phoneNumber"]
        if number not in self.account.numbers or self.behaviour == "unknown-number":
            return self.error(400, 8004, "The number is not in the account")
        return self._provision(number, given["addressId"])

    def _provision(self, number: str, address: str) -> Response:
        if address not in self.account.addresses:
            return self.error(404, 8029, "The address is not found")
        self.assign(number, address)
        return self._ordered(number)

    def _endpoint(self, account: str, name: str) -> Response:
        held = self.account.numbers.get(f"+{name}")
        if held is None or held.status == "absent" or not held.address or self.behaviour == "unknown-number":
            return self.error(404, 50420, "The resource specified cannot be found")
        if request.method == "PATCH":
            return self._provision(f"+{name}", request.get_json()["addressId"])
        if request.method == "DELETE":
            self.assign(f"+{name}", "")
            return self._ordered(f"+{name}")
        if held.status == "failed":
            return self.error(404, 50420, "The resource specified cannot be found")
        return jsonify({"id": name, "phoneNumber": f"+{name}", "addressId": held.address, "country": "US"})

    def _order(self, account: str, name: str) -> Response:
        number = self._orders.get(name, "")
        held = self.held(number) or Held()
        under_way = held.status in ("pending", "removing")
        status = "PROCESSING" if under_way else "FAILED" if held.status == "failed" else "COMPLETED"
        mine = {
            "id": number[1:],
            "status": "INPROGRESS" if under_way else "SUCCESS",
            "error": "",
            "errorCode": "",
        }
        if held.status == "failed":
            mine.update(status="ERROR", error="The street is not in the range", errorCode="701")
        return jsonify({"id": name, "type": "ADD_ENDPOINTS", "status": status, "endpoints": [mine]})
