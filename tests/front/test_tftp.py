"""TFTP: the machine alone, and transfers over real sockets."""

from __future__ import annotations

import socket
import struct
import subprocess

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
        "a.cfg",
        {"blksize": "1428", "tsize": "0"},
    )


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"", tftp.ILLEGAL),
        (b"\0\1", tftp.ILLEGAL),
        (b"\0\1a\0octet", tftp.ILLEGAL),
        (b"\0\1a\0", tftp.ILLEGAL),
        (b"\0\1\xff\0octet\0", tftp.ILLEGAL),
        (request("a", "netascii"), tftp.ILLEGAL),
        (request("a" * 600), tftp.ILLEGAL),
        (b"\0\2a\0octet\0", tftp.DENIED),
        (b"\0\4\0\1" + b"\0", tftp.ILLEGAL),
    ],
)
def test_what_is_no_read_request(packet: bytes, code: int) -> None:
    with pytest.raises(PeerError) as caught:
        tftp.parse_request(packet)
    assert caught.value.status == code


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 70_000 * 8])
@pytest.mark.parametrize("block", [8, 512, 1468])
def test_every_size_arrives(size: int, block: int) -> None:
    data = bytes(index % 251 for index in range(size))
    machine = tftp.Transfer(data, {"blksize": str(block)}, 0.0)
    packet: bytes | None = machine.start(0.0)
    assert packet == b"\0\6blksize\0" + str(block).encode() + b"\0"
    received, number = b"", 0
    packet = machine.receive(ack(0), 0.0)
    while packet:
        number += 1
        assert packet[:4] == struct.pack("!HH", tftp.DATA, number & 0xFFFF)
        received += packet[4:]
        packet = machine.receive(ack(number & 0xFFFF), 0.0)
    assert (received == data, machine.done, machine.complete) == (True, True, True)
    assert number == size // block + 1


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, None),
        ({"unknown": "1", "blksize": "4"}, None),
        ({"blksize": "65464"}, {"blksize": "1468"}),
        ({"blksize": "65465", "timeout": "0", "tsize": "0"}, {"tsize": "600"}),
        ({"timeout": "256"}, None),
        ({"timeout": "3", "windowsize": "8"}, {"timeout": "3"}),
    ],
)
def test_options(options: dict[str, str], answer: dict[str, str] | None) -> None:
    first = tftp.Transfer(b"x" * 600, options, 0.0).start(0.0)
    if answer is None:
        assert first == b"\0\3\0\1" + b"x" * 512
    else:
        fields = first[2:].decode().split("\0")[:-1]
        assert (first[:2], dict(zip(fields[::2], fields[1::2], strict=True))) == (b"\0\6", answer)


def test_duplicates_never_cause_a_resend() -> None:
    machine = tftp.Transfer(b"x" * 2000, {}, 0.0)
    machine.start(0.0)
    assert machine.receive(ack(1), 0.0)
    assert machine.receive(ack(1), 0.0) is None
    assert machine.receive(ack(0), 0.0) is None
    assert machine.receive(b"\0", 0.0) is None


def test_resends_with_growing_pauses_then_gives_up() -> None:
    machine = tftp.Transfer(b"x", {}, 100.0)
    first = machine.start(100.0)
    times = []
    while not machine.done:
        assert machine.expired(machine.deadline - 0.001) is None
        times.append(machine.deadline)
        assert machine.expired(machine.deadline) in (first, None)
    assert times == [101.0, 103.0, 107.0, 115.0, 131.0, 163.0]
    assert machine.complete is False


def test_the_clients_own_timeout() -> None:
    machine = tftp.Transfer(b"x", {"timeout": "5"}, 0.0)
    machine.start(0.0)
    assert machine.deadline == 5.0


def test_the_client_gives_up() -> None:
    machine = tftp.Transfer(b"x", {}, 0.0)
    machine.start(0.0)
    assert machine.receive(tftp.error(tftp.UNDEFINED, "enough"), 0.0) is None
    assert (machine.done, machine.complete, machine.expired(99.0)) == (True, False, None)


def test_the_client_sends_something_else() -> None:
    machine = tftp.Transfer(b"x", {}, 0.0)
    machine.start(0.0)
    answer = machine.receive(b"\0\3\0\1x", 0.0)
    assert answer
    assert answer[:4] == b"\0\5\0\4"
    assert machine.done


def fetch(front: Front, name: str, *options: str) -> tuple[bytes | int, set[int]]:
    """A client with one socket: the file or the error code, and the ports that it came from."""
    data, ports = b"", set()
    size = next(
        (int(value) for key, value in zip(options[::2], options[1::2], strict=True) if key == "blksize"), 512
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(request(name, "octet", *options), ("127.0.0.1", front.tftp_port))
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


def test_a_write_is_refused(front: Front) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b"\0\2a\0octet\0", ("127.0.0.1", front.tftp_port))
        assert sock.recv(2048)[:4] == struct.pack("!HH", tftp.ERROR, tftp.DENIED)


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
