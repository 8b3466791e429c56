"""The stand-in core: its control calls in the form of requests, which `Control` carries over the core's own socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from provisioner.emergency.providers.wire import (
    Account,
    Broken,
    Lost,
    Owned,
    Reply,
    Request,
    Steps,
    Unreachable,
    json_of,
)
from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.ipc import Gone, Json, Refused
from provisioner.store.records import Postal, Registration

NAME = "The stand-in core"


class _Held(msgspec.Struct):
    civic: dict[str, str]
    name: str = ""


class Core:
    """The provider of the demo: it takes any address, at once."""

    url = ""
    abilities = Abilities(
        validates=False, suggests=False, candidates=False, swaps=True, asynchronous=False, discards=False,
        needs_name=True, needs_callback=False, test_number="933", street=150, inside=60, name=32, per_second=100.0,
    )  # fmt: skip

    def __init__(self, _account: Account) -> None:
        self._prepared: dict[str, Postal] = {}

    def _ask(self, method: str, call: str, args: Json) -> Steps[Any]:
        reply = yield Request(method, f"/{call}", {}, {}, msgspec.json.encode(args))
        return msgspec.json.decode(reply.body)

    def _addresses(self) -> Steps[dict[str, _Held]]:
        answer = yield from self._ask("GET", "addresses", {})
        try:
            return msgspec.convert(answer, dict[str, _Held])
        except msgspec.ValidationError:
            raise Broken(f"{NAME} gave an answer that cannot be read") from None

    def numbers(self) -> Steps[list[Owned]]:
        """The numbers that have an address; the core knows no others."""
        return [Owned(number) for number in (yield from self._addresses())]

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """What the core would tell the emergency centre."""
        found = (yield from self._addresses()).get(number)
        if found is None:
            return Read("absent")
        lines = _lines(found)
        return Read("registered", lines, _id(lines))

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Any address is good."""
        yield from ()
        return Valid()

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Nothing is kept apart from the number: the name of an address is the address."""
        yield from ()
        return Prepared(_id(address), address)

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Tell the core."""
        address = msgspec.json.decode(held.address_id, type=Postal)
        args = {"number": number, "civic": _civic(address), "name": address.name}
        yield from self._ask("POST", "register_address", args)
        return ""

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Tell the core that the number is nowhere."""
        yield from self._ask("POST", "unregister_address", {"number": number})
        return ""

    def discard(self, address_id: str) -> Steps[None]:
        """There is nothing to delete."""
        yield from ()


_ELEMENTS = {
    "street": "RD",
    "inside": "LOC",
    "city": "A3",
    "state": "A1",
    "postcode": "PC",
    "country": "country",
}


def _civic(address: Postal) -> dict[str, str]:
    """Lines as civic elements, the street whole in RD: the core reads it out, and takes nothing apart."""
    return {element: value for field, element in _ELEMENTS.items() if (value := getattr(address, field))}


def _lines(held: _Held) -> Postal:
    fields = {field: held.civic.get(element, "") for field, element in _ELEMENTS.items()}
    return Postal(name=held.name, **fields)


def _id(address: Postal) -> str:
    return msgspec.json.encode(address).decode()


class _Running(msgspec.Struct):
    uptime: float


class Control:
    """Carries the core's requests. `ask` is `provisioner.ipc.ask` at the core's socket."""

    def __init__(self, ask: Callable[[str, Json], Json]) -> None:
        self._ask = ask

    def send(self, request: Request) -> Reply:
        """One control call. Raises Unreachable, Lost for a write, or Broken."""
        try:
            answer = self._ask(request.path.removeprefix("/"), msgspec.json.decode(request.body))
        except Gone:
            raise (Lost if request.writes else Unreachable)(f"{NAME} does not answer") from None
        except Refused as error:
            raise Broken(f"{NAME} refuses: {error}") from None
        return Reply(200, {}, msgspec.json.encode(answer))

    def uptime(self) -> float:
        """Seconds since the core started; it has forgotten all addresses of before. Raises WireError."""
        return json_of(self.send(Request("GET", "/ping", body=b"{}")), _Running, NAME).uptime
