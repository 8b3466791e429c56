"""TFTP: the machine alone, and transfers over real sockets."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections import deque
from collections.abc import Callable

import pytest

from provisioner.errors import PeerError
from provisioner.front import tftp
from tests.front.harness import Front
from tests.phones.samples import AGENTS, MODELS

POLYCOM = next(iter(MODELS))


def request(name: str, mode: str = "octet", *options: str) -> bytes:
    return b"\0\1" + b"".join(part.encode() + b"\0" for part in (name, mode, *options))


def ack(number: int) -> bytes:
    return struct.pack("!HH", tftp.ACK, number)


def test_requests() -> None:
    assert tftp.parse_request(request("a.cfg", "OCTET", "BlkSize", "1428", "tsize", "0")) == (
        tftp.RRQ,
        "a.cfg",
        "octet",
        {"blksize": "1428", "tsize": "0"},
    )
    assert tftp.parse_request(b"\0\2a.log\0netASCII\0") == (tftp.WRQ, "a.log", "netascii", {})


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"", tftp.ILLEGAL),
        (b"\0\1", tftp.ILLEGAL),
        (b"\0\1a\0octet", tftp.ILLEGAL),
        (b"\0\1a\0", tftp.ILLEGAL),
        (b"\0\1\xff\0octet\0", tftp.ILLEGAL),
        (request("a", "mail"), tftp.ILLEGAL),
        (request("a" * 600), tftp.ILLEGAL),
        (b"\0\4\0\1" + b"\0", tftp.ILLEGAL),
    ],
)
def test_what_is_no_read_request(packet: bytes, code: int) -> None:
    with pytest.raises(PeerError) as caught:
        tftp.parse_request(packet)
    assert caught.value.status == code


def sending(data: bytes, **options: str) -> tftp.Sending:
    return tftp.Sending(tftp.Memory(data), options, 0.0)


class Client:
    """Takes a file as RFC 7440 has it: answers each window, and each gap once."""

    def __init__(self, machine: tftp.Sending, block: int, window: int) -> None:
        self.machine, self.block, self.window = machine, block, window
        self.data, self.number, self.since = b"", 0, 0

    def take(self, packet: bytes) -> list[bytes]:
        operation, number = struct.unpack_from("!HH", packet)
        if operation == tftp.OACK:
            return self.machine.receive(ack(0), 0.0)
        assert operation == tftp.DATA
        if number != (self.number + 1) & 0xFFFF:
            self.since = 0
            return self.machine.receive(ack(self.number & 0xFFFF), 0.0)
        self.number += 1
        self.data += packet[4:]
        self.since += 1
        if self.since < self.window and len(packet) - 4 == self.block:
            return []
        self.since = 0
        return self.machine.receive(ack(number), 0.0)

    def run(self, lost: Callable[[], bool] = lambda: False) -> bytes:
        """Until the transfer is done; a packet is lost when `lost` says so."""
        ways = deque(self.machine.start(0.0))
        while not self.machine.done:
            if not ways:
                ways.extend(self.machine.expired(self.machine.deadline))
            elif not lost():
                ways.extend(self.take(ways.popleft()))
            else:
                ways.popleft()
        return self.data


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 70_000 * 8])
@pytest.mark.parametrize("block", [8, 512, 1468])
@pytest.mark.parametrize("window", [1, 4, 32])
def test_every_size_arrives(size: int, block: int, window: int) -> None:
    data = bytes(index % 251 for index in range(size))
    machine = sending(data, blksize=str(block), windowsize=str(window))
    client = Client(machine, block, window)
    assert (client.run() == data, machine.complete) == (True, True)
    assert client.number == size // block + 1


@pytest.mark.parametrize("window", [1, 2, 16])
@pytest.mark.parametrize("seed", range(20))
def test_what_is_lost_comes_again(seed: int, window: int) -> None:
    data = bytes(random.Random(seed).randrange(256) for _ in range(20_000))
    machine = sending(data, windowsize=str(window))
    dice = random.Random(seed)
    got = Client(machine, 512, window).run(lambda: dice.random() < 0.1)
    assert got == data


def test_a_file_that_shrinks_is_not_taken_for_whole() -> None:
    shrunk = tftp.Memory(b"x" * 700)
    shrunk.size = 5000
    machine = tftp.Sending(shrunk, {}, 0.0)
    machine.start(0.0)
    (packet,) = machine.receive(ack(1), 0.0)
    assert packet[:4] == struct.pack("!HH", tftp.ERROR, tftp.UNDEFINED)
    assert (machine.done, machine.complete) == (True, False)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, None),
        ({"unknown": "1", "blksize": "4"}, None),
        ({"blksize": "65464"}, {"blksize": "1468"}),
        ({"blksize": "65465", "timeout": "0", "tsize": "0"}, {"tsize": "600"}),
        ({"timeout": "256"}, None),
        ({"timeout": "3", "windowsize": "8"}, {"timeout": "3", "windowsize": "8"}),
        ({"windowsize": "65535"}, {"windowsize": "32"}),
        ({"windowsize": "0"}, None),
        ({"blksize": "9" * 400}, None),
    ],
)
def test_options(options: dict[str, str], answer: dict[str, str] | None) -> None:
    (first,) = sending(b"x" * 600, **options).start(0.0)
    if answer is None:
        assert first == b"\0\3\0\1" + b"x" * 512
    else:
        fields = first[2:].decode().split("\0")[:-1]
        assert (first[:2], dict(zip(fields[::2], fields[1::2], strict=True))) == (b"\0\6", answer)


@pytest.mark.parametrize("window", ["1", "4"])
def test_duplicates_never_cause_a_resend(window: str) -> None:
    machine = sending(b"x" * 9000, windowsize=window)
    machine.start(0.0)
    size = int(window)
    assert len(machine.receive(ack(0), 0.0)) == size
    assert machine.receive(ack(0), 0.0) == []
    assert len(machine.receive(ack(size), 0.0)) == size
    assert machine.receive(ack(size), 0.0) == []
    assert machine.receive(ack(size - 1), 0.0) == []
    assert machine.receive(ack(2 * size + 1), 0.0) == []  # was not sent yet
    assert machine.receive(b"\0", 0.0) == []


def test_a_gap_in_a_window_goes_on_from_the_gap() -> None:
    machine = sending(b"x" * 9000, windowsize="4")
    machine.start(0.0)
    machine.receive(ack(0), 0.0)
    assert [packet[2:4] for packet in machine.receive(ack(2), 0.0)] == [b"\0\3", b"\0\4", b"\0\5", b"\0\6"]
    assert machine.receive(ack(2), 0.0) == []


def test_resends_with_growing_pauses_then_gives_up() -> None:
    machine = sending(b"x")
    first = machine.start(100.0)
    times = []
    while not machine.done:
        assert machine.expired(machine.deadline - 0.001) == []
        times.append(machine.deadline)
        assert machine.expired(machine.deadline) in (first, [])
    assert times == [101.0, 103.0, 107.0, 115.0, 131.0, 163.0]
    assert machine.complete is False


def test_the_clients_own_timeout() -> None:
    machine = sending(b"x", timeout="5")
    machine.start(0.0)
    assert machine.deadline == 5.0


def test_the_client_gives_up() -> None:
    machine = sending(b"x")
    machine.start(0.0)
    assert machine.receive(tftp.error(tftp.UNDEFINED, "enough"), 0.0) == []
    assert (machine.done, machine.complete, machine.expired(99.0)) == (True, False, [])


def test_the_client_sends_something_else() -> None:
    machine = sending(b"x")
    machine.start(0.0)
    (answer,) = machine.receive(b"\0\3\0\1x", 0.0)
    assert answer[:4] == b"\0\5\0\4"
    assert machine.done


def block(number: int, data: bytes) -> bytes:
    return struct.pack("!HH", tftp.DATA, number & 0xFFFF) + data


def test_a_write() -> None:
    machine = tftp.Receiving({}, 10_000, 0.0)
    assert machine.start(0.0) == [ack(0)]
    assert machine.receive(block(1, b"a" * 512), 0.0) == [ack(1)]
    assert machine.receive(block(1, b"a" * 512), 0.0) == [ack(1)]  # our answer was lost
    assert machine.receive(block(3, b"b" * 512), 0.0) == []
    assert machine.receive(block(2, b"b"), 0.0) == []
    assert machine.data == b"a" * 512 + b"b"
    assert machine.receive(block(2, b"b"), 0.0) == []  # not before it is kept
    assert machine.stored(1.0) == [ack(2)]
    assert machine.receive(block(2, b"b"), 2.0) == [ack(2)]
    assert (machine.complete, machine.done) == (True, False)
    while not machine.done:
        assert machine.expired(machine.deadline) in ([], [ack(2)])


def test_a_write_in_windows() -> None:
    machine = tftp.Receiving({"blksize": "8", "windowsize": "3"}, 1000, 0.0)
    assert machine.start(0.0) == [b"\0\6blksize\x008\0windowsize\x003\0"]
    assert machine.receive(block(1, b"a" * 8), 0.0) == []
    assert machine.receive(block(3, b"c" * 8), 0.0) == [ack(1)]  # a gap: what has come
    assert machine.receive(block(4, b"d" * 8), 0.0) == []  # said once
    for number, letter in enumerate("bcd", 2):
        machine.receive(block(number, letter.encode() * 8), 0.0)
    assert machine.receive(block(5, b""), 0.0) == []
    assert machine.data == b"a" * 8 + b"b" * 8 + b"c" * 8 + b"d" * 8


def test_a_write_rolls_over() -> None:
    machine = tftp.Receiving({"blksize": "8"}, 1 << 20, 0.0)
    machine.start(0.0)
    for number in range(1, 70_000):
        assert machine.receive(block(number, b"12345678"), 0.0) == [ack(number & 0xFFFF)]
    machine.receive(block(70_000, b""), 0.0)
    assert machine.data == b"12345678" * 69_999


@pytest.mark.parametrize("options", [{"tsize": "1001"}, {}])
def test_a_write_has_a_limit(options: dict[str, str]) -> None:
    machine = tftp.Receiving(options, 1000, 0.0)
    packets = machine.start(0.0)
    if not options:
        assert machine.receive(block(1, b"x" * 512), 0.0) == [ack(1)]
        packets = machine.receive(block(2, b"x" * 512), 0.0)
    assert packets[0][:4] == struct.pack("!HH", tftp.ERROR, tftp.FULL)
    assert (machine.done, machine.data) == (True, None)


def test_a_writer_that_goes_away_or_sends_something_else() -> None:
    machine = tftp.Receiving({}, 1000, 0.0)
    machine.start(0.0)
    assert machine.receive(tftp.error(0, "enough"), 0.0) == []
    assert (machine.done, machine.data) == (True, None)
    machine = tftp.Receiving({}, 1000, 0.0)
    machine.start(0.0)
    assert machine.receive(ack(1), 0.0)[0][:4] == struct.pack("!HH", tftp.ERROR, tftp.ILLEGAL)


@pytest.mark.parametrize("text", [b"", b"a\nb\n", b"\r\r\n\n\r", b"\0a"])
def test_netascii(text: bytes) -> None:
    there = tftp.to_netascii(text)
    assert tftp.from_netascii(there) == text
    assert b"\n" not in there.replace(b"\r\n", b"")


def fetch(front: Front, name: str, *options: str, mode: str = "octet") -> tuple[bytes | int, set[int]]:
    """A client with one socket: the file or the error code, and the ports that it came from."""
    data, ports = b"", set()
    size = next(
        (int(value) for key, value in zip(options[::2], options[1::2], strict=True) if key == "blksize"), 512
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(request(name, mode, *options), ("127.0.0.1", front.tftp_port))
        while True:
            packet, peer = sock.recvfrom(2048)
            ports.add(peer[1])
            operation, number = struct.unpack_from("!HH", packet)
            if operation == tftp.ERROR:
                return number, ports
            if operation == tftp.OACK:
                sock.sendto(ack(0), peer)
                continue
            data += packet[4:]
            sock.sendto(ack(number), peer)
            if len(packet) - 4 < size:
                return data, ports


@pytest.mark.parametrize("options", [(), ("blksize", "1024", "tsize", "0")])
def test_a_phone_fetches_its_file(front: Front, options: tuple[str, ...]) -> None:
    expected = b""
    for mac, name in zip(
        MODELS, (f"{POLYCOM}-line.cfg", "001565000102.cfg", "cfg000b82000103.xml"), strict=True
    ):
        data, ports = fetch(front, name, *options)
        assert isinstance(data, bytes)
        assert f"secret{mac}".encode() in data
        assert len(ports) == 1
        assert ports != {front.tftp_port}
        expected += data
    rows = front.journal.of("requests")
    assert [(row["method"], row["status"], row["rule"]) for row in rows] == [("TFTP", 200, "adopted")] * 3
    assert sum(row["bytes"] for row in rows) == len(expected)


@pytest.mark.parametrize(
    ("name", "code"),
    [("nothing.txt", tftp.NOT_FOUND), (f"{POLYCOM}-phone.cfg", tftp.NOT_FOUND), ("../x", tftp.NOT_FOUND)],
)
def test_what_there_is_not(front: Front, name: str, code: int) -> None:
    assert fetch(front, name)[0] == code


def test_without_an_inventory(front: Front) -> None:
    front.lookup.renderer = None
    assert fetch(front, f"{POLYCOM}.cfg")[0] == tftp.DENIED


def test_a_file_in_netascii(front: Front) -> None:
    data, _ = fetch(front, f"{POLYCOM}-line.cfg")
    text, _ = fetch(front, f"{POLYCOM}-line.cfg", mode="netascii")
    assert isinstance(data, bytes)
    assert text == data.replace(b"\n", b"\r\n")


def put(front: Front, name: str, data: bytes) -> bytes:
    """A client that writes; the last packet that it got."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"\0\2" + name.encode() + b"\0octet\0", ("127.0.0.1", front.tftp_port))
        packet, peer = sock.recvfrom(2048)
        for at in range(0, len(data) + 1, 512):
            if packet[:2] == b"\0\5":
                return packet
            assert packet == ack(at // 512)
            sock.sendto(block(at // 512 + 1, data[at : at + 512]), peer)
            packet = sock.recv(2048)
        return packet


def test_a_log_is_written(front: Front) -> None:
    log = b"0101|so|started\n" * 100
    assert put(front, f"logs/{POLYCOM}-app.log", log) == ack(len(log) // 512 + 1)
    assert (front.folder / "uploads" / POLYCOM / f"{POLYCOM}-app.log").read_bytes() == log
    row = front.journal.of("requests")[-1]
    assert (row["method"], row["status"], row["rule"], row["bytes"]) == ("TFTP PUT", 201, "upload", 1600)


@pytest.mark.parametrize(
    "name", [f"{POLYCOM}-line.cfg", "0004f2000199-app.log", "../../etc/passwd", "new.txt"]
)
def test_nothing_else_is_written(front: Front, name: str) -> None:
    assert put(front, name, b"x")[:2] == b"\0\5"
    assert not (front.folder / "uploads").exists()
    assert front.journal.of("requests")[-1]["method"] == "TFTP PUT"


def test_a_log_that_cannot_be_written(front: Front) -> None:
    (front.folder / "uploads").write_text("a file in the place of the folder")
    assert put(front, f"{POLYCOM}-app.log", b"x")[:4] == struct.pack("!HH", tftp.ERROR, tftp.FULL)


def test_a_write_is_refused(front: Front) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"\0\2a\0octet\0", ("127.0.0.1", front.tftp_port))
        assert sock.recv(2048)[:4] == struct.pack("!HH", tftp.ERROR, tftp.NOT_FOUND)


def test_one_address_has_a_few_transfers_at_once(front: Front) -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(9)]
    answers = []
    for sock in sockets:
        sock.settimeout(10)
        sock.sendto(request(f"{POLYCOM}-line.cfg"), ("127.0.0.1", front.tftp_port))
        answers.append(sock.recvfrom(2048)[0][:2])
    assert answers == [b"\0\3"] * 8 + [b"\0\5"]
    for sock in sockets:
        sock.close()


def test_who_closes_its_port_is_forgotten(front: Front) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(request(f"{POLYCOM}-line.cfg"), ("127.0.0.1", front.tftp_port))
        _, peer = sock.recvfrom(2048)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:  # nobody else is heard on that port
        other.sendto(tftp.error(0, "stop"), peer)
    assert front.call(lambda: len(front.tftp._transfers)) == 1


@pytest.mark.peer("curl")
@pytest.mark.parametrize("size", ["512", "1468"])
def test_curl(front: Front, size: str) -> None:
    url = f"tftp://127.0.0.1:{front.tftp_port}/{POLYCOM}-line.cfg"
    done = subprocess.run(
        ["curl", "-s", "-m", "10", "--tftp-blksize", size, url], capture_output=True, check=True
    )
    http = subprocess.run(
        ["curl", "-s", "-A", AGENTS[POLYCOM], f"http://127.0.0.1:{front.http}/{POLYCOM}-line.cfg"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == http.stdout
