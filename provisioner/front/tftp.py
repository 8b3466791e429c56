"""TFTP without I/O: packets, and a transfer in either direction as a machine (RFC 1350, 2347-2349, 7440)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from provisioner.errors import PeerError

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)
UNDEFINED, NOT_FOUND, DENIED, FULL, ILLEGAL, UNKNOWN_PORT = range(6)
OCTET, NETASCII = "octet", "netascii"

DEFAULT_BLOCK = 512
MAX_BLOCK = 1468  # fills an Ethernet frame of 1,500 bytes: never fragmented
MAX_WINDOW = 32  # blocks: 47 KiB under way, less than the smallest receive buffer that was met
RESEND_SECONDS = 1.0  # doubled each time
MAX_SENDS = 6  # of one packet: gives up after 63 s
DALLY_SECONDS = 5.0  # after the last block of a write: its acknowledgement may be lost
MAX_REQUEST = 512


class Request(NamedTuple):
    """What a client wants to read (RRQ) or write (WRQ); mode and option names in lower case."""

    operation: int
    name: str
    mode: str
    options: dict[str, str]


class Source(Protocol):
    """Where a file comes from. `read` gives the bytes from `at` on; fewer than `count` at its end only."""

    @property
    def size(self) -> int: ...

    def read(self, at: int, count: int) -> bytes: ...


class Memory:
    """A source that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, at: int, count: int) -> bytes:
        """The bytes from `at` on."""
        return self._data[at : at + count]


def parse_request(packet: bytes) -> Request:
    """A read or write request. Raises PeerError whose status is the TFTP error code that it deserves."""
    wrong = PeerError("this is not a TFTP request", ILLEGAL)
    if len(packet) < 4 or len(packet) > MAX_REQUEST or not packet.endswith(b"\0"):
        raise wrong
    (operation,) = struct.unpack_from("!H", packet)
    if operation not in (RRQ, WRQ):
        raise wrong
    try:
        name, mode, *rest = packet[2:-1].decode("ascii").split("\0")
    except ValueError:
        raise wrong from None
    if mode.lower() not in (OCTET, NETASCII):
        raise PeerError("ask in octet mode", ILLEGAL)
    pairs = zip(rest[::2], rest[1::2], strict=False)
    return Request(operation, name, mode.lower(), {option.lower(): value for option, value in pairs})


def error(code: int, words: str) -> bytes:
    """An ERROR packet."""
    return struct.pack("!HH", ERROR, code) + words.encode("ascii", "replace") + b"\0"


def to_netascii(data: bytes) -> bytes:
    """Lines end in CR LF; a CR of its own is CR NUL (RFC 764)."""
    return data.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


def from_netascii(data: bytes) -> bytes:
    """The other way."""
    return data.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")


def _ack(number: int) -> bytes:
    return struct.pack("!HH", ACK, number & 0xFFFF)


class _Machine:
    """What both directions share: options, and the packets that are sent again until there is an answer.

    `deadline`: call `expired` when that time has come. `done`: nothing more will happen; `complete`: all
    arrived. Numbers of blocks go on beyond 65,535 here; on the wire they roll over to 0, as every client expects.
    """

    def __init__(self, options: Mapping[str, str], size: int | None, now: float) -> None:
        self.block = DEFAULT_BLOCK
        self.window = 1
        self.done = False
        self.complete = False
        self.deadline = now
        self._resend = RESEND_SECONDS
        self._sends = 0
        self._packets: list[bytes] = []
        self.accepted = self._negotiate(options, size)

    def _negotiate(self, options: Mapping[str, str], size: int | None) -> dict[str, str]:
        """The options that we take, as we say them; those unknown or out of range are left out (RFC 2347).

        `size`: of the file that is read; None for a write, whose size the client says.
        """
        taken = {}
        if block := _number(options, "blksize", 8, 65464):
            self.block = min(block, MAX_BLOCK)
            taken["blksize"] = str(self.block)
        if options.get("tsize", "").isdigit():
            taken["tsize"] = options["tsize"] if size is None else str(size)
        if wait := _number(options, "timeout", 1, 255):
            self._resend = float(wait)
            taken["timeout"] = str(wait)
        if window := _number(options, "windowsize", 1, 65535):
            self.window = min(window, MAX_WINDOW)
            taken["windowsize"] = str(self.window)
        return taken

    def _oack(self) -> bytes:
        pairs = "".join(f"{name}\0{value}\0" for name, value in self.accepted.items())
        return struct.pack("!H", OACK) + pairs.encode()

    def expired(self, now: float) -> list[bytes]:
        """What to send again when the deadline has passed; nothing: not yet, or given up (then `done`)."""
        if self.done or now < self.deadline:
            return []
        if self._sends >= MAX_SENDS:
            self.done = True
            return []
        return self._keep(self._packets, now)

    def _keep(self, packets: list[bytes], now: float) -> list[bytes]:
        self._packets = packets
        self.deadline = now + self._resend * 2**self._sends
        self._sends += 1
        return packets

    def _fail(self, code: int, words: str) -> list[bytes]:
        self.done = True
        return [error(code, words)]


def _number(options: Mapping[str, str], name: str, least: int, most: int) -> int:
    """The option as a number; 0 when it is not there or out of range."""
    value = options.get(name, "")
    return int(value) if value.isdigit() and len(value) < 8 and least <= int(value) <= most else 0


class Sending(_Machine):
    """One file to one client. Give it the client's packets and the time; it gives back what to send."""

    def __init__(self, source: Source, options: Mapping[str, str], now: float) -> None:
        super().__init__(options, source.size, now)
        self._source = source
        self._acknowledged = 0  # blocks; -1 while the OACK is not
        self._sent = 0
        self._last = source.size // self.block + 1

    def start(self, now: float) -> list[bytes]:
        """The first packets."""
        if not self.accepted:
            return self._send(now)
        self._acknowledged = -1
        return self._keep([self._oack()], now)

    def receive(self, packet: bytes, now: float) -> list[bytes]:
        """What to send after a packet of the client."""
        if self.done or len(packet) < 4:
            return []
        operation, number = struct.unpack_from("!HH", packet)
        if operation == ERROR:
            self.done = True
            return []
        if operation != ACK:
            return self._fail(ILLEGAL, "send acknowledgements only")
        forward = (number - self._acknowledged) & 0xFFFF
        # A duplicate never causes a resend (RFC 1123, section 4.2.3.1): only the timer does.
        if forward == 0 or self._acknowledged + forward > self._sent:
            return []
        self._acknowledged += forward
        if self._acknowledged == self._last:
            self.done = self.complete = True
            return []
        return self._send(now)

    def _send(self, now: float) -> list[bytes]:
        """The window after what is acknowledged; the blocks of it that went out before too (RFC 7440, section 4)."""
        first = self._acknowledged + 1
        self._sent = min(self._acknowledged + self.window, self._last)
        self._sends = 0
        packets = []
        for number in range(first, self._sent + 1):
            at = (number - 1) * self.block
            data = self._source.read(at, self.block)
            if len(data) < min(self.block, self._source.size - at):
                return self._fail(UNDEFINED, "the file has changed, ask again")
            packets.append(struct.pack("!HH", DATA, number & 0xFFFF) + data)
        return self._keep(packets, now)


class Receiving(_Machine):
    """One file from a client. When `data` is there, keep it and say by `stored` or `failed` what came of it."""

    def __init__(self, options: Mapping[str, str], limit: int, now: float) -> None:
        super().__init__(options, None, now)
        self.data: bytes | None = None
        self._limit = limit
        self._announced = int(options.get("tsize", "0")) if options.get("tsize", "").isdigit() else 0
        self._received = bytearray()
        self._count = 0  # blocks received in order
        self._in_window = 0

    def start(self, now: float) -> list[bytes]:
        """The first packet."""
        if self._announced > self._limit:
            return self._fail(FULL, f"no more than {self._limit} bytes can be kept")
        return self._keep([self._oack() if self.accepted else _ack(0)], now)

    def receive(self, packet: bytes, now: float) -> list[bytes]:
        """What to send after a packet of the client."""
        if self.done or len(packet) < 4:
            return []
        operation, number = struct.unpack_from("!HH", packet)
        if operation == ERROR:
            self.done = True
            return []
        if operation != DATA or len(packet) - 4 > self.block:
            return self._fail(ILLEGAL, "send blocks of data only")
        if number != (self._count + 1) & 0xFFFF:
            return self._out_of_order(number, now)
        if self.data is not None:
            return []
        return self._take(packet[4:], now)

    def _out_of_order(self, number: int, now: float) -> list[bytes]:
        """One before: our acknowledgement was lost. One after a gap: say what has come (RFC 7440, section 4)."""
        if self.data is not None and not self.complete:
            return []  # it is being stored: what came of it is not known yet
        repeated = number == self._count & 0xFFFF
        gap = 0 < (number - self._count - 1) & 0xFFFF < self.window
        if not repeated and not (gap and self._in_window >= 0):
            return []
        self._in_window = -1 if gap else 0  # one answer to a gap, however many follow it
        self._sends = 0
        return self._keep([_ack(self._count)], now)

    def _take(self, data: bytes, now: float) -> list[bytes]:
        self._received += data
        if len(self._received) > self._limit:
            return self._fail(FULL, f"no more than {self._limit} bytes can be kept")
        self._count += 1
        self._in_window = max(self._in_window, 0) + 1
        if len(data) < self.block:
            self.data = bytes(self._received)
            self.deadline = now + self._resend * 2**MAX_SENDS
            self._packets = []
            return []
        if self._in_window < self.window:
            return []
        self._in_window = 0
        self._sends = 0
        return self._keep([_ack(self._count)], now)

    def stored(self, now: float) -> list[bytes]:
        """It is kept: the last acknowledgement, which may be asked for again for a while."""
        self.complete = True
        self._packets = []
        self._sends = MAX_SENDS
        self.deadline = now + DALLY_SECONDS
        return [_ack(self._count)]

    def failed(self, code: int, words: str) -> list[bytes]:
        """It could not be kept."""
        return self._fail(code, words)
