"""What went over the wire: captured by tcpdump, read by hand for its sound, and judged by tshark."""

import re
import shutil
import signal
import socket
import struct
import subprocess
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from tests.conftest import needs, without
from tests.peers import audio
from tests.peers.appliance import Appliance
from tests.peers.wait import until

EVENT = 101  # payload type of telephone-event in all offers here and in sipp's captures
ERROR = 8388608  # tshark's PI_ERROR

Address = tuple[str, int]


def needs_capture() -> None:
    """Skip where nobody may capture, or send from raw sockets as sipp does with its captures."""
    needs("sipp", "baresip", "tcpdump", "tshark")
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        without("root, or CAP_NET_RAW")


class Heard:
    """The RTP that one address received, in the order of its coming."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.packets: list[bytes] = []

    def add(self, time: float, packet: bytes) -> None:
        self.times.append(time)
        self.packets.append(packet)

    def audio(self, since: float = 0.0, until: float = float("inf")) -> array:
        """The PCMU of a while, packet after packet. Seconds since 1970."""
        first, last = bisect_left(self.times, since), bisect_left(self.times, until)
        return audio.decode(b"".join(p[12:] for p in self.packets[first:last] if p[1] & 0x7F == 0))

    def events(self, since: float, until: float) -> list[str]:
        """The keys heard as telephone-events in a while, each press once."""
        first, last = bisect_left(self.times, since), bisect_left(self.times, until)
        presses = {(p[4:12], p[12]) for p in self.packets[first:last] if p[1] & 0x7F == EVENT}
        return ["0123456789*#"[code] for _, code in sorted(presses)]


class Capture:
    """All packets from and to an appliance, while it is open; of its TCP its own ports' and that with `cores`.
    What `others` send and receive as well: they speak to parties themselves.
    """

    def __init__(
        self, directory: Path, appliance: Appliance, cores: Sequence[str] = (), others: Sequence[str] = ()
    ) -> None:
        self.path = directory / "wire.pcap"
        self._log = directory / "tcpdump.log"
        self._hosts = [appliance.host, *others]
        program = shutil.which("tcpdump")
        assert program
        device = ["-i", appliance.device]
        command = [program, *device, "-U", "--immediate-mode", "-Z", "root", "-s", "0", "-B", "8192"]
        which = " or ".join(
            [
                "udp",
                *(f"tcp port {port}" for port in (appliance.port, appliance.tls_port)),
                *(f"(tcp and host {core})" for core in cores),
            ]
        )
        hosts = " or ".join(f"host {host}" for host in self._hosts)
        command += ["-w", str(self.path), f"({hosts}) and ({which})"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        until(lambda: "listening on" in self._log.read_text(), "tcpdump listens", 10, self._log.read_text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Write all that was seen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)

    def heard(self) -> dict[Address, Heard]:
        """By the address that received: all RTP that the appliance sent, and the others."""
        by_address: dict[Address, Heard] = defaultdict(Heard)
        senders = {socket.inet_aton(host) for host in self._hosts}
        for time, source, destination, payload in datagrams(self.path.read_bytes()):
            if (
                source[0] in senders
                and len(payload) > 12
                and payload[0] == 0x80
                and payload[1] & 0x7F in (0, EVENT)
            ):
                by_address[socket.inet_ntoa(destination[0]), destination[1]].add(time, payload)
        return by_address


def media_ports(path: Path) -> set[int]:
    """All ports that an SDP in a capture named."""
    return {int(port) for port in re.findall(rb"^m=audio (\d+)", path.read_bytes(), re.M)} - {0}


def datagrams(data: bytes) -> Iterable[tuple[float, tuple[bytes, int], tuple[bytes, int], bytes]]:
    """Time, source, destination and payload of each UDP datagram of a pcap file of Ethernet frames over IPv4."""
    at = 24
    while at + 16 <= len(data):
        seconds, microseconds, length, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = 14 + (frame[14] & 0x0F) * 4
        source, destination = struct.unpack_from("!HH", frame, udp)
        yield (
            seconds + microseconds / 1e6,
            (frame[26:30], source),
            (frame[30:34], destination),
            frame[udp + 8 :],
        )


def record(path: Path, packets: Iterable[tuple[int, bytes]]) -> None:
    """A capture of our own: UDP payloads with their destination port, 20 ms apart, from and to 127.0.0.1."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, (port, payload) in enumerate(packets):
            udp = struct.pack("!HHHH", port, port, 8 + len(payload), 0)
            total = 28 + len(payload)
            ip = struct.pack("!BBHHHBBHII", 0x45, 0, total, 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001)
            frame = bytes(12) + b"\x08\x00" + ip + udp + payload
            seconds, microseconds = divmod(number * 20_000, 1_000_000)
            file.write(struct.pack("<IIII", seconds, microseconds, len(frame), len(frame)) + frame)


def judge(path: Path, sip_ports: Iterable[int], srtp: Iterable[int] = (), tls: int = 0) -> Counter[str]:
    """How many packets of each protocol tshark found in a capture. Fails with what it found wrong.

    `srtp`: ports that no readable SDP names, whose RTCP nobody can read; `tls`: the port of SIP over TLS.
    """
    program = shutil.which("tshark")
    assert program
    command = [program, "-n", "-r", str(path), "-o", f"rtpevent.event_payload_type_value:{EVENT}"]
    for port in sorted(media_ports(path)):
        command += ["-d", f"udp.port=={port},rtp", "-d", f"udp.port=={port + 1},rtcp"]
    for port in srtp:
        command += ["-d", f"udp.port=={port},rtp"]
    if tls:
        command += ["-d", f"tcp.port=={tls},tls"]
    for port in sip_ports:
        command += ["-d", f"udp.port=={port},sip", "-d", f"tcp.port=={port},sip"]
    fields = ["frame.number", "frame.protocols", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"]
    command += ["-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    protocols: Counter[str] = Counter()
    wrong = []
    for line in done.stdout.splitlines():
        _, stack, malformed, severities, _ = line.split("\t")
        protocols.update(set(stack.split(":")))
        if malformed or "_ws.malformed" in stack or str(ERROR) in severities.split(","):
            wrong.append(line)
    assert not wrong, f"{len(wrong)} packets that tshark finds wrong:\n" + "\n".join(wrong[:20])
    return protocols
