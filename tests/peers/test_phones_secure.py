"""baresip and linphone as desk phones over UDP, TCP, and TLS with SRTP: they call each other and hear each other.

Both are given the authority in the appliance's state directory. The link to their network namespace is a good one:
linphone registers only where a route leads out.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.peers import audio
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip, needs_srtp
from tests.peers.capture import Capture, datagrams, judge, media_ports, needs_capture
from tests.peers.link import Impairment, Link, needs_link
from tests.peers.linphone import Linphone
from tests.peers.wait import until

pytestmark = [
    pytest.mark.peer("linphonec"),
]

ONE, OTHER = 440, 700  # Hz
PLAIN, ENCRYPTED = 0.9, 0.1  # share of a tone in what is read as PCMU: more, less


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    needs_capture()
    needs_srtp()
    needs_link()
    with Link(Impairment()) as link:
        yield link


@pytest.fixture(scope="module")
def appliance(link: Link, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with Appliance(tmp_path_factory.mktemp("phones"), link=link) as appliance:
        yield appliance


@dataclass(frozen=True)
class Setup:
    """A make of phone, its transport, and who it calls or is called by."""

    make: type[Baresip] | type[Linphone]
    transport: str

    @property
    def secure(self) -> bool:
        """Whether it insists on SRTP, as it is to over TLS."""
        return self.transport == "tls"

    def start(self, directory: Path, appliance: Appliance, extension: str, hertz: int) -> Baresip | Linphone:
        """A phone with the account in its file."""
        account, host = appliance.account(DEMO[extension]), appliance.new_host()
        if self.secure:
            account = replace(account, port=appliance.tls_port)
        ca, enter = appliance.authority, appliance.enter
        if self.make is Linphone:
            return Linphone(directory, account, host, hertz, self.transport, self.secure, ca, enter)
        media = "audio_codecs=PCMU" + ";mediaenc=srtp-mand" * self.secure
        return Baresip(directory, account, host, hertz, self.transport, media, enter, ca)


SETUPS = [
    *((Setup(Baresip, transport), Setup(Linphone, transport)) for transport in ("udp", "tcp", "tls")),
    (Setup(Linphone, "tls"), Setup(Linphone, "tls")),
    (Setup(Baresip, "tls"), Setup(Baresip, "tls")),
    (Setup(Linphone, "tls"), Setup(Baresip, "udp")),
    (Setup(Linphone, "udp"), Setup(Baresip, "tls")),
]


def name_of(pair: tuple[Setup, Setup]) -> str:
    return " ".join(f"{setup.make.__name__.lower()}-{setup.transport}" for setup in pair)


@pytest.mark.parametrize("first_calls", [True, False], ids=["calls", "is-called"])
@pytest.mark.parametrize("pair", SETUPS, ids=name_of)
def test_two_phones_hear_each_other(
    appliance: Appliance, tmp_path: Path, pair: tuple[Setup, Setup], first_calls: bool
) -> None:
    with ExitStack() as stack:
        capture = stack.enter_context(Capture(tmp_path, appliance))
        phones = []
        for setup, extension, hertz in zip(pair, ("101", "102"), (ONE, OTHER), strict=True):
            phones.append(stack.enter_context(setup.start(tmp_path / extension, appliance, extension, hertz)))
        for setup, extension in zip(pair, ("101", "102"), strict=True):
            contact(appliance, extension, setup.transport)
        calling = phones[0] if first_calls else phones[1]
        calling.dial("102" if first_calls else "101")
        for phone in phones:
            phone.talks()
        phones[0].hears(OTHER)
        phones[1].hears(ONE)
        phones[0].hang_up()
        for phone in phones:
            phone.ended()
        until(lambda: not appliance.calls(), "no call is left", tail=appliance.tail)
    on_the_wire(capture, appliance, [setup.secure for setup in pair])


def test_another_authority_is_not_trusted(appliance: Appliance, tmp_path: Path) -> None:
    """linphone does check: with the authorities of the web it does not even send its REGISTER."""
    account = replace(appliance.account(DEMO["103"]), port=appliance.tls_port)
    others = Path("/usr/share/linphone/rootca.pem")
    assert others.exists()
    host = appliance.new_host()
    with Linphone(tmp_path / "103", account, host, ONE, "tls", True, others, appliance.enter) as phone:
        phone.distrusts()
    rows = appliance.edge.call("status")["registrations"]
    assert "103" not in [row["extension"] for row in rows]


def contact(appliance: Appliance, extension: str, transport: str) -> None:
    """Wait until a phone is registered, over the transport that it was told to use."""

    def rows() -> list[str]:
        found = appliance.edge.call("status")["registrations"]
        return [row["contact"] for row in found if row["extension"] == extension]

    (found,) = until(rows, f"{extension} is registered", 15, appliance.tail)
    assert transport == "udp" or f"transport={transport}" in found.lower()


def on_the_wire(capture: Capture, appliance: Appliance, secure: list[bool]) -> None:
    """The tones can be read off the wire where SDP is in the clear, and nowhere else; tshark finds nothing wrong."""
    plain, seen_streams = media_ports(capture.path), streams(capture.path)
    shares: dict[bool, list[float]] = {True: [], False: []}
    for ports, heard in seen_streams.items():
        middle = heard[len(heard) // 4 :][: audio.RATE // 2]
        shares[not plain.intersection(ports)].append(
            max(audio.share(middle, hertz) for hertz in (ONE, OTHER))
        )
    assert [len(shares[True]), len(shares[False])] == [2 * secure.count(True), 2 * secure.count(False)]
    assert max(shares[True], default=0.0) < ENCRYPTED
    assert min(shares[False], default=1.0) > PLAIN
    hidden = set().union(*seen_streams) - plain
    seen = judge(capture.path, [appliance.port], hidden, appliance.tls_port)
    assert seen["rtp"] >= 150
    assert (seen["tls"] > 0, seen["sip"] > 0) == (any(secure), not all(secure))


def streams(path: Path) -> dict[tuple[int, int], array]:
    """By ports: each direction of each leg, read as PCMU whatever it is."""
    payloads: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for _, source, target, data in datagrams(path.read_bytes()):
        if len(data) >= 172 and data[0] == 0x80 and data[1] & 0x7F == 0:
            payloads[source[1], target[1]].append(data[12:172])
    return {ports: audio.decode(b"".join(found)) for ports, found in payloads.items()}
