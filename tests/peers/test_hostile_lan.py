"""A host that is not the phone, on the same network: it gets no secret, staff see it named, phones notice nothing."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from provisioner.store.inventory import Inventory
from provisioner.store.records import Credential
from tests.peers.appliance import AGENTS, DEMO, Appliance
from tests.peers.lan import Host, Lan, needs_lan
from tests.peers.wait import until

HOSTILE, SECOND = "0200000000ff", "0200000000fe"
PHONES = {mac: extension for extension, mac in DEMO.items()}
NAMES = (
    "{}.cfg",
    "{}-line.cfg",
    "{}-settings.cfg",
    "{}-directory.xml",
    "cfg{}.xml",
    "cfg{}",
    "{}.boot",
    "cfg{}.bin",
)
OWN = {"0004f2": "{}-line.cfg", "001565": "{}.cfg", "000b82": "cfg{}.xml"}


def agent(mac: str) -> str:
    return AGENTS[mac[:6]].format(mac=mac, colons=":".join(mac[at : at + 2] for at in range(0, 12, 2)))


class Clinic:
    """The appliance, its three phones with their MACs, and what they must keep."""

    def __init__(self, appliance: Appliance, lan: Lan) -> None:
        self.appliance, self.lan = appliance, lan
        self.server = appliance.info["http"].split("//")[1].strip("/")
        self.tftp = appliance.info["tftp"].rpartition(":")[2]
        self.phones = {mac: lan.host(mac) for mac in PHONES}
        with closing(Inventory.open(appliance.state / "inventory.db")) as inventory:
            self.credentials = {each.id: each for each in inventory.all(Credential)}
        self.front = appliance.control("front")

    @property
    def secrets(self) -> list[str]:
        return [
            secret
            for each in self.credentials.values()
            for secret in (
                each.lines[0].password,
                each.admin_password,
                each.user_password,
                each.http_password,
                each.path_secret,
            )
        ]

    def boots(self, mac: str, times: int = 1) -> list[dict[str, Any]]:
        """Requests of a phone for the file with its secrets."""
        return [{"path": "/" + OWN[mac[:6]].format(mac), "agent": agent(mac)}] * times

    def check(self, answers: list[dict[str, Any]]) -> Counter[int]:
        """No secret of any phone is in any answer; their statuses."""
        for answer in answers:
            assert not [secret for secret in self.secrets if secret in answer["body"]]
        return Counter(answer["status"] for answer in answers)

    def check_phones(self) -> None:
        """All three get what is theirs."""
        for mac, phone in self.phones.items():
            (answer,) = phone.ask(self.server, self.boots(mac))
            assert answer["status"] == 200, answer
            assert self.credentials[mac].lines[0].password in answer["body"]

    def quarantine(self) -> dict[str, dict[str, Any]]:
        return {row["source"]: row for row in self.front.call("quarantine")["quarantine"]}

    def rules(self, host: Host) -> Counter[str]:
        """What the journal says of a host's requests."""
        with closing(sqlite3.connect(self.appliance.state / "journal.db")) as journal:
            rows = journal.execute("SELECT rule FROM requests WHERE address = ?", (host.address,)).fetchall()
        return Counter(rule for (rule,) in rows)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    needs_lan()
    with Lan() as lan, Appliance(tmp_path_factory.mktemp("clinic"), link=lan) as appliance:  # type: ignore[arg-type]
        yield Clinic(appliance, lan)


def test_phones_are_known_by_their_neighbour_entry(clinic: Clinic) -> None:
    clinic.check_phones()
    for phone in clinic.phones.values():
        until(lambda phone=phone: clinic.rules(phone)["neighbour"] == 1, "the journal says why")


def test_a_host_that_is_no_phone(clinic: Clinic) -> None:
    """It claims to be each phone, replays their folders, guesses passwords, sweeps, floods; over HTTP and TFTP."""
    host = clinic.lan.host(HOSTILE)
    asks: list[dict[str, Any]] = []
    for mac in PHONES:
        folder = clinic.credentials[mac].path_secret
        for name in NAMES:
            path = name.format(mac)
            asks += [{"path": f"/{path}", "agent": each} for each in (agent(mac), "", "curl/8")]
            asks += [{"path": f"/{folder}/{path}", "agent": agent(mac)}, {"path": path, "tftp": clinic.tftp}]
            asks += [{"path": f"/{folder}/{path}", "agent": agent(mac), "user": mac, "password": "1234"}]
            asks += [
                {"path": f"/{path}", "agent": agent(mac), "authorization": "Basic UGxjbVNwSXA6UGxjbVNwSXA="}
            ]
    statuses = clinic.check(host.ask(clinic.server, asks))
    assert set(statuses) <= {0, 401, 403, 404}, statuses
    assert statuses[401] >= 3
    clinic.check_phones()

    sweep = [
        {"path": f"/001565{number:06x}.cfg", "agent": agent(f"001565{number:06x}")}
        for number in range(0x90, 0x130)
    ]
    assert set(clinic.check(host.ask(clinic.server, sweep))) == {403}
    held = clinic.quarantine()[HOSTILE]
    assert (held["mac"], held["address"], held["reason"]) == (HOSTILE, host.address, "sweep")
    until(lambda: clinic.rules(host)["quarantined"] > 100, "the journal says why")
    assert {"other-neighbour", "neighbour-mismatch", "quarantined"} <= set(clinic.rules(host))
    assert f"{host.address} (MAC {HOSTILE}) asked for the files of too many phones" in clinic.appliance.tail()


def test_another_address_does_not_help_it(clinic: Clinic) -> None:
    host = clinic.lan.host(SECOND)
    sweep = [
        {"path": f"/0004f2{number:06x}.cfg", "agent": agent(f"0004f2{number:06x}")} for number in range(20)
    ]
    clinic.check(host.ask(clinic.server, sweep))
    assert SECOND in clinic.quarantine()
    host.take(f"{clinic.lan.network}.200")
    assert clinic.check(
        host.ask(clinic.server, [{"path": "/waiting.cfg", "agent": agent("0004f2000101")}])
    ) == {403: 1}
    assert clinic.quarantine()[SECOND]["address"] == host.address
    clinic.front.call("release", source=SECOND)
    assert SECOND not in clinic.quarantine()
    assert clinic.check(
        host.ask(clinic.server, [{"path": "/waiting.cfg", "agent": agent("0004f2000101")}])
    ) == {200: 1}


def test_a_flood_disturbs_no_phone(clinic: Clinic) -> None:
    flooder = clinic.lan.host("0200000000fd")
    flood = flooder.start(clinic.server, [{"path": "/waiting.cfg", "agent": agent("0004f2000101")}] * 6000)
    while not flood.ended():
        clinic.check_phones()
    assert set(clinic.check(flood.answers())) == {200, 429, 403}
    assert clinic.quarantine()["0200000000fd"]["reason"] == "flood"


def test_a_new_phone_that_nobody_impersonates_waits(clinic: Clinic) -> None:
    new = clinic.lan.host("001565000177")
    (answer,) = new.ask(clinic.server, [{"path": "/001565000177.cfg", "agent": agent("001565000177")}])
    assert answer["status"] == 200
    assert clinic.check([answer]) == {200: 1}
    until(lambda: "001565000177" in json.dumps(clinic.appliance.api("phones")), "it is seen")
    assert "0004f2000005" not in json.dumps(clinic.appliance.api("phones"))  # swept, and nobody's
