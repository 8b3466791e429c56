"""Twilio: addresses and the numbers that they are attached to (REST API 2010-04-01, form in, JSON out).

A number's address is changed by taking the old one off, waiting until that is done, and attaching the new one:
in between it has none. Requests have no idempotency key, so an address is looked for by its name before it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from provisioner.emergency import postal
from provisioner.emergency.providers import wire
from provisioner.emergency.providers.wire import Account, Denied, Owned, Reply, Request, Steps
from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.store.records import Postal, Registration

NAME = "Twilio"
_ADDRESS_FAULTS = frozenset({21628, 21629, 21630})  # not validated; see the suggestion; immutable
_STATUS: dict[str, Literal["registered", "absent", "pending", "removing", "failed"]] = {
    "registered": "registered",
    "unregistered": "absent",
    "pending-registration": "pending",
    "registration-failure": "failed",
    "pending-unregistration": "removing",
    "unregistration-failure": "failed",
}


class _Number(msgspec.Struct):
    sid: str
    phone_number: str
    friendly_name: str | None = ""
    emergency_address_sid: str | None = ""
    emergency_address_status: str | None = ""


class _Numbers(msgspec.Struct):
    incoming_phone_numbers: list[_Number]
    next_page_uri: str | None = None


class _Address(msgspec.Struct):
    sid: str
    street: str
    city: str
    region: str
    postal_code: str
    iso_country: str
    customer_name: str = ""
    street_secondary: str | None = ""
    friendly_name: str | None = ""

    @property
    def lines(self) -> Postal:
        return Postal(
            street=self.street,
            inside=self.street_secondary or "",
            city=self.city,
            state=self.region,
            postcode=self.postal_code,
            country=self.iso_country,
            name=self.customer_name,
        )


class _Addresses(msgspec.Struct):
    addresses: list[_Address]
    next_page_uri: str | None = None


class _Error(msgspec.Struct):
    """Both forms: `message` of old, `title` and `detail` of RFC 9457."""

    code: int = 0
    message: str = ""
    title: str = ""
    detail: str | None = ""


class _Dependents(msgspec.Struct):
    dependent_phone_numbers: list[Any]


def _words(body: bytes) -> str:
    error = msgspec.json.decode(body, type=_Error)
    return error.message or error.detail or error.title


class Twilio:
    """An account of Twilio. `user` is the account's SID or an API key's."""

    url = "https://api.twilio.com"
    abilities = Abilities(
        validates=False, suggests=True, candidates=False, swaps=False, asynchronous=True, discards=True,
        needs_name=True, needs_callback=False, test_number="933", street=150, inside=60, name=21, per_second=5.0,
    )  # fmt: skip

    def __init__(self, account: Account) -> None:
        sid = account.account or account.user
        self._root = f"/2010-04-01/Accounts/{sid}"
        self._headers = {"Accept": "application/json", **wire.basic(account.user, account.password)}

    def _ask(self, method: str, path: str, values: Mapping[str, str] | None = None) -> Steps[Reply]:
        headers, body, query = dict(self._headers), b"", {}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(values or {}).encode()
        else:
            query = dict(values or {})
        reply = wire.checked((yield Request(method, path, query, headers, body)), NAME, _words)
        if reply.status >= 400 and reply.status != 404:
            code = _code(reply)
            about: Literal["address", "number"] = "address" if code in _ADDRESS_FAULTS else "number"
            raise Denied(f"{NAME} refuses (error {code}){wire.own_words(reply, _words)}", about)
        return reply

    def _held(self, number: str) -> Steps[_Number]:
        reply = yield from self._ask(
            "GET", f"{self._root}/IncomingPhoneNumbers.json", {"PhoneNumber": number}
        )
        found = wire.json_of(reply, _Numbers, NAME).incoming_phone_numbers if reply.status == 200 else []
        for each in found:
            if each.phone_number == number:
                return each
        raise Denied(f"This number is not in the account at {NAME}", "number")

    def numbers(self) -> Steps[list[Owned]]:
        """All numbers of the account, page by page."""
        owned: list[Owned] = []
        path, query = f"{self._root}/IncomingPhoneNumbers.json", {"PageSize": "200"}
        for _page in range(wire.PAGES):
            page = wire.json_of((yield from self._ask("GET", path, query)), _Numbers, NAME)
            owned += [
                Owned(each.phone_number, each.friendly_name or "") for each in page.incoming_phone_numbers
            ]
            if not page.next_page_uri:
                break
            following = urlsplit(page.next_page_uri)  # its host is not followed
            path, query = following.path, dict(parse_qsl(following.query, keep_blank_values=True))
        return owned

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """The number's own status, and the address that it is for."""
        found = yield from self._held(number)
        status = _STATUS.get(found.emergency_address_status or "unregistered", "pending")
        sid = found.emergency_address_sid or ""
        if not sid:
            return Read("removing" if status == "removing" else "absent")
        reply = yield from self._ask("GET", f"{self._root}/Addresses/{sid}.json")
        if reply.status == 404:
            return Read("failed", None, sid, "Its address is gone")
        detail = f"{NAME} could not register it" if status == "failed" else ""
        return Read(status, wire.json_of(reply, _Address, NAME).lines, sid, detail)

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Twilio judges an address when it is made."""
        yield from ()
        return Valid()

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Make the address, unless one of its name is there; Twilio may hold it in its own form."""
        name = _name(number, address, as_typed)
        reply = yield from self._ask("GET", f"{self._root}/Addresses.json", {"FriendlyName": name})
        known = wire.json_of(reply, _Addresses, NAME).addresses if reply.status == 200 else []
        for each in known:
            if each.friendly_name == name:
                return Prepared(each.sid, each.lines)
        values = {
            "CustomerName": address.name[: self.abilities.name] or "Practice",
            "Street": address.street, "StreetSecondary": address.inside, "City": address.city,
            "Region": address.state, "PostalCode": address.postcode, "IsoCountry": address.country,
            "FriendlyName": name, "EmergencyEnabled": "true", "AutoCorrectAddress": "false" if as_typed else "true",
        }  # fmt: skip
        reply = yield from self._ask("POST", f"{self._root}/Addresses.json", values)
        made = wire.json_of(reply, _Address, NAME)
        return Prepared(made.sid, made.lines)

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Attach the address. EmergencyStatus would be ignored, and is not sent."""
        found = yield from self._held(number)
        on = _STATUS.get(found.emergency_address_status or "unregistered") in ("registered", "pending")
        if found.emergency_address_sid != held.address_id or not on:
            yield from self._attach(found, held.address_id)
        return ""

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Take the address off."""
        found = yield from self._held(number)
        if found.emergency_address_sid:
            yield from self._attach(found, "")
        return ""

    def _attach(self, found: _Number, sid: str) -> Steps[Reply]:
        path = f"{self._root}/IncomingPhoneNumbers/{found.sid}.json"
        return _attached((yield from self._ask("POST", path, {"EmergencyAddressSid": sid})))

    def discard(self, address_id: str) -> Steps[None]:
        """Delete an address of ours that no number uses."""
        path = f"{self._root}/Addresses/{address_id}"
        reply = yield from self._ask("GET", f"{path}/DependentPhoneNumbers.json")
        if reply.status == 200 and not wire.json_of(reply, _Dependents, NAME).dependent_phone_numbers:
            yield from self._ask("DELETE", f"{path}.json")


def _attached(reply: Reply) -> Reply:
    """The reply to an attachment, when it is a number. Raises Broken, Denied."""
    if reply.status == 404:
        raise wire.Forgotten(f"{NAME} does not know the address any more")
    wire.json_of(reply, _Number, NAME)
    return reply


def _code(reply: Reply) -> int:
    try:
        return msgspec.json.decode(reply.body, type=_Error).code
    except msgspec.MsgspecError:
        raise wire.Broken(f"{NAME} refused in a way that cannot be read (status {reply.status})") from None


def _name(number: str, address: Postal, as_typed: bool) -> str:
    """What we call an address: the number and a digest, in the 32 characters that there are.

    One that was not to be corrected has another name than one that was.
    """
    text = "\n".join([*(getattr(address, field) for field in postal.FIELDS), *(["="] if as_typed else [])])
    return f"provisioner {number[-10:]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"
