"""A real Kamailio between the appliance and the patients outside: each transport, digest, registration, failover."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioner.store.records import Trunk
from tests.peers import audio
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, judge, needs_capture
from tests.peers.kamailio import BY, CHALLENGED, OPEN, TLS, WRONG_NAME, Kamailio, secret, set_trunks, trunk, up
from tests.peers.sipp import Party, Tones, leave
from tests.peers.wait import until
from tests.sip.authority import Authority

pytestmark = pytest.mark.peer("kamailio")

PHONE, PATIENT = 440, 700  # Hz
NUMBER, OUTSIDE = "+14155550101", "2125550143"
PORTS = {"udp": OPEN, "tcp": OPEN, "tls": TLS}


class Cloud:
    """An appliance, two Kamailios, and the addresses of the patients behind each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tones = Tones(directory)
        self.authority = Authority(directory)
        self.appliance = Appliance(directory, core="sip:{core}:5060")
        self.patients = self.appliance.new_host(), self.appliance.new_host()
        self.cores: list[Kamailio] = []
        try:
            hosts = self.appliance.core_host, self.appliance.new_host()
            for host, outside, algorithm in zip(hosts, self.patients, ("MD5", "SHA-256"), strict=True):
                folder = directory / f"kamailio-{algorithm}"
                core = Kamailio(folder, host, self.appliance, f"{outside}:5060", self.authority, algorithm)
                self.cores.append(core)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for core in self.cores:
            core.stop()
        self.appliance.stop()

    def trunk(self, number: int, transport: str, port: int, name: str = "core", **settings: Any) -> Trunk:
        """A trunk to one of the Kamailios."""
        return Trunk(
            id=name,
            uri=f"sip:{self.cores[number].host}:{port};transport={transport}",
            order=10 + number,
            profile="kamailio",
            settings=settings,
            authorities=self.authority.pem,
        )


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    needs_capture()
    cloud = Cloud(tmp_path_factory.mktemp("kamailio"))
    try:
        yield cloud
    finally:
        cloud.close()


class Scene:
    """One desk phone, 101, and patients, with a capture; `end` says what went over the wire."""

    def __init__(self, cloud: Cloud, directory: Path, stack: ExitStack) -> None:
        self.cloud = cloud
        self.directory = directory
        self._stack = stack
        self.capture = stack.enter_context(
            Capture(directory, cloud.appliance, [core.host for core in cloud.cores])
        )
        account = cloud.appliance.account(DEMO["101"])
        self.phone = stack.enter_context(
            Baresip(directory / "101", account, cloud.appliance.new_host(), PHONE)
        )
        self.phone.registered()

    def patient(self, scenario: str = "answer", number: int = 0, **more: Any) -> Party:
        """A patient who is called through one of the Kamailios."""
        party = Party(
            self.directory,
            scenario,
            self.cloud.patients[number],
            self.cloud.appliance,
            TONE=str(self.cloud.tones(PATIENT)),
            STEPS=leave(0),
            **more,
        )
        self._stack.callback(party.stop)
        return party.listening()

    def calls_in(self, port: int, number: int = 0) -> Party:
        """A patient who calls 101 through one of the Kamailios."""
        to = (self.cloud.cores[number].host, port)
        party = Party(
            self.directory,
            "call",
            self.cloud.patients[number],
            self.cloud.appliance,
            number=NUMBER,
            to=to,
            arguments=("-key", "caller", "+12125550143"),
            TONE=str(self.cloud.tones(PATIENT)),
            STEPS=leave(0),
        )
        self._stack.callback(party.stop)
        return party

    def dial(self, number: str = OUTSIDE) -> None:
        self.phone.command("dial", number)

    def talking(self, party: Party) -> None:
        """Both are in the call, and the phone hears the patient."""
        party.reached("answered")
        self.phone.heard_of("CALL_ESTABLISHED")
        self.phone.hears(PATIENT)

    def hangup(self, party: Party, who: str) -> None:
        """The call is ended by "phone" or "patient", and nothing of it is left."""
        if who == "phone":
            self.phone.command("hangup")
            party.reached("released").finish()
        else:
            party.go()
            party.reached("left").finish()
        self.phone.heard_of("CALL_CLOSED")
        until(lambda: not self.cloud.appliance.calls(), "no call is left", tail=self.cloud.appliance.tail)

    def end(self, party: Party, sip: int = 12) -> None:
        """The patient heard the phone, and tshark finds nothing wrong."""
        self.capture.stop()
        heard = self.capture.heard()[party.host, party.media].audio()
        assert audio.share(heard[4000:], PHONE) > 0.9, len(heard)
        seen = judge(self.capture.path, [self.cloud.appliance.port, OPEN, CHALLENGED])
        assert seen["sip"] >= sip
        assert seen["rtp"] >= 100


@contextmanager
def scene(cloud: Cloud, directory: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        made = Scene(cloud, directory, stack)
        try:
            yield made
        except BaseException as error:
            tails = [core.tail() for core in cloud.cores] + [made.phone.tail(), cloud.appliance.tail()]
            error.add_note("\n".join(tails))
            raise


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("who", ["phone", "patient"])
def test_call_out(cloud: Cloud, tmp_path: Path, transport: str, who: str) -> None:
    set_trunks(cloud.appliance, cloud.trunk(0, transport, PORTS[transport], srtp="off"))
    up(cloud.appliance, "core")
    with scene(cloud, tmp_path) as s:
        patient = s.patient()
        s.dial()
        s.talking(patient)
        s.hangup(patient, who)
        print(cloud.cores[0].along(patient))
        s.end(patient)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("who", ["phone", "patient"])
def test_call_in(cloud: Cloud, tmp_path: Path, transport: str, who: str) -> None:
    set_trunks(cloud.appliance, cloud.trunk(0, transport, PORTS[transport], srtp="off"))
    up(cloud.appliance, "core")
    with scene(cloud, tmp_path) as s:
        patient = s.calls_in(BY[transport])
        s.talking(patient)
        s.hangup(patient, who)
        s.end(patient)
