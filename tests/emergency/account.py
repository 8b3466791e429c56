"""A practice with one number at a stand-in provider, and a registrar that lives by a clock which is turned by hand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from provisioner import ipc
from provisioner.core.providers import BEHAVIOURS, PROVIDERS
from provisioner.core.providers.account import Account, Held
from provisioner.emergency import postal, registration
from provisioner.emergency.providers.client import Client
from provisioner.emergency.providers.core import Control, Core
from provisioner.emergency.providers.wire import Account as Credentials
from provisioner.emergency.registrar import ADAPTERS, Connection, Registrar
from provisioner.store.inventory import Inventory
from provisioner.store.records import Location, Number, Practice, Provider, ProviderSecret, Registration
from tests.emergency.core_socket import BEHAVIOURS as CORE_BEHAVIOURS
from tests.emergency.core_socket import CoreSocket

NUMBER = "+14155550101"
START = 1_790_000_000.0
PASSWORD = "a-secret-that-nobody-may-see"
CIVIC = {"country": "US", "A1": "CA", "A3": "San Francisco", "RD": "Harbor Point", "STS": "Way", "HNO": "1200",
         "PC": "94107", "FLR": "2", "ROOM": "210"}  # fmt: skip
OTHER = {**CIVIC, "HNO": "1300", "FLR": "1"}
PATIENCE = 0.15  # seconds that a client of the tests waits for what never comes
DAY = 86_400.0
CAN: dict[str, frozenset[str]] = {  # the behaviours that each stand-in has
    **dict.fromkeys(sorted(PROVIDERS), frozenset(BEHAVIOURS)),
    "core": frozenset(CORE_BEHAVIOURS),
}


class World:
    """All of it; `behaviour` as in the stand-ins."""

    def __init__(self, tmp_path: Path, api: str, behaviour: str = "good", times: int = 2) -> None:
        self.api, self.now, self.up = api, START, False
        self.provider: Any = self.stand_in(tmp_path, behaviour, times)
        self.url = self.provider.serve()
        self.inventory = Inventory.open(tmp_path / "inventory.db", clock=lambda: self.now)
        with self.inventory.change(who="test") as change:
            change.put(Practice(id="practice", name="Bay & Street Clinic", main_number=NUMBER))
            change.put(Provider(id="p", api=api, account="AC-user", url=self.url))  # type: ignore[arg-type]
            change.put(ProviderSecret(id="p", user="AC-user", password=PASSWORD))
            change.put(Location(id="home", name="Home", civic=CIVIC))
            change.put(Location(id="other", name="Other", civic=OTHER))
            change.put(Number(id=NUMBER, label="Desk", location="home", provider="p"))
        self.registrar = self.start()

    def stand_in(self, _tmp_path: Path, behaviour: str, times: int) -> Any:
        account = Account("AC-user", PASSWORD, {} if self.api == "bandwidth-dash" else {NUMBER: Held()})
        return PROVIDERS[self.api](account, behaviour, times, seconds=20.0)

    def connect(self, provider: Provider, secret: ProviderSecret | None) -> Connection:
        assert secret is not None
        adapter = ADAPTERS[provider.api](Credentials(provider.account, secret.user, secret.password))
        secrets = (secret.password, f"{secret.user}:{secret.password}")
        return Connection(adapter, lambda request: self.client().send(request), secrets)

    def client(self) -> Client:
        """One that waits long for all but those who never answer: this machine may be busy."""
        return Client(self.url, self.patience)

    @property
    def patience(self) -> float:
        return PATIENCE if self.provider.behaviour.startswith("slow") else 30.0

    def start(self, connect: Any = None) -> Registrar:
        """A registrar that knows nothing but what is stored."""
        rng = random.Random(7)
        self.registrar = Registrar(
            self.inventory, connect or self.connect, lambda: self.now, rng, lambda _n: self.up
        )
        return self.registrar

    def close(self) -> None:
        self.inventory.close()
        self.provider.close()

    @property
    def held(self) -> Registration:
        stored = self.inventory.get(Registration, NUMBER)
        assert stored
        return stored[0]

    @property
    def number(self) -> Number:
        stored = self.inventory.get(Number, NUMBER)
        assert stored
        return stored[0]

    def truth(self) -> tuple[str, str]:
        """What the provider really has: the number's state, and the house number of its address."""
        found = self.provider.account.numbers.get(NUMBER, Held())
        address = self.provider.account.addresses.get(found.address, {})
        return found.status, address.get("street", "").split(" ")[0]

    # what happens at the provider without us

    def kept(self) -> list[dict[str, str]]:
        """The addresses that the provider holds."""
        return list(self.provider.account.addresses.values())

    def own(self, numbers: list[str]) -> None:
        """The account has these numbers."""
        self.provider.account.numbers = {number: Held() for number in numbers}

    def edit(self, city: str) -> None:
        """Somebody changes the one address that there is."""
        (address,) = self.kept()
        address["city"] = city

    def supplant(self, city: str) -> None:
        """Somebody gives the number an address of theirs."""
        (address,) = self.kept()
        self.provider.account.addresses["foreign"] = {**address, "city": city}
        self.provider.account.numbers[NUMBER].address = "foreign"

    def supplanted(self, _city: str) -> bool:
        """Whether the number still has that."""
        return bool(self.provider.account.numbers[NUMBER].address == "foreign")

    def lose(self) -> None:
        """The number has no address any more."""
        self.provider.account.numbers[NUMBER].status = "absent"
        self.provider.account.numbers[NUMBER].address = ""

    # what people do

    def move(self, location: str) -> None:
        """The number is another place's from now on."""
        self.change(location=location)

    def change(self, **fields: Any) -> None:
        from msgspec.structs import replace

        with self.inventory.change(who="test") as change:
            change.put(replace(self.number, **fields))

    def act(self, event: registration.Event) -> Registration:
        from provisioner.emergency.registrar import act

        return act(self.inventory, NUMBER, event, "somebody", self.now)

    def check(self) -> None:
        """Nothing is called registered that the last reading did not say so of."""
        if self.number.address_status == "registered":
            held = self.held
            assert held.reading
            assert held.reading.status == "registered"
            assert postal.same(held.reading.address, held.accepted)

    def settle(self, hours: float = 12.0, most: int = 400) -> Registration:
        """Go on, letting time pass, until nothing is due for so many hours."""
        for _turn in range(most):
            done = self.registrar.turn()
            self.check()
            if done:
                continue
            held = self.held
            if not held.step or held.due - self.now > hours * 3600:
                return held
            self.now = max(self.now, held.due)
        raise AssertionError(f"it does not come to rest: {self.held}")


class CoreWorld(World):
    """The same with the stand-in core: the real one, behind a socket that misbehaves."""

    def stand_in(self, tmp_path: Path, behaviour: str, times: int) -> CoreSocket:
        return CoreSocket(tmp_path, behaviour, times, lambda: self.now)

    def connect(self, provider: Provider, secret: ProviderSecret | None) -> Connection:
        assert secret is not None
        control = Control(lambda call, args: ipc.ask(self.provider.path, call, args, self.patience))
        adapter = Core(Credentials(provider.account, secret.user, secret.password))
        return Connection(adapter, control.send, (), control.uptime)

    def truth(self) -> tuple[str, str]:
        civic = self.provider.addresses.get(NUMBER, {}).get("civic")
        return ("registered", civic["RD"].split(" ")[0]) if civic else ("absent", "")

    def kept(self) -> list[dict[str, str]]:
        return [held["civic"] for held in self.provider.addresses.values()]

    def own(self, numbers: list[str]) -> None:
        self.provider.addresses.update(
            {number: {"civic": {"RD": "1 A St"}, "name": ""} for number in numbers}
        )

    def edit(self, city: str) -> None:
        (address,) = self.kept()
        address["A3"] = city

    def supplant(self, city: str) -> None:
        (address,) = self.kept()
        self.provider.addresses[NUMBER] = {"civic": {**address, "A3": city}, "name": "Theirs"}

    def supplanted(self, city: str) -> bool:
        return bool(self.provider.addresses[NUMBER]["civic"]["A3"] == city)

    def lose(self) -> None:
        del self.provider.addresses[NUMBER]
