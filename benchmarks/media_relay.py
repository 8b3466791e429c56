"""CPU of the media process per relayed packet, on loopback, in the clear and between SRTP and RTP:
`media_relay.py [CALLS] [SECONDS]`.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from pylibsrtp import Policy, Session

from provisioner import ipc
from provisioner.media.rtp import FRAME, FRAME_SECONDS, Packet, build
from provisioner.paths import StateDir

SERVE = (
    "import sys; from provisioner.media.process import main; from provisioner.paths import StateDir; "
    "sys.exit(main(StateDir.create(sys.argv[1])))"
)


def wait_for(path: Path) -> None:
    for _ in range(100):
        try:
            ipc.ask(path, "ping")
            return
        except ipc.Gone:
            time.sleep(0.05)
    raise SystemExit("the media process does not come up; its error stands above")


def connect(path: Path, calls: int, secure: bool) -> list[tuple[socket.socket, int, Session | None]]:
    """Open both legs of every call, the first with SRTP if `secure`.

    The parties' sockets with the port of the leg that each sends to, and what it protects its packets with.
    """
    parties: list[tuple[socket.socket, int, Session | None]] = []
    key = bytes(30)
    text = base64.b64encode(key).decode()
    keys = {"suite": "AES_CM_128_HMAC_SHA1_80", "in": text, "out": text}
    for number in range(calls):
        names = [f"call{number}-a", f"call{number}-b"]
        for name, other in (names, names[::-1]):
            party = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            party.bind(("127.0.0.1", 0))
            party.setblocking(False)
            port = ipc.ask(path, "open", {"leg": name, "host": "127.0.0.1"})["port"]
            document = {"leg": name, "remote": party.getsockname(), "source": {"leg": other}}
            srtp = secure and name == names[0]
            ipc.ask(path, "put", {**document, "srtp": keys if srtp else None})
            parties.append((party, port, Session(Policy(key, Policy.SSRC_ANY_OUTBOUND)) if srtp else None))
    return parties


def talk(parties: list[tuple[socket.socket, int, Session | None]], seconds: float) -> tuple[int, int]:
    """Send from all parties, spread over each 20 ms; packets sent and received."""
    poll = select.epoll()
    by_descriptor = {party.fileno(): party for party, _, _ in parties}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    start, sent, heard = time.monotonic(), 0, 0
    total = int(seconds / FRAME_SECONDS) * len(parties)
    while True:
        now = time.monotonic()
        while sent < total and start + sent * FRAME_SECONDS / len(parties) <= now:
            frame, index = divmod(sent, len(parties))
            party, port, session = parties[index]
            packet = build(Packet(0, False, frame & 0xFFFF, frame * FRAME, index, bytes(FRAME)))
            party.sendto(session.protect(packet) if session else packet, ("127.0.0.1", port))
            sent += 1
        for descriptor, _ in poll.poll(0.001):
            by_descriptor[descriptor].recv(2048)
            heard += 1
        if sent == total and now > start + seconds + 0.2:
            return sent, heard


def measure(calls: int, seconds: float, secure: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = StateDir.create(folder)
        media = subprocess.Popen([sys.executable, "-c", SERVE, folder], cwd=Path(__file__).parent.parent)
        try:
            wait_for(state.socket("media"))
            parties = connect(state.socket("media"), calls, secure)
            process = psutil.Process(media.pid)
            before = sum(process.cpu_times()[:2])
            sent, heard = talk(parties, seconds)
            used = sum(process.cpu_times()[:2]) - before
            kind = "SRTP to RTP" if secure else "RTP"
            print(
                f"{calls} calls, {seconds:g} s, {kind}: {heard} of {sent} packets relayed, "
                f"{used / heard * 1e6:.1f} us CPU each, {process.memory_info().rss / 2**20:.0f} MB"
            )
        finally:
            media.terminate()
            media.wait()


def main(calls: int = 50, seconds: float = 5.0) -> None:
    for secure in (False, True):
        measure(calls, seconds, secure)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent))
    main(*(int(value) for value in sys.argv[1:3]))
