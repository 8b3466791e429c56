"""A real Kamailio between the appliance and the patients outside: each transport, digest, registration, failover."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from provisioner.store.records import Trunk
from tests.peers import audio, test_transfer
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, judge, needs_capture
from tests.peers.kamailio import (
    ACCOUNT,
    BY,
    CHALLENGED,
    OPEN,
    PASSWORD,
    TLS,
    WRONG_NAME,
    Kamailio,
    secret,
    set_trunks,
    trunk,
    up,
)
from tests.peers.sipp import Party, Tones, leave
from tests.peers.stage import TRUNK_PORT, Listener, Stage, run
from tests.peers.wait import until
from tests.sip.authority import Authority

pytestmark = pytest.mark.peer("kamailio")

PHONE, PATIENT = 440, 700  # Hz
NUMBER, OUTSIDE = "+14155550101", "2125550143"
OUTSIDE_E164 = f"+1{OUTSIDE}"
BOTH = ("first", "second")  # trunks
EMERGENCY_SECONDS = 6.0  # 4 for a gateway that is silent, and the rest of the call's way
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

    def another_phone(self, extension: str) -> Baresip:
        account = self.cloud.appliance.account(DEMO[extension])
        phone = Baresip(self.directory / extension, account, self.cloud.appliance.new_host(), PHONE)
        self._stack.enter_context(phone)
        phone.registered()
        return phone

    def end(self, party: Party, transport: str) -> None:
        """The patient heard the phone, and tshark finds nothing wrong."""
        self.capture.stop()
        heard = self.capture.heard()[party.host, party.media].audio()
        assert audio.share(heard[4000:], PHONE) > 0.9, len(heard)
        seen = judge(self.capture.path, [self.cloud.appliance.port, OPEN, CHALLENGED])
        assert seen["sip"] >= (8 if transport == "tls" else 12)  # it cannot read those of the core in TLS
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


@pytest.fixture(scope="module", params=["udp", "tcp", "tls"])
def transport(request: pytest.FixtureRequest, cloud: Cloud) -> str:
    """The one trunk goes to the first Kamailio by this transport."""
    set_trunks(cloud.appliance, cloud.trunk(0, request.param, PORTS[request.param], srtp="off"))
    up(cloud.appliance, "core")
    return request.param


@pytest.mark.parametrize("who", ["phone", "patient"])
@pytest.mark.rule("outbound.caller-id", "dialled.outbound")
def test_call_out(cloud: Cloud, tmp_path: Path, transport: str, who: str) -> None:
    with scene(cloud, tmp_path) as s:
        patient = s.patient()
        s.dial()
        s.talking(patient)
        s.hangup(patient, who)
        edge = cloud.appliance.host, transport
        end = edge if who == "phone" else (patient.host, "udp")
        assert cloud.cores[0].way(patient) == [("INVITE", *edge), ("ACK", *edge), ("BYE", *end)]
        s.end(patient, transport)


@pytest.mark.parametrize("who", ["phone", "patient"])
@pytest.mark.rule("inbound.number")
def test_call_in(cloud: Cloud, tmp_path: Path, transport: str, who: str) -> None:
    with scene(cloud, tmp_path) as s:
        patient = s.calls_in(BY[transport])
        s.talking(patient)
        s.hangup(patient, who)
        outside = patient.host, "udp"
        end = (cloud.appliance.host, transport) if who == "phone" else outside
        assert cloud.cores[0].way(patient) == [("INVITE", *outside), ("ACK", *outside), ("BYE", *end)]
        s.end(patient, transport)


def test_certificate_for_another_name_is_refused(cloud: Cloud) -> None:
    set_trunks(cloud.appliance, cloud.trunk(0, "tls", WRONG_NAME))
    up(cloud.appliance, "core", False)
    (gateway,) = trunk(cloud.appliance, "core")["gateways"]
    host = cloud.cores[0].host
    reason = f"the certificate is for elsewhere.example, not for {host}"
    assert gateway["problem"] == reason
    lines = [line for line in cloud.appliance.tail().splitlines() if f"{host}:{WRONG_NAME}" in line]
    assert len(lines) == 1
    assert lines[0].endswith(f"no TLS to {host}:{WRONG_NAME} ({host}): {reason}")


@pytest.mark.parametrize(("number", "transport"), [(0, "tcp"), (1, "udp")], ids=["MD5", "SHA-256"])
def test_challenge_of_a_call(cloud: Cloud, tmp_path: Path, number: int, transport: str) -> None:
    set_trunks(cloud.appliance, cloud.trunk(number, transport, CHALLENGED), secret("core"))
    up(cloud.appliance, "core")
    with scene(cloud, tmp_path) as s:
        patient = s.patient(number=number)
        s.dial()
        s.talking(patient)
        s.hangup(patient, "patient")
        call = patient.messages
        assert PASSWORD not in call
        cloud.cores[number].did("INVITE challenged")
        cloud.cores[number].did(f"INVITE by {ACCOUNT} with sip:{OUTSIDE_E164}@")
        s.end(patient, transport)


@pytest.fixture
def forgets(cloud: Cloud) -> Iterator[None]:
    """The Kamailios know of no registration afterwards."""
    yield
    for core in cloud.cores:
        core.kill()
        core.start()


@pytest.mark.usefixtures("forgets")
@pytest.mark.parametrize(("number", "transport"), [(0, "udp"), (1, "tcp")], ids=["MD5", "SHA-256"])
def test_registration(cloud: Cloud, tmp_path: Path, number: int, transport: str) -> None:
    record = cloud.trunk(number, transport, CHALLENGED, authentication="register")
    set_trunks(cloud.appliance, record, secret("core"))
    registered(cloud, True)
    with scene(cloud, tmp_path) as s:
        patient = s.calls_in(OPEN, number)
        s.talking(patient)
        cloud.cores[number].did("INVITE to who registered")
        s.hangup(patient, "phone")
        end = "BYE", cloud.appliance.host, transport
        assert cloud.cores[number].way(patient)[-1] == end
        s.end(patient, transport)


def test_registration_with_a_wrong_password(cloud: Cloud) -> None:
    record = cloud.trunk(0, "udp", CHALLENGED, authentication="register")
    set_trunks(cloud.appliance, record, replace(secret("core"), password="not-the-password"))
    line = "trunk core: it cannot be registered with (401)"
    until(lambda: line in cloud.appliance.tail(), "the refusal is told", tail=cloud.appliance.tail)
    registered(cloud, False)
    assert "not-the-password" not in cloud.appliance.tail()


def registered(cloud: Cloud, wanted: bool) -> None:
    until(
        lambda: trunk(cloud.appliance, "core")["registered"] is wanted,
        f"registered: {wanted}",
        tail=lambda: cloud.cores[0].tail() + cloud.cores[1].tail() + cloud.appliance.tail(),
    )


# two Kamailios


@contextmanager
def two(cloud: Cloud, transport: str = "udp") -> Iterator[Kamailio]:
    """A trunk to each of them, both up; gives the first, which is started again afterwards."""
    trunks = [cloud.trunk(at, transport, PORTS[transport], name, srtp="off") for at, name in enumerate(BOTH)]
    set_trunks(cloud.appliance, *trunks)
    for name in BOTH:
        up(cloud.appliance, name)
    try:
        yield cloud.cores[0]
    finally:
        cloud.cores[0].stop()
        cloud.cores[0].start()


def recovers(cloud: Cloud) -> None:
    """The first one, that was frozen, is back: an INVITE by UDP goes there until it is answered, and is then
    cancelled (RFC 3261 9.1). Before that it would ring who is a patient next.
    """
    core = cloud.cores[0]
    before = core.log.count("CANCEL of")
    core.stop()
    core.start()
    core.did("CANCEL of", before + 1, 35)


@pytest.mark.parametrize(("transport", "rings"), [("udp", False), ("tcp", True), ("tls", True)])
@pytest.mark.rule("unreachable.announced")
def test_killed_before_it_answers(cloud: Cloud, tmp_path: Path, transport: str, rings: bool) -> None:
    """By UDP it dies with the INVITE unread; a connection that is lost tells of it while a patient rings, too."""
    with two(cloud, transport) as first, scene(cloud, tmp_path) as s:
        patient = s.patient(number=1)
        if rings:
            left = s.patient("ring")
            s.dial()
            left.reached("rung")
            s.phone.heard_of("CALL_RINGING")
        else:
            first.freeze()
            s.dial()
            until(cloud.appliance.calls, "the call is there")
        first.kill()
        s.talking(patient)
        (call,) = cloud.appliance.calls()
        assert (call["direction"], call["state"]) == ("outbound", "talking")
        s.hangup(patient, "phone")
        assert s.phone.count("CALL_ESTABLISHED") == s.phone.count("CALL_CLOSED") == 1
        assert patient.messages.count("INVITE sip:") == 1
        s.end(patient, transport)
        if transport == "udp":
            recovers(cloud)


@pytest.mark.rule("unreachable.announced")
def test_killed_while_a_call_is_up(cloud: Cloud, tmp_path: Path) -> None:
    with two(cloud) as first, scene(cloud, tmp_path) as s:
        patient = s.patient()
        s.dial()
        s.talking(patient)
        first.kill()
        other = s.another_phone("102")
        later = s.patient(number=1)
        other.command("dial", OUTSIDE)
        later.reached("answered")
        other.hears(PATIENT)
        s.phone.goes_on_hearing(PATIENT)
        later.go()
        later.finish()
        up(cloud.appliance, "first", False, 30)
        first.start()
        up(cloud.appliance, "first", True, 60)
        s.hangup(patient, "phone")  # its BYE goes along the route: through the one that came back
        assert first.way(patient)[-1] == ("BYE", cloud.appliance.host, "udp")
        again = s.patient()
        other.command("dial", OUTSIDE)
        again.reached("answered")
        again.go()
        again.finish()
        s.end(patient, "udp")


@pytest.mark.rule("unreachable.detected", "unreachable.announced", "unreachable.delivered")
def test_the_only_core_goes_away_and_comes_back(cloud: Cloud, tmp_path: Path) -> None:
    set_trunks(cloud.appliance, cloud.trunk(0, "udp", OPEN, srtp="off"))
    up(cloud.appliance, "core")
    core, before = cloud.cores[0], cloud.appliance.edge.call("ping")["pid"]
    with scene(cloud, tmp_path) as s:
        core.stop()
        try:
            gone = time.monotonic()
            up(cloud.appliance, "core", False, 15)
            assert time.monotonic() - gone < 15
            s.dial()
            s.phone.heard_of("CALL_CLOSED", 20)
            assert cloud.appliance.api("calls?limit=1")["items"][0]["outcome"] == "refused: no core answers"
        finally:
            core.start()
        up(cloud.appliance, "core", True, 60)
        patient = s.patient()
        s.dial()
        patient.reached("answered")
        s.phone.hears(PATIENT)
        s.hangup(patient, "phone")
    assert cloud.appliance.edge.call("ping")["pid"] == before
    wire = s.capture.path.read_bytes()
    for words in (b"Outside calls are not possible at the moment", b"Outside calls are possible again."):
        assert words in wire


@pytest.mark.parametrize(("transport", "how"), [("udp", "freeze"), ("tls", "freeze"), ("tcp", "kill")])
@pytest.mark.rule("emergency.always", "dialled.emergency")
def test_emergency_call_with_the_first_gone(cloud: Cloud, tmp_path: Path, transport: str, how: str) -> None:
    with two(cloud, transport) as first, scene(cloud, tmp_path) as s:
        centre = s.patient(number=1)
        getattr(first, how)()
        s.dial("911")
        centre.reached("answered", seconds=EMERGENCY_SECONDS)
        s.phone.hears(PATIENT)
        s.hangup(centre, "patient")
        assert "INVITE sip:911@" in centre.messages
        s.end(centre, transport)
        if transport == "udp":
            recovers(cloud)


# warm transfer

TRANSFERS = (
    "whole", "to_an_outside_number", "targets_early_media", "caller_hangs_up_consulting", "desk_hangs_up_menu",
    "offers_in_every_state",
)  # fmt: skip


class Evening:
    """The transfers, played at once, with a Kamailio between the edge and what lies behind its trunk.

    Way `edge`: callers come through it, as does who is called outside. Way `core`: the demo core is behind it.
    """

    def __init__(self, directory: Path, way: str) -> None:
        stage = Stage(directory, len(TRANSFERS), way)
        try:
            appliance, authority = stage.appliance, Authority(directory)
            behind = f"{appliance.core_host}:{TRUNK_PORT}"
            with Kamailio(directory / "kamailio", appliance.new_host(), appliance, behind, authority) as core:
                uri = f"sip:{core.host}:{OPEN};transport=tcp"
                set_trunks(appliance, Trunk(id="core", uri=uri, profile="kamailio", transfer=way))  # type: ignore
                up(appliance, "core")
                if stage.core:
                    stage.core.control.call("edge", sip=f"{core.host}:{BY['tcp']}")
                else:
                    stage.gate = core.host, BY["tcp"]
                capture = Capture(directory, appliance, [core.host], stage.sources())
                with capture as self.capture, ThreadPoolExecutor() as pool:
                    self.played = {
                        name: pool.submit(run, stage, test_transfer.PLAYS[name]) for name in TRANSFERS
                    }
                self.passed = core.log.count("INVITE of")
        finally:
            stage.close()
        self.ports = [appliance.port, OPEN]
        self.heard = self.capture.heard()


@pytest.fixture(scope="module", autouse=True)
def evenings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Evening]]]:
    """Begun at once, on appliances of their own, and asked for at the end."""
    needs_capture()
    with ThreadPoolExecutor(1) as pool:
        yield {
            way: pool.submit(Evening, tmp_path_factory.mktemp("transfer"), way) for way in ("edge", "core")
        }


@pytest.fixture(params=["edge", "core"])
def evening(request: pytest.FixtureRequest, evenings: dict[str, Future[Evening]]) -> Evening:
    return evenings[request.param].result()


@pytest.mark.rule("transfer.way-core", "transfer.way-edge", "hold.re-invites")
@pytest.mark.parametrize("name", TRANSFERS)
def test_warm_transfer(evening: Evening, name: str) -> None:
    play, check = evening.played[name].result()
    try:
        check(Listener(play, evening.heard))
    except AssertionError as error:
        error.add_note(play.tail())
        raise


def test_tshark_finds_nothing_wrong_with_the_transfers(evening: Evening) -> None:
    seen = judge(evening.capture.path, evening.ports)
    assert seen["sip"] >= 20 * len(TRANSFERS)
    assert seen["rtpevent"] >= 20 * len(TRANSFERS)
    assert evening.passed >= len(TRANSFERS)
