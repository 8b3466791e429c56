"""How a Yealink or Grandstream phone finds its server by SIP multicast when it starts (facts 2.2, 10.1)."""

from __future__ import annotations

import asyncio
import socket
from random import Random

from provisioner.errors import PeerError
from provisioner.simulate.vendors.base import Flash, PhoneType
from provisioner.sip.message import Response, parse

GROUP = ("224.0.1.75", 5060)
ATTEMPTS, SECONDS = 3, 0.5  # how often it asks, and how long it waits for an answer in between
TYPES = ("application/url", "application/x-gs-ucm-url")


class Discovery:
    """One question. Sans-I/O: `subscribe` is what to send, `receive` takes what comes; `url` is the answer."""

    def __init__(self, kind: PhoneType, flash: Flash, local: tuple[str, int], rng: Random) -> None:
        self.url = ""
        self._kind, self._flash, self._local = kind, flash, local
        self._tag, self._call = f"{rng.getrandbits(31)}", f"{rng.getrandbits(31)}-{local[1]}-1"
        self._branch = f"z9hG4bK{rng.getrandbits(31)}"

    def subscribe(self) -> bytes:
        """The SUBSCRIBE, the same each time: one start has one Call-ID."""
        host, port = self._local
        me = f"sip:MAC%3A{self._flash.mac.upper()}@{GROUP[0]}"
        about = (
            f'vendor="{self._kind.maker.vendor}";model="{self._kind.token}";version="{self._flash.version}"'
        )
        lines = (
            f"SUBSCRIBE {me} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={self._branch};rport",
            f"From: <{me}>;tag={self._tag}",
            f"To: <{me}>",
            f"Call-ID: {self._call}@{host}",
            "CSeq: 20000 SUBSCRIBE",
            f"Contact: <sip:{host}:{port}>",
            "Max-Forwards: 70",
            f"User-Agent: {self._kind.sip_agent(self._flash)}",
            "Expires: 0",
            f'Event: ua-profile;profile-type="device";{about}',
            f"Accept: {TYPES[0]}",
            "Content-Length: 0",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def receive(self, data: bytes) -> bytes:
        """What to answer to a datagram, b"" for nothing. A NOTIFY of this dialog with an URL is the answer."""
        try:
            message = parse(data)
        except PeerError:
            return b""
        if isinstance(message, Response) or message.method != "NOTIFY":
            return b""
        ours = message.call_id == f"{self._call}@{self._local[0]}"
        found = message.body.decode("utf-8", "replace").strip()
        if (
            not ours
            or message.get("content-type").partition(";")[0].strip().lower() not in TYPES
            or not found
        ):
            return message.response(481 if not ours else 415).encode()
        self.url = found
        return message.response(200).encode()


class _Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.put_nowait((data, addr))


async def discover(
    kind: PhoneType, flash: Flash, bind: str, rng: Random, target: tuple[str, int] = GROUP
) -> str:
    """Ask `target` where the files are; "" when nobody answers. Raises OSError without a network."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(bind))
    sock.bind((bind, 0))
    transport, listener = await asyncio.get_running_loop().create_datagram_endpoint(_Listener, sock=sock)
    question = Discovery(kind, flash, sock.getsockname(), rng)
    try:
        for _ in range(ATTEMPTS):
            transport.sendto(question.subscribe(), target)
            try:
                async with asyncio.timeout(SECONDS):
                    while not question.url:
                        data, source = await listener.came.get()
                        if answer := question.receive(data):
                            transport.sendto(answer, source)
            except TimeoutError:
                continue
            return question.url
    finally:
        transport.close()
    return ""
