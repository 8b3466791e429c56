"""Calls that leave the building, with other makes at the ends: who calls, what is shown, and a core that goes away."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from provisioner.store.inventory import Inventory
from provisioner.store.records import Number
from tests.peers import audio, sipp
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, judge, needs_capture
from tests.peers.sipp import Party, Tones, leave
from tests.peers.wait import until

pytestmark = pytest.mark.peer("sipp", "baresip", "tcpdump", "tshark")

PHONE, OTHER, OUTER = 440, 520, 700  # Hz
OUTSIDE, MAIN, OWN = "+12124567890", "+14155550100", "+14155550101"
POOL, CELL = "+14155550104", "+12065550142"
CLAIMED = "+19005550199"
TRUNK_PORT = 5060


class Building:
    """An appliance whose trunk leads to a sipp, and its phones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tones = Tones(directory)
        self.appliance = Appliance(directory, core=f"sip:{{core}}:{TRUNK_PORT}")
        self.trunk = self.new_trunk()
        self.phones: dict[str, Baresip] = {}
        try:
            for extension, tone in (("101", PHONE), ("102", OTHER)):
                account = self.appliance.account(DEMO[extension])
                host = self.appliance.new_host()
                self.phones[extension] = Baresip(directory / extension, account, host, tone)
                self.phones[extension].__enter__()
                self.phones[extension].registered()
            until(lambda: self.trunk_up, "the trunk is up", 30, self.appliance.tail)
        except BaseException:
            self.close()
            raise

    @property
    def trunk_up(self) -> bool:
        return bool(self.appliance.edge.call("status")["trunks"][0]["up"])

    def new_trunk(self) -> Party:
        return Party(
            self.directory, "trunk", self.appliance.core_host, self.appliance, port=TRUNK_PORT, media=30000,
            calls=None, seconds=300, TONE=str(self.tones(OUTER)),
        ).listening()  # fmt: skip

    def invites(self) -> list[str]:
        """What the trunk was asked for."""
        return re.findall(r"^INVITE sip:.*?(?=^-{10})", self.trunk.messages, re.M | re.S)

    def wait_for_invite(self, number: int) -> str:
        until(lambda: len(self.invites()) >= number, "the call goes out", 10, self.trunk.tail)
        return self.invites()[number - 1]

    def quiet(self) -> None:
        until(lambda: not self.appliance.calls(), "no call is left", 10, self.appliance.tail)

    def close(self) -> None:
        for phone in self.phones.values():
            phone.__exit__(None, None, None)
        self.trunk.stop()
        self.appliance.stop()


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    needs_capture()
    made = Building(tmp_path_factory.mktemp("outbound"))
    try:
        yield made
    finally:
        made.close()


def talked(building: Building) -> float:
    """Seconds since the call that is on was answered; 0 before."""
    answered = [call["answered"] for call in building.appliance.calls()]
    return time.time() - answered[0] if answered and answered[0] else 0.0


def users(invite: str, *names: str) -> set[str]:
    return set(re.findall(rf"^(?:{'|'.join(names)}):.*?sip:([^@]+)@", invite, re.M))


@pytest.mark.rule("outbound.click-to-call")
def test_click_to_call(building: Building, tmp_path: Path) -> None:
    phone, before = building.phones["101"], len(building.invites())
    with Capture(tmp_path, building.appliance) as capture:
        order = {"extension": "101", "to": OUTSIDE, "number": MAIN}
        call = building.appliance.api("calls", json.dumps(order).encode())["call"]
        phone.heard_of("CALL_ESTABLISHED")  # it answers by itself
        invite = building.wait_for_invite(before + 1)
        assert invite.startswith(f"INVITE sip:{OUTSIDE}@")
        assert users(invite, "From", "P-Asserted-Identity") == {MAIN}
        until(lambda: talked(building) > 2, "they talk", 10, building.appliance.tail)
        phone.command("hangup")
        building.quiet()
    # what its call was told first, ringback, makes this baresip drop audio with lower sequence numbers: so by the wire
    heard = [each.audio()[-audio.RATE :] for each in capture.heard().values()]
    assert [tone for tone in (PHONE, OUTER) if any(audio.share(each, tone) > 0.9 for each in heard)] == [
        PHONE,
        OUTER,
    ]
    wire = capture.path.read_bytes()
    assert b'"Call (212) 456-7890" <sip:+12124567890@' in wire

    def row() -> Any:
        rows = building.appliance.api(f"calls?q={OUTSIDE[1:]}")["items"]
        return next(row for row in rows if row["id"] == call)

    until(lambda: row()["mos"], "media has told how it sounded", 5, building.appliance.tail)
    assert (row()["direction"], row()["talk_seconds"] > 0, row()["mos"] > 3.5) == ("outbound", True, True)
    judge(capture.path, [building.appliance.port])


@pytest.mark.rule("outbound.caller-id")
def test_hostile_phone(building: Building, tmp_path: Path) -> None:
    """A sipp with the account of 103 claims to be somebody else in every header that it knows."""
    account = building.appliance.account(DEMO["103"])
    host, before = building.appliance.new_host(), len(building.invites())
    sipp.register(tmp_path, building.appliance, account, host)
    with Capture(tmp_path, building.appliance) as capture:
        party = Party(
            tmp_path, "hostile", host, building.appliance, number="2124567890", seconds=20,
            arguments=("-au", account.auth_user, "-ap", account.password),
            CLAIMED=CLAIMED, EXTENSION="103", TONE=str(building.tones(PHONE)), STEPS=leave(0),
        )  # fmt: skip
        try:
            party.reached("answered")
            party.go()
            party.finish()
        finally:
            party.stop()
        building.quiet()
    assert CLAIMED in party.messages
    invite = building.wait_for_invite(before + 1)
    assert users(invite, "From", "P-Asserted-Identity") == {"+14155550103"}
    for trace in (CLAIMED, CLAIMED[1:], "Mallory", "evil.example", "Privacy:", host):
        assert trace not in building.trunk.messages
    judge(capture.path, [building.appliance.port])


@pytest.mark.rule("outbound.dial-through")
def test_dial_through(building: Building, tmp_path: Path) -> None:
    set_pool(building.appliance)
    order = {"phone": CELL, "target": OUTSIDE, "number": MAIN, "seconds": 600, "once": False}
    row = building.appliance.api("dial-through", json.dumps(order).encode())
    assert row["number"] == POOL
    before = len(building.invites())
    caller = from_core(building, tmp_path, CELL, POOL, 7100)
    try:
        caller.reached("answered")
        invite = building.wait_for_invite(before + 1)
        assert invite.startswith(f"INVITE sip:{OUTSIDE}@")
        assert users(invite, "From", "P-Asserted-Identity") == {MAIN}
        assert CELL[1:] not in invite
        caller.go()
        caller.finish()
    finally:
        caller.stop()
    building.quiet()
    answers = []
    for port, number in ((7110, POOL), (7120, "+14155550199")):
        stranger = from_core(building, tmp_path, "+12065550143", number, port)
        try:
            refused(stranger)
        finally:
            stranger.stop()
        answers.append(re.findall(r"^SIP/2.0 4.*", stranger.messages, re.M)[0].strip())
    assert answers == ["SIP/2.0 404 Not Found"] * 2
    assert len(building.invites()) == before + 1


def refused(party: Party) -> None:
    until(lambda: "SIP/2.0 4" in party.messages, "it is refused", 10, party.tail)


def set_pool(appliance: Appliance) -> None:
    opened = closing(Inventory.open(appliance.state / "inventory.db"))
    with opened as inventory, inventory.change(who="test") as change:
        stored = change.get(Number, POOL)
        assert stored
        change.put(replace(stored[0], dial_through=True))
    appliance.edge.call("reload")


def from_core(building: Building, directory: Path, caller: str, number: str, port: int) -> Party:
    return Party(
        directory, "call", building.appliance.core_host, building.appliance, number=number, port=port,
        media=port + 10000, seconds=30, arguments=("-key", "caller", caller),
        TONE=str(building.tones(PHONE)), STEPS=leave(0),
    )  # fmt: skip


@pytest.mark.rule(
    "unreachable.detected", "unreachable.inside", "unreachable.announced", "unreachable.delivered"
)
def test_core_goes_away_and_comes_back(building: Building, tmp_path: Path) -> None:
    one, two = building.phones["101"], building.phones["102"]
    with Capture(tmp_path, building.appliance) as capture:
        building.trunk.stop()
        gone = time.monotonic()
        until(lambda: not building.trunk_up, "the outage is seen", 15, building.appliance.tail)
        assert time.monotonic() - gone <= 15
        one.command("dial", OUTSIDE)
        until(lambda: outcome(building) == "refused: no core answers", "it is announced", 20)
        one.command("dial", "102")
        two.heard_of("CALL_ESTABLISHED")
        one.hears(OTHER)
        one.command("hangup")
        building.quiet()
        building.trunk = building.new_trunk()
        until(lambda: building.trunk_up, "it is seen again", 60, building.appliance.tail)
        one.command("dial", OUTSIDE)
        building.wait_for_invite(1)
        one.hears(OUTER)
        one.command("hangup")
        building.quiet()
    wire = capture.path.read_bytes()
    for words in (b"Outside calls are not possible at the moment", b"Outside calls are possible again."):
        assert wire.count(words) >= 2  # one for each phone


def outcome(building: Building) -> Any:
    rows = building.appliance.api(f"calls?q={OUTSIDE[1:]}&limit=1")["items"]
    return rows[0]["outcome"] if rows else ""
