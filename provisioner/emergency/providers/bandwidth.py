"""Bandwidth's Unified Emergency Services Provisioning API: addresses, endpoints, and orders (JSON, OAuth 2, later).

Addresses and endpoints are named by us: an address by what it says, an endpoint by its number. So nothing is made
twice, and what an address is called proves what was submitted, where the API gives it back in another form.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from lxml import etree

from provisioner.emergency import postal
from provisioner.emergency.providers import wire
from provisioner.emergency.providers.wire import Account, Broken, Denied, Owned, Reply, Request, Steps
from provisioner.emergency.providers.xml import parsed
from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.store.records import Postal, Registration

NAME = "Bandwidth"
TOKEN_MARGIN = 60.0  # seconds before its end that a token is not used any more
_REGION = {"region": "NA"}
_DONE = frozenset({"COMPLETED", "PARTIAL", "FAILED"})


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Address(msgspec.Struct):
    """`address` is its first line; the second is not always given back."""

    id: str
    city: str
    state: str
    postalCode: str  # noqa: N815 - theirs
    address: str = ""
    validationStatus: str = ""  # noqa: N815
    houseNumber: str = ""  # noqa: N815
    predirectional: str = ""
    streetName: str = ""  # noqa: N815
    streetSuffix: str = ""  # noqa: N815
    postdirectional: str = ""
    addressLine2: str | None = None  # noqa: N815
    country: str = "US"

    def lines(self, submitted: Postal | None) -> Postal:
        """In lines; `submitted`: what was sent under this name, for what is not given back."""
        parts = (
            self.houseNumber,
            self.predirectional,
            self.streetName,
            self.streetSuffix,
            self.postdirectional,
        )
        inside = submitted.inside if submitted and self.addressLine2 is None else self.addressLine2
        return Postal(
            street=self.address or " ".join(part for part in parts if part),
            inside=inside or "",
            city=self.city,
            state=self.state,
            postcode=self.postalCode,
            country=self.country,
            name=submitted.name if submitted else "",
        )


class _Endpoint(msgspec.Struct):
    id: str
    phoneNumber: str = ""  # noqa: N815
    addressId: str | None = None  # noqa: N815
    name: str | None = ""
    status: str = ""
    error: str | None = ""


class _Order(msgspec.Struct):
    orderId: str  # noqa: N815


class _Details(msgspec.Struct):
    status: str
    endpoints: list[_Endpoint] = []


class _Error(msgspec.Struct):
    description: str = ""
    code: int | str = 0


class _Errors(msgspec.Struct):
    errors: list[_Error]


def _words(body: bytes) -> str:
    return "; ".join(error.description for error in msgspec.json.decode(body, type=_Errors).errors)


class Bandwidth:
    """An account of Bandwidth. `user`, `password`: client id and secret. `clock`: seconds, for the token's end."""

    url = "https://api.bandwidth.com"
    abilities = Abilities(
        validates=False, suggests=True, candidates=False, swaps=True, asynchronous=True, discards=True,
        needs_name=True, needs_callback=False, test_number="933", street=150, inside=60, name=32, per_second=3.0,
    )  # fmt: skip

    def __init__(self, account: Account, clock: Callable[[], float] = time.monotonic) -> None:
        self._account, self._clock = account, clock
        self._numbers = f"/api/v2/accounts/{quote(account.account)}"
        self._token, self._until = "", 0.0

    def _authorised(self) -> Steps[dict[str, str]]:
        if not self._token or self._clock() >= self._until:
            headers = {
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
                **wire.basic(self._account.user, self._account.password),
            }
            body = urlencode({"grant_type": "client_credentials"}).encode()
            reply = yield Request("POST", "/api/v1/oauth2/token", {}, headers, body)
            wire.checked(reply, NAME, _words)
            if reply.status >= 400:
                raise Denied(f"{NAME} does not accept the credentials: put good ones in", "account")
            token = wire.json_of(reply, _Token, NAME)
            self._token = token.access_token
            self._until = self._clock() + max(0.0, token.expires_in - TOKEN_MARGIN)
        return {"Authorization": f"Bearer {self._token}"}

    def _ask(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Steps[Reply]:
        for last in (False, True):
            plain = wire.json_request(method, self._numbers + path, body, query or {})
            headers = {**plain.headers, **(yield from self._authorised())}
            reply = yield Request(method, plain.path, plain.query, headers, plain.body)
            if reply.status != 401 or last:
                break
            self._token = ""  # it ended before its time: once more with a new one
        wire.checked(reply, NAME, _words)
        if reply.status >= 400 and reply.status != 404:
            about: Literal["address", "number"] = "address" if path == "/emergency/addresses" else "number"
            raise Denied(f"{NAME} refuses{wire.own_words(reply, _words)}", about)
        return reply

    def _emergency(self, method: str, path: str, body: Any = None) -> Steps[Reply]:
        return (yield from self._ask(method, f"/emergency{path}", body, dict(_REGION)))

    def numbers(self) -> Steps[list[Owned]]:
        """All numbers in service, page by page; this part of the API speaks XML."""
        owned: list[Owned] = []
        page = "1"
        for _page in range(wire.PAGES):
            query = {"size": "500", "page": page}
            root = _xml((yield from self._ask("GET", "/inserviceNumbers", query=query)))
            found = [text.text or "" for text in root.iterfind(".//TelephoneNumber")]
            owned += [Owned(number if number.startswith("+") else f"+1{number[-10:]}") for number in found]
            page = _next(root)
            if not page or not found:
                break
        return owned

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """How far the order is, if there is one; then what the endpoint has."""
        detail = ""
        if held.order:
            reply = yield from self._emergency("GET", f"/orders/{quote(held.order)}/details")
            order = wire.json_of(reply, _Details, NAME) if reply.status == 200 else _Details("COMPLETED")
            mine = next((each for each in order.endpoints if each.id == _endpoint(number)), None)
            if order.status not in _DONE or (mine and mine.status == "INPROGRESS"):
                return Read("pending")
            if order.status == "FAILED" or (mine and mine.status == "ERROR"):
                said = wire.plain(mine.error) if mine else ""
                detail = f"{NAME} could not register it: {said or 'it says no more'}"
        reply = yield from self._emergency("GET", f"/endpoints/{_endpoint(number)}")
        found = wire.json_of(reply, _Endpoint, NAME) if reply.status == 200 else None
        if found is None or not found.addressId:
            return Read("failed" if detail else "absent", detail=detail)
        return (yield from self._read_address(found.addressId, held, detail))

    def _read_address(self, address_id: str, held: Registration, detail: str) -> Steps[Read]:
        reply = yield from self._emergency("GET", f"/addresses/{quote(address_id)}")
        if reply.status == 404:
            return Read("failed", None, address_id, "Its address is gone")
        address = wire.json_of(reply, _Address, NAME)
        ours = [each for each in (held.accepted, held.wanted) if each and _named(each) == address_id]
        lines = address.lines(ours[0] if ours else None)
        if detail and address_id == held.address_id:
            return Read("failed", lines, address_id, detail)
        if address.validationStatus == "INVALID":
            return Read("failed", lines, address_id, f"{NAME} holds the address to be invalid")
        return Read("registered", lines, address_id, detail)

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Bandwidth judges an address when it is added."""
        yield from ()
        return Valid()

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Add the address under its own name, unless it is there."""
        name = _named(address)
        reply = yield from self._emergency("GET", f"/addresses/{name}")
        if reply.status == 404:
            body = {
                "id": name, "addressLine1": address.street, "addressLine2": address.inside, "city": address.city,
                "state": address.state, "postalCode": address.postcode, "country": address.country,
                "customerType": "BUS", "service": "ES", "companyName": address.name,
            }  # fmt: skip
            reply = yield from self._emergency("POST", "/addresses", body)
        if reply.status == 404:
            raise Denied(f"{NAME} does not know the account {self._account.account}", "account")
        made = wire.json_of(reply, _Address, NAME)
        if made.validationStatus == "INVALID":
            raise Denied(f"{NAME} does not know this address", "address")
        return Prepared(made.id, made.lines(address))

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Order that the endpoint has the address; what it had stays until the order is done."""
        name = _endpoint(number)
        known = yield from self._emergency("GET", f"/endpoints/{name}")
        if known.status == 200:
            body: dict[str, Any] = {"action": "PROVISION", "addressId": held.address_id}
            return _ordered((yield from self._emergency("PATCH", f"/endpoints/{name}", body)))
        accepted = held.accepted or held.wanted
        endpoint = {
            "id": name, "phoneNumber": number, "name": (accepted.name if accepted else "") or "Practice",
            "country": accepted.country if accepted else "US", "addressId": held.address_id,
        }  # fmt: skip
        return _ordered((yield from self._emergency("POST", "/endpoints", {"endpoints": [endpoint]})))

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Order that the endpoint is deleted."""
        reply = yield from self._emergency("DELETE", f"/endpoints/{_endpoint(number)}")
        return "" if reply.status == 404 else _ordered(reply)

    def discard(self, address_id: str) -> Steps[None]:
        """Delete an address of ours; Bandwidth refuses while an endpoint has it."""
        yield from self._emergency("DELETE", f"/addresses/{quote(address_id)}")


def _ordered(reply: Reply) -> str:
    if reply.status == 404:
        raise wire.Forgotten(f"{NAME} does not know the address any more")
    return wire.json_of(reply, _Order, NAME).orderId


def _endpoint(number: str) -> str:
    return number.lstrip("+")


def _named(address: Postal) -> str:
    """Our name of an address: letters and digits, at most 50."""
    text = "\n".join(getattr(address, field) for field in postal.FIELDS)
    return "pv" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _xml(reply: Reply) -> etree._Element:
    try:
        return parsed(reply.body)
    except ValueError:
        raise Broken(f"{NAME} gave an answer that cannot be read") from None


def _next(root: etree._Element) -> str:
    """The page after this one, as the link to it says."""
    link = root.findtext(".//Links/next") or ""
    return link.partition("page=")[2].partition("&")[0].partition(">")[0]
