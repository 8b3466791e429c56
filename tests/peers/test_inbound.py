"""Inbound calls with other makes at their ends: turns, members outside, screening, privacy, features of a line."""

from __future__ import annotations

import socket
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from provisioner.store.inventory import Inventory
from provisioner.store.records import LineFeatures, Member, Number, Record, RingGroup
from tests.peers import audio, sipp
from tests.peers.appliance import DEMO, PROMPTS, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, Heard, datagrams, judge, needs_capture
from tests.peers.sipp import Party, Tones, press
from tests.peers.wait import until

pytestmark = pytest.mark.peer

MAIN, DIRECT = "+14155550100", "+14155550101"
CELL = "+12124567890"
PATIENT = "+12125550143"
DESK, OUTSIDE, CALLER = 440, 700, 1000  # Hz
EXTENSIONS = ("101", "102", "103")


QUESTION = ("call-from", *(f"say-{digit}" for digit in PATIENT[2:]), "press-1")


def recorded(*names: str) -> array:
    """Prompts one after the other, as samples."""
    return audio.decode(b"".join((PROMPTS / f"{name}.ulaw").read_bytes() for name in names))


def answer_to_the_question(key: str, tone: Path) -> str:
    """Wait for the test, hear who calls to the end, and press `key`."""
    milliseconds = len(recorded(*QUESTION)) // 8 + 1500
    return press(key, tone).replace(f'"{sipp.LISTEN}"', f'"{milliseconds}"', 1)


class Scene:
    """An appliance with three sipp phones, and a sipp as the trunk's far end, where `member` may pick up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tones = Tones(directory)
        self.appliance = Appliance(directory, core="sip:{core}:5060")
        self.hosts: dict[str, str] = {}
        self._callers = iter(range(100))
        self._trunk: Party | None = None
        self.tones(OUTSIDE)
        for extension in EXTENSIONS:
            account = self.appliance.account(DEMO[extension])
            self.hosts[extension] = self.appliance.new_host()
            sipp.register(directory, self.appliance, account, self.hosts[extension])
        self.member()

    def close(self) -> None:
        if self._trunk:
            self._trunk.stop()
        self.appliance.stop()

    def put(self, *records: Record) -> None:
        """Change the inventory; what is not named goes back to how the demo has it."""
        group = RingGroup(id="main", name="Everyone", members=EXTENSIONS)
        inventory = Inventory.open(self.appliance.state / "inventory.db")
        with closing(inventory), inventory.change("test") as change:
            for extension in EXTENSIONS:
                change.delete(LineFeatures, extension)
            for record in (group, *records):
                change.put(record)
        self.appliance.edge.call("reload")

    def member(self, *steps: str) -> Party:
        """The far end of the trunk, from now on with these steps in each call that it answers."""
        if self._trunk:
            self._trunk.stop()
        self._trunk = Party(
            self.directory, "outside", self.appliance.core_host, self.appliance, media=30000, calls=None,
            seconds=600, TONE=str(self.tones(OUTSIDE)), STEPS="".join(steps),
        ).listening()  # fmt: skip
        return self._trunk

    def trunk_is_up(self) -> None:
        def up() -> bool:
            return all(trunk["up"] for trunk in self.appliance.edge.call("status")["trunks"])

        until(up, "the trunk is up", 20, self.appliance.tail)


class Act:
    """The parties of one test."""

    def __init__(self, scene: Scene, stack: ExitStack) -> None:
        self.scene, self._stack = scene, stack

    def _party(self, scenario: str, host: str, **more: Any) -> Party:
        party = Party(self.scene.directory, scenario, host, self.scene.appliance, **more)
        self._stack.callback(party.stop)
        return party

    def phone(self, extension: str, scenario: str, steps: Sequence[str] = (), **more: Any) -> Party:
        fill = {"TONE": str(self.scene.tones(DESK)), "STEPS": "".join(steps)}
        return self._party(scenario, self.scene.hosts[extension], **{**fill, **more}).listening()

    def caller(self, number: str, status: str = "", more: str = "", steps: str = "") -> Party:
        """A patient calls; with `status` the call is to be refused so."""
        index = next(self.scene._callers)
        ports = {"port": 7000 + index, "media": 20000 + 10 * index}
        fill = {"STATUS": status, "MORE": more, "TONE": str(self.scene.tones(CALLER))}
        fill["STEPS"] = steps
        return self._party(
            "try" if status else "call", self.scene.appliance.core_host, number=number,
            arguments=("-key", "caller", PATIENT), **ports, **fill,
        )  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    needs_capture()
    scene = Scene(tmp_path_factory.mktemp("inbound"))
    yield scene
    scene.close()


@pytest.fixture
def act(scene: Scene) -> Iterator[Act]:
    with ExitStack() as stack:
        yield Act(scene, stack)
    until(lambda: not scene.appliance.calls(), "no call is left", tail=scene.appliance.tail)


def rung(path: Path, appliance: Appliance, hosts: dict[str, str]) -> list[str]:
    """The extensions whose phones got an INVITE, in order, repeats left out."""
    names = {host: extension for extension, host in hosts.items()}
    found: list[tuple[str, bytes]] = []
    for _time, source, destination, payload in datagrams(path.read_bytes()):
        host = socket.inet_ntoa(destination[0])
        if source[0] == socket.inet_aton(appliance.host) and payload.startswith(b"INVITE") and host in names:
            call = next(line for line in payload.split(b"\r\n") if line.lower().startswith(b"call-id"))
            if (names[host], call) not in found:
                found.append((names[host], call))
    return [extension for extension, _ in found]


def heard_prompt(heard: Heard, name: str) -> None:
    """A party heard the whole beginning of a recording."""
    likeness = audio.likeness(heard.audio(), recorded(name))
    assert likeness > 0.95, f"{name}: {likeness:.2f}"


def heard_question(heard: Heard) -> None:
    """A party heard who calls, and what to press; one recording follows the other within a packet."""
    heard_prompt(heard, "call-from")
    inside = len(recorded(*QUESTION[:-1])) % audio.FRAME
    likeness = audio.likeness(heard.audio()[inside:], recorded("press-1"))
    assert likeness > 0.95, f"press-1: {likeness:.2f}"


def heard_tone(heard: Heard, hertz: int) -> None:
    samples = heard.audio()
    shares = [audio.share(samples[at : at + 4000], hertz) for at in range(0, len(samples) - 3999, 800)]
    assert max(shares, default=0) > 0.9, f"{hertz} Hz: {shares}"


@pytest.mark.rule("inbound.sequential")
def test_sequential_goes_round(scene: Scene, act: Act, tmp_path: Path) -> None:
    """Three calls that each phone declines: each begins one phone further."""
    scene.put(RingGroup(id="main", name="Everyone", members=EXTENSIONS, mode="sequential"))
    phones = [act.phone(extension, "refuse", calls=3, STATUS="486 Busy Here") for extension in EXTENSIONS]
    with Capture(tmp_path, scene.appliance) as capture:
        for _ in range(3):
            act.caller(MAIN, "480").finish()
        for phone in phones:
            phone.finish()
    order = rung(capture.path, scene.appliance, scene.hosts)
    first = EXTENSIONS.index(order[0])
    ring = EXTENSIONS[first:] + EXTENSIONS[:first]
    assert order == [*ring, *ring[1:], *ring[:1], *ring[2:], *ring[:2]]


@pytest.mark.rule("inbound.sequential", "inbound.nobody")
def test_sequential_each_for_its_own_seconds(scene: Scene, act: Act, tmp_path: Path) -> None:
    members = (Member(target="101", seconds=1), Member(target="102", seconds=2))
    scene.put(RingGroup(id="main", name="Everyone", members=members, mode="sequential"))
    phones = [act.phone(extension, "ring") for extension in ("101", "102")]
    act.caller(MAIN, "480").finish(15)
    for phone in phones:
        phone.reached("cancelled")


@pytest.mark.rule("inbound.outside-members", "inbound.screening")
def test_member_outside_accepts_with_1(scene: Scene, act: Act, tmp_path: Path) -> None:
    """101 rings, and a person outside is called through the core, hears who calls, presses 1 and has the call."""
    scene.put(RingGroup(id="main", name="Everyone", members=("101", Member(target=CELL, seconds=25))))
    member = scene.member(answer_to_the_question("1", scene.tones(OUTSIDE)))
    scene.trunk_is_up()
    desk = act.phone("101", "ring")
    with Capture(tmp_path, scene.appliance) as capture:
        caller = act.caller(MAIN, steps=sipp.leave(2500))
        member.reached("answered")
        desk.reached("rung")
        assert "answered" not in caller._read("steps.log")  # nobody has accepted yet
        member.go()
        caller.reached("answered")
        desk.reached("cancelled")
        assert 'cause=200;text="Call completed elsewhere"' in desk.messages
        caller.go()
        caller.reached("left").finish()
        member.reached("released")
        heard = capture.heard()
    invite = next(part for part in member.messages.split("-----") if f"INVITE sip:{CELL}@" in part)
    assert f"P-Asserted-Identity: <sip:{MAIN}@" in invite
    assert f"Diversion: <sip:{MAIN}@" in invite
    assert PATIENT[2:] not in invite
    heard_question(heard[member.host, member.media])
    heard_tone(heard[caller.host, caller.media], OUTSIDE)


@pytest.mark.rule("inbound.screening")
def test_screening_refused_rings_on_and_accepted_connects(scene: Scene, act: Act, tmp_path: Path) -> None:
    """101 picks up and presses 2 twice; 102 picks up, presses 1, and talks with the caller."""
    scene.put(RingGroup(id="main", name="Everyone", members=("101", "102"), screening=True))
    no = act.phone("101", "answer", [press("22", scene.tones(DESK))])
    yes = act.phone("102", "answer", [answer_to_the_question("1", scene.tones(DESK)), sipp.leave(2500)])
    with Capture(tmp_path, scene.appliance) as capture:
        caller = act.caller(MAIN)
        no.reached("answered")
        yes.reached("answered")
        no.go()
        no.reached("released")
        assert "answered" not in caller._read("steps.log")
        yes.go()
        caller.reached("answered")
        yes.go()
        yes.reached("left").finish()
        caller.reached("released").finish()
        heard = capture.heard()
    heard_prompt(heard[no.host, no.media], "call-from")
    heard_question(heard[yes.host, yes.media])
    heard_tone(heard[yes.host, yes.media], CALLER)
    heard_tone(heard[caller.host, caller.media], DESK)
    seen = judge(capture.path, [scene.appliance.port])
    assert seen["rtp"] >= 200


@pytest.mark.rule("inbound.screening", "inbound.nobody")
def test_ten_seconds_of_silence_are_a_no(scene: Scene, act: Act) -> None:
    group = RingGroup(id="main", name="Everyone", members=("101",), screening=True, mode="sequential")
    scene.put(group)
    phone = act.phone("101", "answer", [sipp.leave()])
    act.caller(MAIN, "480").finish(30)
    phone.reached("released").finish()


TELLTALES = f"""\
P-Asserted-Identity: "Jane Patient" <sip:{PATIENT}@core.example>
P-Asserted-Identity: <tel:{PATIENT}>
Remote-Party-ID: "Jane Patient" <sip:{PATIENT}@core.example>;party=calling
Call-Info: <http://core.example/jane-patient-{PATIENT[2:]}.png>;purpose=icon
Alert-Info: <http://core.example/{PATIENT[2:]}.wav>
Subject: Jane Patient {PATIENT[2:]}
Diversion: <sip:{PATIENT[2:]}@core.example>;counter=1
X-Caller: {PATIENT[2:]}
"""


@pytest.mark.rule("inbound.privacy")
def test_the_caller_is_in_no_packet_to_the_phone(scene: Scene, act: Act, tmp_path: Path) -> None:
    scene.put()
    desk = act.phone("101", "answer", [sipp.leave(1500)])
    with Capture(tmp_path, scene.appliance) as capture:
        caller = act.caller(DIRECT, more=TELLTALES)
        caller.reached("answered")
        desk.go()
        caller.reached("released").finish()
    phone = socket.inet_aton(scene.hosts["101"])
    sent = [
        data for _, _, destination, data in datagrams(capture.path.read_bytes()) if destination[0] == phone
    ]
    assert any(data.startswith(b"INVITE") for data in sent)
    for secret in (PATIENT[2:].encode(), b"2125550143", b"Patient", b"core.example"):
        assert not any(secret.lower() in data.lower() for data in sent)
    got = b"".join(data for _, _, _, data in datagrams(capture.path.read_bytes()))
    assert PATIENT[2:].encode() in got  # it was there to be found
    (row,) = scene.appliance.api("calls?limit=1")["items"]
    assert row["caller"]["name"] == "(212) 555-0143"


@pytest.mark.rule("inbound.privacy")
def test_without_privacy_the_phone_shows_the_caller(scene: Scene, act: Act) -> None:
    number = Number(
        id=DIRECT, label="Front desk", extension="101", caller_privacy=False, address_status="registered"
    )
    scene.put(number)
    desk = act.phone("101", "answer", [sipp.leave(200)])
    caller = act.caller(DIRECT, more=TELLTALES)
    caller.reached("answered")
    desk.go()
    caller.reached("released").finish()
    assert (
        f'"Jane Patient" <sip:{PATIENT}@' in desk.messages or f"Jane Patient <sip:{PATIENT}@" in desk.messages
    )
    scene.put(Number(id=DIRECT, label="Front desk", extension="101", address_status="registered"))


@pytest.mark.rule("inbound.passed-over", "inbound.nobody")
def test_do_not_disturb_by_code_with_baresip(scene: Scene, act: Act, tmp_path: Path) -> None:
    """A baresip dials *78 and hears that it is on: calls to it are 480, and the API knows; *79 ends it."""
    scene.put()
    appliance = scene.appliance
    account = appliance.account(DEMO["102"])
    with Baresip(tmp_path / "102", account, appliance.new_host(), DESK) as phone:
        phone.registered()
        for code, prompt, on in (("*78", "dnd-on", True), ("*79", "dnd-off", False)):
            times = phone.count("CALL_CLOSED") + 1
            phone.dial(code)
            phone.heard_of("CALL_CLOSED", 15, times)
            heard = phone.recording()
            assert audio.likeness(heard, recorded(prompt)) > 0.9
            until(
                lambda on=on: appliance.api("extensions/102/features")["do_not_disturb"] is on, "it is kept"
            )
            if on:
                act.caller("+14155550102", "480").finish()
    sipp.register(scene.directory, appliance, account, scene.hosts["102"])


@pytest.mark.rule("inbound.number")
def test_forwards_to_a_colleague_and_outside(scene: Scene, act: Act) -> None:
    """Busy: to 102, with who sent it. Always: outside through the core, with the number of the line."""
    scene.put(LineFeatures(id="101", forward_busy="102"))
    busy = act.phone("101", "refuse", STATUS="486 Busy Here")
    desk = act.phone("102", "answer", [sipp.leave(200)])
    caller = act.caller(DIRECT)
    caller.reached("answered")
    busy.finish()
    assert "reason=user-busy" in desk.messages
    desk.go()
    caller.reached("released").finish()
    scene.put(LineFeatures(id="101", forward_always=CELL))
    member = scene.member()
    scene.trunk_is_up()
    caller = act.caller(DIRECT, steps=sipp.leave(200))
    caller.reached("answered").go()
    caller.reached("left").finish()
    member.reached("released")
    assert f"P-Asserted-Identity: <sip:{DIRECT}@" in member.messages
    assert "reason=unconditional" in member.messages
    assert PATIENT[2:] not in member.messages


@pytest.mark.rule("inbound.number")
def test_unknown_number(scene: Scene, act: Act) -> None:
    act.caller("+14155559999", "404").finish()
