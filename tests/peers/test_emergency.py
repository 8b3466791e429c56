"""911 and 933 from a phone that answers no challenge, to the stand-in core and to a sipp, also without a store."""

import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provisioner.dialing.classify import Plan, classify
from tests.peers import audio, sipp
from tests.peers.appliance import DEMO, PROMPTS, Appliance
from tests.peers.capture import Capture, judge, needs_capture
from tests.peers.sipp import MEDIA_PORT, Party, Tones, leave
from tests.peers.wait import until

pytestmark = pytest.mark.peer

CIVIC = "{urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr}"
EXTENSION, CALLBACK = "102", "+14155550102"

Report = tuple[str, str, dict[str, str]]  # what was dialled, callback number, civic address


class Centre(ABC):
    """An appliance, and an emergency centre that its calls reach."""

    core_port = 5060
    prompts: dict[str, str] = {}  # what is heard, by what was dialled; else a tone

    def __init__(self, directory: Path, core: str = "") -> None:
        self.directory = directory
        self.tones = Tones(directory)
        self.appliance = Appliance(directory, core=core)
        self.capture = Capture(directory, self.appliance, [self.appliance.core_host, "127.0.0.1"])
        self.phone = self.appliance.new_host()
        self.tried: list[str] = []
        self.expected = self.address()

    @abstractmethod
    def reports(self) -> list[Report]:
        """All calls that came in."""

    def close(self) -> None:
        self.capture.stop()
        self.appliance.stop()

    def api(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inventory's records of a kind, by id."""
        return {row["id"]: row for row in self.appliance.api(kind)["items"]}

    def address(self) -> dict[str, str]:
        """The civic address of the phone."""
        return dict(self.api("locations")[self.api("numbers")[CALLBACK]["location"]]["civic"])

    def call(self, code: str) -> None:
        """The phone calls, listens and hangs up."""
        before = len(self.reports())
        phone = Party(
            self.directory, "call", self.phone, self.appliance, number=code, seconds=20,
            arguments=("-key", "caller", EXTENSION), STEPS=leave(), TONE=str(self.tones(440)),
        )  # fmt: skip
        try:
            phone.reached("answered")
            until(lambda: len(self.reports()) > before, "the centre has the call", tail=phone.tail)
            phone.go()
            phone.finish()
        finally:
            phone.stop()
        self.tried.append(code)
        until(lambda: not self.appliance.calls(), "no call is left", tail=self.appliance.tail)


class StandIn(Centre):
    """The demo's own core."""

    prompts = {"911": "emergency-centre", "933": "emergency-test"}

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.core = self.appliance.control("core")
        self.core_port = int(self.core.call("status")["sip"].rpartition(":")[2])

    def reports(self) -> list[Report]:
        calls = self.core.call("calls")["calls"]
        return [
            (row["to"], row["callback"], row["civic"]) for row in calls if row["kind"].startswith("emergency")
        ]


class OtherCore(Centre):
    """A sipp as the core; its log is the evidence."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "sip:{core}:5060")
        self.trunk = Party(
            directory, "trunk", self.appliance.core_host, self.appliance, calls=None, seconds=300,
            TONE=str(self.tones(700)),
        ).listening()  # fmt: skip

    def close(self) -> None:
        self.trunk.stop()
        super().close()

    def reports(self) -> list[Report]:
        invites = re.findall(r"^INVITE sip:.*?</presence>", self.trunk.messages, re.M | re.S)
        return [_report(invite) for invite in invites]


def _report(invite: str) -> Report:
    """What an INVITE with a PIDF-LO says; its parts must agree."""
    head, _, parts = invite.replace("\r", "").partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    (number,) = set(re.findall(r"sip:([^@]+)@", headers["P-Asserted-Identity"] + headers["From"]))
    content_id = re.search(r"^Content-ID: (<.+>)$", parts, re.M)
    assert content_id
    assert headers["Geolocation"] == content_id.group(1).replace("<", "<cid:")
    location = ElementTree.fromstring(parts[parts.index("<?xml") :].encode())
    civic = next(location.iter(f"{CIVIC}civicAddress"))
    dialled = head.removeprefix("INVITE sip:").partition("@")[0]
    return dialled, number, {each.tag.removeprefix(CIVIC): each.text or "" for each in civic}


@pytest.fixture(scope="module", params=[StandIn, OtherCore])
def centre(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    needs_capture()
    centre: Centre = request.param(tmp_path_factory.mktemp("emergency"))
    try:
        account = centre.appliance.account(DEMO[EXTENSION])
        sipp.register(centre.directory, centre.appliance, account, centre.phone)
        yield centre
    finally:
        centre.close()


@pytest.mark.parametrize("code", ["911", "933"])
@pytest.mark.rule(
    "dialled.emergency", "dialled.emergency-test", "emergency.location", "emergency.calling-number"
)
def test_call_carries_address_and_callback_number(centre: Centre, code: str) -> None:
    centre.call(code)
    assert centre.reports()[-1] == (code, CALLBACK, centre.expected)


@pytest.mark.parametrize("dialled", ["9911", "1911", "112", "9112", "911123456", "9933"])
@pytest.mark.rule("dialled.emergency", "dialled.emergency-test")
def test_whatever_begins_so_is_the_same_call(centre: Centre, dialled: str) -> None:
    centre.call(dialled)
    code = classify(dialled, "keypad", Plan()).number
    assert centre.reports()[-1] == (code, CALLBACK, centre.expected)


def destroy(state: Path) -> None:
    """Put garbage in the place of the store's files."""
    for name in ("inventory.db", "journal.db"):
        for end in ("", "-wal", "-shm"):
            garbage = state / f"{name}{end}.garbage"
            garbage.write_bytes(secrets.token_bytes(65536))
            os.replace(garbage, state / f"{name}{end}")


@pytest.mark.parametrize("code", ["911", "933"])
@pytest.mark.rule("emergency.always")
def test_store_replaced_by_garbage(centre: Centre, code: str) -> None:
    destroy(centre.appliance.state)
    centre.call(code)
    assert centre.reports()[-1] == (code, CALLBACK, centre.expected)
    centre.appliance.edge.call("reload")
    centre.call(code)
    assert centre.reports()[-1] == (code, CALLBACK, centre.expected)


@pytest.mark.rule("emergency.always")
def test_edge_killed_and_store_replaced_by_garbage(centre: Centre) -> None:
    destroy(centre.appliance.state)
    centre.appliance.kill_edge()
    centre.call("911")
    assert centre.reports()[-1] == ("911", CALLBACK, centre.expected)


def test_phone_hears_the_centre(centre: Centre) -> None:
    centre.capture.stop()
    heard = centre.capture.heard()[centre.phone, MEDIA_PORT].audio()
    if centre.prompts:
        for code in {classify(each, "keypad", Plan()).number for each in centre.tried}:
            recording = audio.decode((PROMPTS / f"{centre.prompts[code]}.ulaw").read_bytes())
            assert audio.likeness(heard, recording) > 0.9
    else:
        assert audio.share(heard, 700) > 0.9


def test_tshark_finds_nothing_wrong(centre: Centre) -> None:
    centre.capture.stop()
    seen = judge(centre.capture.path, [centre.appliance.port, centre.core_port])
    assert seen["sip"] >= 10 * len(centre.tried)  # twice INVITE, 200, ACK, BYE, 200
    assert seen["rtp"] >= 150 * len(centre.tried)
    assert seen["mime_multipart"] >= len(centre.tried)
