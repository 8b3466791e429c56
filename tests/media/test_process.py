"""The media process as it runs: real sockets on loopback, an independent eye on its packets."""

import json
import socket
import subprocess
import sys
from base64 import b64encode
from random import Random

import pytest

from provisioner import ipc
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.media import prompts
from provisioner.media.digits import DigitSender
from provisioner.media.process import PORTS, Process, main
from provisioner.media.rtp import Packet, build, parse
from provisioner.paths import StateDir
from tests.media.test_srtp import KEYS, Phone

SERVE = (
    "import sys; from provisioner.media.process import main; from provisioner.paths import StateDir; "
    "sys.exit(main(StateDir(__import__('pathlib').Path(sys.argv[1]))))"
)
HOST = "127.0.0.1"


class Control:
    """A blocking client of the control socket."""

    def __init__(self, path):
        self.sock = ipc.connect_unix(path, timeout=20)
        self.lines, self.held, self.number = ipc.Lines(), [], 0

    def next(self, wanted):
        while True:
            for message in self.held:
                if wanted(message):
                    self.held.remove(message)
                    return message
            data = self.sock.recv(65536)
            assert data, "media hung up"
            self.held += self.lines.feed(data)

    def call(self, call, **args):
        self.number += 1
        self.sock.sendall(ipc.encode({"id": self.number, "call": call, "args": args}))
        return self.next(lambda message, n=self.number: message.get("id") == n)

    def ok(self, call, **args):
        return self.call(call, **args)["ok"]

    def event(self, name):
        return self.next(lambda message: message.get("event") == name)["data"]

    def close(self):
        self.sock.close()


class Party:
    """A telephone: one UDP socket."""

    def __init__(self, host=HOST):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.settimeout(20)
        self.host = host
        self.address = self.sock.getsockname()[:2]

    def send(self, data, port):
        self.sock.sendto(data, (self.host, port))

    def close(self):
        self.sock.close()


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return StateDir.create(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def media(state):
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(state.root)])
    while True:
        try:
            ipc.ask(state.socket("media"), "ping", timeout=20)
            break
        except ipc.Gone:
            assert process.poll() is None, "media ended at its start"
    yield process
    process.terminate()
    assert process.wait(20) == 0


@pytest.fixture
def control(media, state):
    client = Control(state.socket("media"))
    client.ok("subscribe")
    yield client
    for leg in "ab":
        client.call("drop", leg=leg)
    client.close()


@pytest.fixture
def parties():
    both = Party(), Party()
    yield both
    for party in both:
        party.close()


def test_ping(media, control):
    reply = control.ok("ping")
    assert reply["pid"] == media.pid
    assert reply["uptime"] >= 0


def test_a_call_from_opening_to_statistics(control, parties):
    ports = [control.ok("open", leg=leg, host=HOST)["port"] for leg in "ab"]
    assert set(ports) <= set(PORTS)
    a, b = parties
    control.ok("put", leg="a", remote=a.address, event_in=101, event_out=101, source={"leg": "b"}, take="*")
    control.ok("put", leg="b", remote=b.address, event_in=96, event_out=96, source={"leg": "a"})
    for n in range(5):
        a.send(build(Packet(0, False, n, n * 160, 7, b"hello")), ports[0])
        data, source = b.sock.recvfrom(2048)
        assert source == (HOST, ports[1])
        assert parse(data) == Packet(0, n == 0, n, n * 160, 7, b"hello")
    for digit, sequence in (("*", 100), ("5", 200)):
        for data in DigitSender(digit, 101, 7, sequence, sequence * 160, 0).packets(1):
            a.send(data, ports[0])
    assert control.event("digit") == {"leg": "a", "digit": "*", "source": "rfc4733"}
    heard = [parse(b.sock.recv(2048)) for _ in range(12)]  # silence in the place of the star
    assert [packet.payload[0] for packet in heard if packet.payload_type == 96] == [5] * 7
    stats = control.ok("stats", leg="a")
    assert (stats["packets_in"], stats["digits"], stats["strangers"]) == (19, 2, 0)
    assert control.ok("drop", leg="a")["packets_in"] == 19
    assert control.ok("drop", leg="b")["packets_out"] == 17
    assert "no leg 'a'" in control.call("stats", leg="a")["error"]


def test_rtcp_has_the_port_above(control, parties):
    a_port, b_port = (control.ok("open", leg=leg, host=HOST)["port"] for leg in "ab")
    a, b = parties
    control.ok("put", leg="a", remote=a.address)
    control.ok("put", leg="b", remote=b.address, source={"leg": "a"})
    report = bytes.fromhex("80c80006") + bytes(24)
    b.send(report, b_port + 1)  # where b's own RTCP comes from, there it goes
    control.ok("ping")
    a.send(report, a_port + 1)
    data, source = b.sock.recvfrom(2048)
    assert (data, source) == (report, (HOST, b_port + 1))


def test_what_media_plays_is_rtp_to_an_independent_decoder(control, parties):
    from scapy.layers import rtp

    control.ok("open", leg="a", host=HOST)
    a, _ = parties
    control.ok(
        "put", leg="a", remote=a.address, codec="PCMU", source={"play": ["busy-target"], "token": "end"}
    )
    audio = prompts.load("busy-target")
    packets = [rtp.RTP(a.sock.recv(2048)) for _ in range(len(audio) // 160)]
    first = packets[0]
    assert (first.version, first.padding, first.extension, first.numsync) == (2, 0, 0, 0)
    assert [p.marker for p in packets] == [1] + [0] * (len(packets) - 1)
    assert {(p.payload_type, p.sourcesync) for p in packets} == {(0, first.sourcesync)}
    assert [p.sequence for p in packets] == [first.sequence + n for n in range(len(packets))]
    assert b"".join(bytes(p.payload) for p in packets) == audio[: len(packets) * 160]
    assert control.event("played") == {"leg": "a", "token": "end"}


def test_packets_are_marked_for_expedited_forwarding(control):
    """G06; the sockets of a process in this very test, since another's options cannot be read."""
    listener = socket.socket(socket.AF_INET)
    process = Process(listener, Random(1), lambda: 0.0)
    pair = process._bind(HOST, 0)
    for sock in (pair.media, pair.control):
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
    pair.close()
    process.close()
    listener.close()


def test_taken_ports_are_passed_over():
    listener = socket.socket(socket.AF_INET)
    first = PORTS[Random(1).randrange(len(PORTS))]
    blocker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocker.bind((HOST, first + 1))
    process = Process(listener, Random(1), lambda: 0.0)
    pair = process._bind(HOST, 0)
    assert pair.port > first
    assert pair.port % 2 == 0
    for each in (pair, process, listener, blocker):
        each.close()


def test_open_again_finds_the_leg_and_a_given_port_is_kept(control):
    port = control.ok("open", leg="a", host=HOST)["port"]
    assert control.ok("open", leg="a", host=HOST, port=0) == {"port": port}
    assert "cannot open a media port" in control.call("open", leg="b", host=HOST, port=port)["error"]
    control.ok("drop", leg="a")
    assert control.ok("open", leg="b", host=HOST, port=port) == {"port": port}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"id": 1, "call": "nonsense"}, "no call 'nonsense'"),
        ({"id": 1, "call": ["open"]}, "no call"),
        ({"id": 1}, "no call None"),
        ({"id": 1, "call": "open", "args": [1]}, "not an object"),
        ({"id": 1, "call": "open", "args": {}}, "open: Object missing required field"),
        ({"id": 1, "call": "open", "args": {"leg": "a", "host": HOST, "port": 20001}}, "not an even port"),
        ({"id": 1, "call": "open", "args": {"leg": "a", "host": "192.0.2.1"}}, "cannot open a media port"),
        ({"id": 1, "call": "put", "args": {"leg": "a"}}, "no leg 'a'; open it first"),
        ({"id": 1, "call": "put", "args": {"leg": 5}}, "put: Expected `str`"),
        ({"id": 1, "call": "drop", "args": {"leg": {}}}, "no leg"),
        ({"id": 1, "call": "stats"}, "no leg"),
    ],
)
def test_bad_requests_get_one_line(control, line, words):
    control.sock.sendall(ipc.encode(line))
    assert words in control.next(lambda message: message.get("id") == 1)["error"]
    assert control.ok("ping")


@pytest.mark.parametrize("junk", [b"nonsense\n", b"[1, 2]\n", b"\xff\xfe\n"])
def test_junk_ends_only_its_own_connection(control, state, junk):
    other = Control(state.socket("media"))
    other.sock.sendall(junk)
    assert other.sock.recv(100) == b""
    other.close()
    assert control.ok("ping")


def test_requests_without_an_id_and_half_lines(control):
    control.sock.sendall(b'{"call": "ping"}\n{"call": "nonsense"}\n{"id": 9, "ca')
    control.sock.sendall(b'll": "ping"}\n')
    assert "ok" in control.next(lambda message: message["id"] == 9)
    assert control.held == []


def test_a_call_outlives_its_edge_and_is_taken_over_by_the_next(control, state, parties):
    edge = Control(state.socket("media"))
    ports = [edge.ok("open", leg=leg, host=HOST)["port"] for leg in "ab"]
    a, b = parties
    edge.ok("put", leg="a", remote=a.address)
    edge.ok("put", leg="b", remote=b.address, source={"leg": "a"})
    edge.close()
    a.send(build(Packet(0, False, 1, 160, 7, b"still")), ports[0])
    assert parse(b.sock.recv(2048)).payload == b"still"
    assert control.ok("open", leg="a", host=HOST, port=ports[0]) == {"port": ports[0]}


def test_many_events_to_one_who_does_not_read(control, state):
    """Its buffer grows, nobody waits; when it reads again, all is there and in order."""
    slow = Control(state.socket("media"))
    slow.ok("subscribe")
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for number in range(3000):
        slow.sock.sendall(json.dumps({"id": number, "call": "x" * 300}).encode() + b"\n")
    assert control.ok("ping")
    for number in range(3000):
        assert slow.next(lambda message: "id" in message)["id"] == number
    slow.close()


def test_a_control_socket_that_cannot_be_made(tmp_path):
    state = StateDir.create(tmp_path)
    state.socket("media").mkdir()
    with pytest.raises(OperatorError, match=r"cannot listen at .*media\.sock"):
        main(state)


def test_srtp_on_one_leg_rtp_on_the_other_and_a_new_key_and_port_in_mid_call(control, parties):
    """libsrtp is the phone; its key and its port change as a re-INVITE would have it."""
    ports = [control.ok("open", leg=leg, host=HOST)["port"] for leg in "ab"]
    a, b = parties
    phone = Phone(KEYS[0], KEYS[1])
    control.ok("put", leg="a", remote=a.address, srtp=phone.document, source={"leg": "b"})
    control.ok("put", leg="b", remote=b.address, source={"leg": "a"})
    moved, renewed = Party(), Phone(KEYS[2], KEYS[1])
    for n, (sock, keys) in enumerate(((a, phone), (a, phone), (moved, renewed), (moved, renewed))):
        if n == 2:
            control.ok("put", leg="a", remote=moved.address, srtp=renewed.document, source={"leg": "b"})
        packet = Packet(0, n == 0, 65534 + n & 0xFFFF, n * 160, 7, b"hello")
        sock.send(keys.out.protect(build(packet)), ports[0])
        assert parse(b.sock.recv(2048)) == packet
        b.send(build(packet), ports[1])
        assert parse(phone.back.unprotect(sock.sock.recv(2048))) == packet
    a.send(b"\x80" + bytes(40), ports[0])
    moved.send(renewed.out.protect(build(Packet(0, False, 3, 640, 7, b"last"))), ports[0])
    assert parse(b.sock.recv(2048)).payload == b"last"
    stats = control.ok("drop", leg="a")
    assert (stats["packets_in"], stats["packets_out"], stats["unauthentic"], stats["replayed"]) == (
        5,
        4,
        1,
        0,
    )
    moved.close()


def test_ipv6_on_one_leg(control, parties):
    try:
        six = Party("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    port_six, port_four = (
        control.ok("open", leg="a", host="::1")["port"],
        control.ok("open", leg="b", host=HOST)["port"],
    )
    control.ok(
        "put", leg="a", remote=["0:0:0:0:0:0:0:1", six.address[1]], source={"leg": "b"}, nets=["fe80::/10"]
    )
    control.ok("put", leg="b", remote=parties[1].address, source={"leg": "a"})
    packet = Packet(0, True, 1, 160, 7, b"hello")
    six.send(build(packet), port_six)
    assert parse(parties[1].sock.recv(2048)) == packet
    parties[1].send(build(packet), port_four)
    data, source = six.sock.recvfrom(2048)
    assert (parse(data), source[:2]) == (packet, ("::1", port_six))
    six.close()


def test_ipv6_packets_are_marked_too():
    listener = socket.socket(socket.AF_INET)
    process = Process(listener, Random(1), lambda: 0.0)
    try:
        pair = process._bind("::1", 0)
    except ProvisionerError:
        pytest.skip("this machine has no IPv6")
    finally:
        process.close()
        listener.close()
    assert pair.media.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 46 << 2
    pair.close()


def test_a_clip_is_played_by_its_name_and_info_presses_are_heard(media, control):
    party = Party()
    port = control.ok("open", leg="clip", host=HOST)["port"]
    assert port
    clip = bytes(range(1, 255)) * 4
    assert control.ok("speak", name="said-00ff", audio=b64encode(clip).decode()) == {}
    source = {"play": ["said-00ff"], "token": 7}
    control.ok("put", leg="clip", remote=list(party.address), source=source, take="all")
    heard = b"".join(parse(party.sock.recv(2000)).payload for _ in range(8))
    assert heard[: len(clip)] == clip
    assert control.event("played") == {"leg": "clip", "token": 7}
    control.ok("press", leg="clip", digit="#", milliseconds=100)
    assert control.event("digit") == {"leg": "clip", "digit": "#", "source": "info"}
    for wrong in (
        {"name": "menu", "audio": ""},
        {"name": "said-1", "audio": "AAAA" * 90_000},
        {"name": "said-1"},
    ):
        assert "speak: " in control.call("speak", **wrong)["error"]
    assert "press: " in control.call("press", leg="clip", digit="12")["error"]
    control.ok("drop", leg="clip")
    party.close()
