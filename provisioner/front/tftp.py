"""TFTP, reading only, without I/O: packets, and one transfer as a machine (RFC 1350, 2347, 2348, 2349)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from provisioner.errors import PeerError

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)
UNDEFINED, NOT_FOUND, DENIED, _FULL, ILLEGAL, UNKNOWN_PORT = range(6)

DEFAULT_BLOCK = 512
MAX_BLOCK = 1468  # fills an Ethernet frame of 1,500 bytes: never fragmented
RESEND_SECONDS = 1.0  # doubled each time
MAX_SENDS = 6  # of one packet: gives up after 63 s
MAX_REQUEST = 512


class ReadRequest(NamedTuple):
    """What a client wants to read; option names in lower case."""

    name: str
    options: dict[str, str]


def parse_request(packet: bytes) -> ReadRequest:
    """A read request. Raises PeerError whose status is the TFTP error code that it deserves."""
    if len(packet) < 4 or len(packet) > MAX_REQUEST or not packet.endswith(b"\0"):
        raise PeerError("this is not a TFTP request", ILLEGAL)
    (operation,) = struct.unpack_from("!H", packet)
    if operation == WRQ:
        raise PeerError("nothing may be written here", DENIED)
    if operation != RRQ:
        raise PeerError("this is not a TFTP request", ILLEGAL)
    try:
        name, mode, *rest = packet[2:-1].decode("ascii").split("\0")
    except ValueError:
        raise PeerError("this is not a TFTP request", ILLEGAL) from None
    if mode.lower() != "octet":
        raise PeerError("ask in octet mode", ILLEGAL)
    pairs = zip(rest[::2], rest[1::2], strict=False)
    return ReadRequest(name, {option.lower(): value for option, value in pairs})


def error(code: int, words: str) -> bytes:
    """An ERROR packet."""
    return struct.pack("!HH", ERROR, code) + words.encode("ascii", "replace") + b"\0"


class Transfer:
    """One file to one client. Give it the client's packets and the time; it gives back what to send.

    `deadline`: call `expired` when that time has come. `done`: nothing more will happen; `complete`: all
    arrived.
    """

    def __init__(self, data: bytes, options: dict[str, str], now: float) -> None:
        self._data = data
        self._block = DEFAULT_BLOCK
        self._resend = RESEND_SECONDS
        self._number = 0  # of the block that was sent last; 0 is the OACK
        self._sends = 0
        self._packet = b""
        self.done = False
        self.complete = False
        self.deadline = now
        self._accepted = self._negotiate(options)

    def _negotiate(self, options: dict[str, str]) -> dict[str, str]:
        """The options that we take, as we say them; those unknown or out of range are left out (RFC 2347)."""
        taken = {}
        size = options.get("blksize", "")
        if size.isdigit() and 8 <= int(size) <= 65464:
            self._block = min(int(size), MAX_BLOCK)
            taken["blksize"] = str(self._block)
        if options.get("tsize", "").isdigit():
            taken["tsize"] = str(len(self._data))
        wait = options.get("timeout", "")
        if wait.isdigit() and 1 <= int(wait) <= 255:
            self._resend = float(wait)
            taken["timeout"] = wait
        return taken

    def start(self, now: float) -> bytes:
        """The first packet."""
        if not self._accepted:
            return self._send(1, now)
        pairs = "".join(f"{name}\0{value}\0" for name, value in self._accepted.items())
        return self._keep(struct.pack("!H", OACK) + pairs.encode(), now)

    def receive(self, packet: bytes, now: float) -> bytes | None:
        """What to send after a packet of the client; None: nothing."""
        if self.done or len(packet) < 4:
            return None
        operation, number = struct.unpack_from("!HH", packet)
        if operation == ERROR:
            self.done = True
            return None
        if operation != ACK:
            self.done = True
            return error(ILLEGAL, "send acknowledgements only")
        if number != self._number & 0xFFFF:
            return None  # a duplicate never causes a resend (RFC 1123, section 4.2.3.1)
        if self._number and self._number * self._block > len(self._data):
            self.done = self.complete = True
            return None
        return self._send(self._number + 1, now)

    def expired(self, now: float) -> bytes | None:
        """What to send again when the deadline has passed; None: not yet, or given up (then `done`)."""
        if self.done or now < self.deadline:
            return None
        if self._sends >= MAX_SENDS:
            self.done = True
            return None
        return self._keep(self._packet, now)

    def _send(self, number: int, now: float) -> bytes:
        at = (number - 1) * self._block
        self._number = number
        self._sends = 0
        header = struct.pack("!HH", DATA, number & 0xFFFF)  # rolls over to 0, as every client expects
        return self._keep(header + self._data[at : at + self._block], now)

    def _keep(self, packet: bytes, now: float) -> bytes:
        self._packet = packet
        self.deadline = now + self._resend * 2**self._sends
        self._sends += 1
        return packet
