"""Telnyx: immutable addresses, and the emergency settings of a number (API v2, bearer token, JSON)."""

from __future__ import annotations

import hashlib
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from provisioner.emergency import postal
from provisioner.emergency.providers import wire
from provisioner.emergency.providers.wire import Account, Denied, Owned, Reply, Steps
from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.store.records import Postal, Registration

NAME = "Telnyx"
_STATUS: dict[str, Literal["registered", "absent", "pending", "removing", "failed"]] = {
    "active": "registered",
    "disabled": "absent",
    "provisioning": "pending",
    "deprovisioning": "removing",
    "provisioning-failed": "failed",
}
_FIELDS = {  # ours to theirs
    "street": "street_address",
    "inside": "extended_address",
    "city": "locality",
    "state": "administrative_area",
    "postcode": "postal_code",
    "country": "country_code",
}


class _Number(msgspec.Struct):
    id: str
    phone_number: str
    customer_reference: str | None = ""


class _Meta(msgspec.Struct):
    total_pages: int = 1


class _Numbers(msgspec.Struct):
    data: list[_Number]
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Emergency(msgspec.Struct):
    emergency_status: str | None = None
    emergency_address_id: str | None = None
    emergency_enabled: bool | None = None


class _Voice(msgspec.Struct):
    emergency: _Emergency


class _VoiceData(msgspec.Struct):
    data: _Voice


class _Address(msgspec.Struct):
    id: str
    street_address: str
    locality: str
    country_code: str
    administrative_area: str | None = ""
    postal_code: str | None = ""
    extended_address: str | None = ""
    business_name: str | None = ""
    customer_reference: str | None = ""

    @property
    def lines(self) -> Postal:
        fields = {ours: getattr(self, theirs) or "" for ours, theirs in _FIELDS.items()}
        return Postal(name=self.business_name or "", **fields)


class _AddressData(msgspec.Struct):
    data: _Address


class _Addresses(msgspec.Struct):
    data: list[_Address]


class _Judged(msgspec.Struct):
    result: Literal["valid", "invalid"]
    suggested: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None


class _JudgedData(msgspec.Struct):
    data: _Judged


class _Error(msgspec.Struct):
    title: str = ""
    detail: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error]


def _words(body: bytes) -> str:
    return "; ".join(error.detail or error.title for error in msgspec.json.decode(body, type=_Errors).errors)


class Telnyx:
    """An account of Telnyx; the password is its API key."""

    url = "https://api.telnyx.com"
    abilities = Abilities(
        validates=True, suggests=True, candidates=False, swaps=True, asynchronous=True, discards=True,
        needs_name=True, needs_callback=False, test_number="933", street=150, inside=60, name=32, per_second=5.0,
    )  # fmt: skip

    def __init__(self, account: Account) -> None:
        self._bearer = {"Authorization": f"Bearer {account.password}"}

    def _ask(
        self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Steps[Reply]:
        request = wire.json_request(method, f"/v2{path}", body, query)
        request = wire.Request(
            method, request.path, request.query, {**request.headers, **self._bearer}, request.body
        )
        reply = wire.checked((yield request), NAME, _words)
        if reply.status >= 400 and reply.status != 404:
            if path.endswith("/enable_emergency") and body["emergency_address_id"]:
                known = yield from self._ask("GET", f"/addresses/{quote(body['emergency_address_id'])}")
                if known.status == 404:
                    raise wire.Forgotten(f"{NAME} does not know the address any more")
            about: Literal["address", "number"] = "address" if path == "/addresses" else "number"
            raise Denied(f"{NAME} refuses{wire.own_words(reply, _words)}", about)
        return reply

    def _held(self, number: str) -> Steps[_Number]:
        reply = yield from self._ask("GET", "/phone_numbers", query={"filter[phone_number]": number})
        for each in wire.json_of(reply, _Numbers, NAME).data if reply.status == 200 else []:
            if each.phone_number == number:
                return each
        raise Denied(f"This number is not in the account at {NAME}", "number")

    def numbers(self) -> Steps[list[Owned]]:
        """All numbers of the account, page by page."""
        owned: list[Owned] = []
        for page in range(1, wire.PAGES + 1):
            query = {"page[size]": "250", "page[number]": str(page)}
            found = wire.json_of((yield from self._ask("GET", "/phone_numbers", query=query)), _Numbers, NAME)
            owned += [Owned(each.phone_number, each.customer_reference or "") for each in found.data]
            if page >= found.meta.total_pages or not found.data:
                break
        return owned

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """The number's emergency settings, and the address that they name."""
        found = yield from self._held(number)
        reply = yield from self._ask("GET", f"/phone_numbers/{quote(found.id)}/voice")
        settings = wire.json_of(reply, _VoiceData, NAME).data.emergency
        status = _STATUS.get(settings.emergency_status or "disabled", "pending")
        if status == "registered" and settings.emergency_enabled is False:
            status = "absent"
        if status == "absent" or not settings.emergency_address_id:
            return Read("absent" if status == "registered" else status)
        reply = yield from self._ask("GET", f"/addresses/{quote(settings.emergency_address_id)}")
        if reply.status == 404:
            return Read("failed", None, settings.emergency_address_id, "Its address is gone")
        detail = f"{NAME} could not register it" if status == "failed" else ""
        return Read(
            status, wire.json_of(reply, _AddressData, NAME).data.lines, settings.emergency_address_id, detail
        )

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Judge an address; a suggestion may name only the fields that are otherwise."""
        reply = yield from self._ask("POST", "/addresses/actions/validate", _body(address))
        judged = wire.json_of(reply, _JudgedData, NAME).data
        if judged.result == "valid":
            return Valid()
        suggested = _suggested(address, judged.suggested or {})
        if suggested and postal.difference(address, suggested):
            return Corrected((suggested,))
        reasons = "; ".join(str(error.get("detail") or error.get("title")) for error in judged.errors or [])
        raise Denied(
            f"{NAME} does not know this address: {wire.plain(reasons) or 'it says no more'}", "address"
        )

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Make the address, unless one of its reference is there."""
        reference = _reference(number, address)
        query = {"filter[customer_reference][eq]": reference}
        reply = yield from self._ask("GET", "/addresses", query=query)
        for each in wire.json_of(reply, _Addresses, NAME).data if reply.status == 200 else []:
            if each.customer_reference == reference:
                return Prepared(each.id, each.lines)
        body = {
            **_body(address), "business_name": address.name or "Practice", "customer_reference": reference,
            "address_book": False, "validate_address": not as_typed,
        }  # fmt: skip
        made = wire.json_of((yield from self._ask("POST", "/addresses", body)), _AddressData, NAME).data
        return Prepared(made.id, made.lines)

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Enable emergency calling from that address; another one that was there is replaced."""
        return (yield from self._enable(number, True, held.address_id))

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Disable emergency calling with an address."""
        return (yield from self._enable(number, False, None))

    def _enable(self, number: str, on: bool, address_id: str | None) -> Steps[str]:
        found = yield from self._held(number)
        body = {"emergency_enabled": on, "emergency_address_id": address_id}
        reply = yield from self._ask(
            "POST", f"/phone_numbers/{quote(found.id)}/actions/enable_emergency", body
        )
        if reply.status == 404:
            raise wire.Forgotten(f"{NAME} does not know the address any more")
        wire.json_of(reply, _VoiceData, NAME)
        return ""

    def discard(self, address_id: str) -> Steps[None]:
        """Delete an address of ours; Telnyx refuses while something uses it."""
        yield from self._ask("DELETE", f"/addresses/{quote(address_id)}")


def _body(address: Postal) -> dict[str, str]:
    return {theirs: value for ours, theirs in _FIELDS.items() if (value := getattr(address, ours))}


def _suggested(address: Postal, theirs: dict[str, Any]) -> Postal | None:
    known = {ours: str(theirs[name]) for ours, name in _FIELDS.items() if theirs.get(name)}
    return msgspec.structs.replace(address, **known) if known else None


def _reference(number: str, address: Postal) -> str:
    text = "\n".join(getattr(address, field) for field in postal.FIELDS)
    return f"provisioner-{number[-10:]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
